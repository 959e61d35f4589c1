// SPDX-License-Identifier: MIT
/* reduce.h - adds up gradients over a team's members and over the ranks, while
 * the members still walk.
 *
 * When the last member has told that a part of its gradients is complete, that
 * part is added up over the members, in their order, into member 0's, and its
 * sum over the ranks begins. Parts complete in the same order everywhere. */
#ifndef REDUCE_H
#define REDUCE_H

#include "prune/ranks.h"
#include "prune/walk.h"

#include <pthread.h>

enum { REDUCE_MAX_PARTS = MAX_LAYERS + 2 };

struct span {
    size_t at, n; // floats from the arena's base
};

struct reduce {
    struct gradients **member; // [n_members], not ours
    int n_members;
    struct ranks *ranks;
    int n_parts;
    struct span part[REDUCE_MAX_PARTS][REDUCE_MAX_PARTS + 2]; // ended by n = 0
    int told[REDUCE_MAX_PARTS];
    pthread_mutex_t lock;
};

/* The members' gradients are of one shape. */
void reduce_open(struct reduce *r, const struct model *m, struct gradients **member,
                 int n_members, struct ranks *ranks);
void reduce_close(struct reduce *r);

/* For struct gradients: done. user is the struct reduce. */
void reduce_done(void *user, int part);

/* After all members are through: waits for the ranks; the next round may begin. */
void reduce_finish(struct reduce *r);

#endif
