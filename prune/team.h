// SPDX-License-Identifier: MIT
/* team.h - threads that share a batch, each with a part of its clips.
 *
 * All members run the same function; within it they may add up numbers, which
 * waits for all. Sums are taken in the order of members, so a run is the same
 * bits every time. With MPI a sum goes over all ranks' members. */
#ifndef TEAM_H
#define TEAM_H

#include "model/error.h"
#include "prune/ranks.h"

#include <pthread.h>

enum { TEAM_MAX = 256 };

struct team {
    int n;                // members
    struct ranks *ranks;  // or NULL: one process
    void (*work)(void *user, int member);
    void *user;
    pthread_t thread[TEAM_MAX]; // of members 1 ..; member 0 is the caller
    int started;

    pthread_mutex_t lock;
    pthread_cond_t turn;
    long round;          // of work handed out
    int finished, ending;
    int waiting;         // at a barrier
    long passed;         // barriers
    double *numbers[TEAM_MAX]; // of the sum in hand
};

/* One member's handle, for what only takes one pointer. */
struct member {
    struct team *team;
    int index;
};

int team_open(struct team *team, int n_members, struct ranks *ranks, struct error *err);
void team_close(struct team *team);

/* Runs work on all members and returns when all have. Caller: one thread. */
void team_run(struct team *team, void (*work)(void *user, int member), void *user);

/* Called by every member: waits for all. */
void team_barrier(struct team *team);

/* Called by every member with its x [n]: each gets the sum over all. For struct
 * training: user is a struct member. */
void team_sum(void *member, double *x, size_t n);

#endif
