// SPDX-License-Identifier: MIT
/* told.h - all that was told of who spoke when, put right at the end: turns of people who
 * turned out to be one are one person's, and a name counts from the beginning.
 *
 * Memory grows with every turn, some 24 bytes. Thread: one at a time. */
#ifndef TOLD_H
#define TOLD_H

#include "stream/binarize.h"
#include "stream/report.h"

struct told {
    struct regions regions; // speaker: index into names
    char **names;           // [n_names] the latest
    int *merged_into;       // [n_names] who a speaker turned out to be; itself: nobody else
    int n_names;
    int forgotten;          // names of before the last reset, after which ids start again
    int put_right;          // 1: some turn is not as it was told
};

/* Takes the reports of speakers and of a reset, in order, and passes over others. */
int told_take(struct told *t, const struct report *r, struct error *err);

/* Turns go to whom their speakers turned out to be; what then overlaps is one. */
void told_settle(struct told *t);

/* Names become one word each, as RTTM wants them. */
void told_join_names(struct told *t);

/* A zeroed one may be released. */
void told_release(struct told *t);

#endif
