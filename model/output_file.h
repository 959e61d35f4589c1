// SPDX-License-Identifier: MIT
/* output_file.h - a file that is whole or not there.
 *
 * Written beside its name and renamed when all of it is on the disk. A name
 * that stands for something else than a regular file (a device, a pipe) is
 * written in place. */
#ifndef OUTPUT_FILE_H
#define OUTPUT_FILE_H

#include "model/error.h"

#include <stdio.h>

struct output_file {
    FILE *stream;     // write here
    char *path;
    char *temporary;  // NULL: in place
};

int output_file_open(struct output_file *f, const char *path, struct error *err);

/* Flushes, syncs, renames. On failure nothing is left behind. Closes f. */
int output_file_commit(struct output_file *f, struct error *err);

/* Gives the half-written file up. A zeroed f may be discarded. */
void output_file_discard(struct output_file *f);

#endif
