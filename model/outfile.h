// SPDX-License-Identifier: MIT
/* outfile.h - a file that is there whole or not at all.
 *
 * It is written beside its name, brought to the disk, and renamed; until then
 * whatever had the name stays. A name that stands for a device or a pipe is
 * written directly; a symbolic link keeps standing for the file it names.
 * Thread: one at a time. */
#ifndef OUTFILE_H
#define OUTFILE_H

#include "model/error.h"

#include <stddef.h>

struct outfile {
    int fd;
    char *path;      // where it is to stand
    char *temporary; // where it stands now, or NULL for a device
};

/* On error there is nothing to close. */
int outfile_open(struct outfile *f, const char *path, struct error *err);

int outfile_write(struct outfile *f, const void *bytes, size_t n, struct error *err);

/* Gives the file its name, or removes it; the outfile is closed either way. */
int outfile_commit(struct outfile *f, struct error *err);

/* Removes what was written. */
void outfile_discard(struct outfile *f);

/* Removes what writers that were killed left in a folder; nobody may be writing there. */
void outfile_sweep(const char *folder);

#endif
