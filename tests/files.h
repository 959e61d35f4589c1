// SPDX-License-Identifier: MIT
/* files.h - what the tests of model files share: files in memory and on disk,
 * good ones to begin with and ways to make them bad. */
#ifndef FILES_H
#define FILES_H

#include "model/checkpoint_read.h" // before cmocka, which makes a macro of fail()

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bytes {
    unsigned char *at; // malloc'ed, so that a sanitizer sees its end
    size_t n;
};

static inline struct bytes bytes_copy(const void *at, size_t n)
{
    struct bytes b = {malloc(n ? n : 1), n};

    assert_non_null(b.at);
    if (n)
        memcpy(b.at, at, n);
    return b;
}

static inline struct bytes bytes_read(const char *path)
{
    FILE *f = fopen(path, "rb");

    if (!f)
        fail_msg("%s cannot be opened", path);
    fseek(f, 0, SEEK_END);
    size_t n = (size_t)ftell(f);
    rewind(f);
    struct bytes b = {malloc(n + 1), n};
    assert_non_null(b.at);
    assert_int_equal(fread(b.at, 1, n, f), n);
    fclose(f);
    b.at[n] = 0;
    return b;
}

/* A safetensors file of this header and n_data bytes 0, 1, 2, ... */
static inline struct bytes bytes_safetensors(const char *header, size_t n_data)
{
    uint64_t n_header = strlen(header);
    struct bytes b = {malloc(8 + n_header + n_data), 8 + n_header + n_data};

    assert_non_null(b.at);
    memcpy(b.at, &n_header, 8);
    memcpy(b.at + 8, header, n_header);
    for (size_t i = 0; i < n_data; i++)
        b.at[8 + n_header + i] = (unsigned char)i;
    return b;
}

static inline const char *test_path(char path[4096], const char *name)
{
    const char *folder = getenv("ANTIPHON_TESTS");

    snprintf(path, 4096, "%s/%s", folder ? folder : ".", name);
    return path;
}

/* An own empty folder; the caller removes it by folder_remove. */
static inline void folder_make(char folder[64])
{
    strcpy(folder, "/tmp/antiphon-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static inline int folder_count(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}

static inline void folder_remove(const char *folder)
{
    DIR *d = opendir(folder);
    char path[4096];

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
            unlink(path);
    }
    closedir(d);
    rmdir(folder);
}

/* The file must be refused by one line that begins with its name and has
 * these words. */
static inline void assert_refused(const void *at, size_t n, const char *words)
{
    struct checkpoint c;
    struct error err = {{0}};

    if (!checkpoint_open_bytes(&c, at, n, "the.file", &err)) {
        checkpoint_close(&c);
        fail_msg("accepted, but should say '%s'", words);
    }
    if (strncmp(err.text, "the.file: ", 10) || !strstr(err.text, words) || strchr(err.text, '\n'))
        fail_msg("says '%s', but should say '%s'", err.text, words);
    assert_null(c.storage);
}

/* xorshift; a test prints the seed it began with when it fails. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline uint64_t random_seed(void)
{
    const char *given = getenv("ANTIPHON_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)getpid() * 0x9e3779b97f4a7c15u;

    print_message("ANTIPHON_SEED=%llu\n", (unsigned long long)seed);
    return seed ? seed : 1;
}

#endif
