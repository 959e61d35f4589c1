// SPDX-License-Identifier: MIT
#include "model/outfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void forget(struct outfile *f)
{
    free(f->path);
    free(f->temporary);
    *f = (struct outfile){.fd = -1};
}

static int fail_memory(const char *path, struct error *err)
{
    return fail(err, "%.300s: out of memory; close other programs", path);
}

/* A new file beside the name: path.PID.N.tmp, the first N that is free. */
static int open_beside(struct outfile *f, struct error *err)
{
    size_t n = strlen(f->path) + 48;

    f->temporary = malloc(n);
    if (!f->temporary)
        return fail_memory(f->path, err);
    for (int i = 0; i < 1000; i++) {
        snprintf(f->temporary, n, "%s.%ld.%d.tmp", f->path, (long)getpid(), i);
        f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (f->fd >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return fail(err, "%.300s: cannot be made: %s; choose a folder that is there and writable",
                f->path, strerror(errno));
}

static int open_any(struct outfile *f, const char *path, struct error *err)
{
    struct stat st;
    int is_there = !stat(path, &st);

    if (is_there && S_ISDIR(st.st_mode))
        return fail(err, "%.300s: is a folder; expected a file name", path);
    f->path = is_there ? realpath(path, NULL) : strdup(path);
    if (!f->path)
        return errno == ENOMEM ? fail_memory(path, err) :
               fail(err, "%.300s: cannot be found: %s", path, strerror(errno));
    if (!is_there || S_ISREG(st.st_mode))
        return open_beside(f, err);
    f->fd = open(f->path, O_WRONLY | O_CLOEXEC);
    if (f->fd < 0)
        return fail(err, "%.300s: cannot be opened: %s", path, strerror(errno));
    return 0;
}

int outfile_open(struct outfile *f, const char *path, struct error *err)
{
    *f = (struct outfile){.fd = -1};
    if (!open_any(f, path, err))
        return 0;
    forget(f);
    return -1;
}

int outfile_write(struct outfile *f, const void *bytes, size_t n, struct error *err)
{
    const unsigned char *at = bytes;

    while (n) {
        ssize_t done = write(f->fd, at, n < SSIZE_MAX ? n : SSIZE_MAX);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail(err, "%.300s: cannot be written: %s", f->path, strerror(errno));
        at += done;
        n -= (size_t)done;
    }
    return 0;
}

int outfile_commit(struct outfile *f, struct error *err)
{
    int failed = 0;

    // a pipe or device need not know fsync
    if (fsync(f->fd) && f->temporary)
        failed = fail(err, "%.300s: cannot be brought to the disk: %s", f->path, strerror(errno));
    if (close(f->fd) && !failed)
        failed = fail(err, "%.300s: cannot be written: %s", f->path, strerror(errno));
    f->fd = -1;
    if (!failed && f->temporary && rename(f->temporary, f->path))
        failed = fail(err, "%.300s: cannot be given its name: %s", f->path, strerror(errno));
    if (failed && f->temporary)
        unlink(f->temporary);
    forget(f);
    return failed;
}

void outfile_discard(struct outfile *f)
{
    if (f->fd >= 0)
        close(f->fd);
    if (f->temporary)
        unlink(f->temporary);
    forget(f);
}

void outfile_sweep(const char *folder)
{
    DIR *d = opendir(folder);

    if (!d)
        return;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (!fnmatch("*.[0-9]*.[0-9]*.tmp", e->d_name, 0))
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}
