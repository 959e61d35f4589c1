// SPDX-License-Identifier: MIT
/* told.h - all that was told of who spoke when, put right at the end: turns of people who
 * turned out to be one are one person's, what another turned out to have said is theirs, and a
 * name counts from the beginning.
 *
 * Memory grows with every turn and every change, some 24 bytes. Thread: one at a time. */
#ifndef TOLD_H
#define TOLD_H

#include "stream/binarize.h"
#include "stream/report.h"

/* What `from` was told to say between start and end `into` said. */
struct told_change {
    int from, into; // indices into names
    double start, end;
};

struct told {
    struct regions regions; // speaker: index into names
    char **names;           // [n_names] the latest
    struct told_change *changes; // [n_changes] in order
    int n_changes, changes_room;
    int n_names;
    int forgotten;          // names of before the last reset, after which ids start again
    int put_right;          // 1: some turn is not as it was told
};

/* Takes the reports of speakers and of a reset, in order, and passes over others. */
int told_take(struct told *t, const struct report *r, struct error *err);

/* Turns, or parts of them, go to whom their speakers turned out to be; what then overlaps or
 * meets is one. A rest of less than 0.2 s of a turn goes along with what is moved: pieces begin
 * and end at other frames than turns. */
int told_settle(struct told *t, struct error *err);

/* Names become one word each, as RTTM wants them. */
void told_join_names(struct told *t);

/* A zeroed one may be released. */
void told_release(struct told *t);

#endif
