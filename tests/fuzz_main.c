// SPDX-License-Identifier: MIT
/* fuzz_main.c - runs a fuzz target over files and folders of files, so that
 * what was once found stays found, with any compiler. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (!f || fseek(f, 0, SEEK_END)) {
        perror(path);
        return -1;
    }
    size_t n = (size_t)ftell(f);
    uint8_t *bytes = malloc(n ? n : 1); // exactly as long, so that a sanitizer sees the end
    rewind(f);
    if (!bytes || fread(bytes, 1, n, f) != n) {
        perror(path);
        return -1;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    return 0;
}

/* Number of files run, or -1. */
static int run_path(const char *path)
{
    DIR *d = opendir(path);
    char inner[4096];
    int n = 0;

    if (!d)
        return run_file(path) ? -1 : 1;
    for (struct dirent *e = readdir(d); e && n >= 0; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
        n = run_file(inner) ? -1 : n + 1;
    }
    closedir(d);
    return n;
}

int main(int argc, char **argv)
{
    int n_files = 0;

    for (int i = 1; i < argc; i++) {
        int n = run_path(argv[i]);
        if (n < 0)
            return 1;
        n_files += n;
    }
    printf("%d seeds\n", n_files);
    return n_files ? 0 : 1;
}
