// SPDX-License-Identifier: MIT
/* ranks.h - the processes that train one model together, over MPI.
 *
 * Every call is made by all ranks in the same order. Started without mpirun, or
 * built without MPI, there is one rank and sums are what they were. A rank that
 * fails ends all (ranks_abort): MPI has no other way to wake those who wait. */
#ifndef RANKS_H
#define RANKS_H

#include "model/error.h"

#include <stddef.h>

enum { RANKS_MAX_PENDING = 128 };

struct ranks {
    int rank, size;
    int started; // this process began MPI and ends it
    int n_pending;
    void *pending[RANKS_MAX_PENDING]; // requests
};

/* Joins the others if mpirun started this process. */
int ranks_open(struct ranks *r, struct error *err);
void ranks_close(struct ranks *r);

/* x [n] becomes the sum over all ranks. */
void ranks_sum(struct ranks *r, double *x, size_t n);

/* Begins to add up x [n] over all ranks, while the caller goes on; x is not to
 * be touched before ranks_finish. */
void ranks_sum_begin(struct ranks *r, float *x, size_t n);

/* Waits for all sums that were begun. */
void ranks_finish(struct ranks *r);

/* x [n bytes] becomes rank 0's. */
void ranks_share(struct ranks *r, void *x, size_t n);

/* 1 if any rank says so. */
int ranks_any(struct ranks *r, int yes);

/* Ends all ranks at once with that exit status, if there are others. */
void ranks_abort(const struct ranks *r, int status);

#endif
