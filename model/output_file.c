// SPDX-License-Identifier: MIT
#include "model/output_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static FILE *open_beside(struct output_file *f)
{
    size_t size = strlen(f->path) + sizeof(".XXXXXX");
    mode_t mask;
    int fd;

    f->temporary = malloc(size);
    if (!f->temporary)
        return NULL;
    snprintf(f->temporary, size, "%s.XXXXXX", f->path);
    fd = mkstemp(f->temporary);
    if (fd < 0) {
        free(f->temporary);
        f->temporary = NULL;
        return NULL;
    }
    mask = umask(0); // mkstemp gives 0600; the user's umask should decide
    umask(mask);
    (void)!fchmod(fd, 0666 & ~mask);
    return fdopen(fd, "wb");
}

int output_file_open(struct output_file *f, const char *path, struct error *err)
{
    struct stat st;
    int in_place = stat(path, &st) == 0 && !S_ISREG(st.st_mode);

    *f = (struct output_file){.path = strdup(path)};
    if (f->path && in_place)
        f->stream = S_ISDIR(st.st_mode) ? (errno = EISDIR, NULL) : fopen(path, "wb");
    else if (f->path)
        f->stream = open_beside(f);
    if (f->stream)
        return 0;
    fail(err, "%s: cannot write: %s", path, strerror(errno));
    output_file_discard(f);
    return -1;
}

int output_file_commit(struct output_file *f, struct error *err)
{
    int bad = fflush(f->stream) || ferror(f->stream);

    if (!bad && f->temporary)
        bad = fsync(fileno(f->stream)) != 0;
    bad |= fclose(f->stream) != 0;
    f->stream = NULL;
    if (!bad && f->temporary)
        bad = rename(f->temporary, f->path) != 0;
    if (bad) {
        fail(err, "%s: cannot write: %s", f->path, strerror(errno));
    } else {
        free(f->temporary);
        f->temporary = NULL;
    }
    output_file_discard(f);
    return bad ? -1 : 0;
}

void output_file_discard(struct output_file *f)
{
    if (f->stream)
        fclose(f->stream);
    if (f->temporary)
        unlink(f->temporary);
    free(f->temporary);
    free(f->path);
    *f = (struct output_file){0};
}
