// SPDX-License-Identifier: MIT
/* heads.h - parameters that only training has: they serve losses, the run's state
 * holds them with their moments, and no model ever does.
 *
 * One run of floats, so that gradients, sums over threads and ranks and the
 * optimiser take them as one. */
#ifndef HEADS_H
#define HEADS_H

#include "model/arena.h"
#include "model/checkpoint.h"

#include <stdint.h>

enum { HEADS_MAX = 4 };

struct head {
    const char *name; // "train.heads.NAME" in a run's state
    int64_t rows, columns;
    int decays;
    float spread;     // standard deviation of what it begins with
    size_t at;        // in the run of floats
};

struct heads {
    struct head list[HEADS_MAX];
    int n;
    size_t n_floats;
    float *values, *m, *v; // [n_floats]
};

/* Adds one; returns its number. Before placing. */
int heads_add(struct heads *h, const char *name, int64_t rows, int64_t columns, int decays,
              float spread);

void heads_place(struct heads *h, struct arena *arena);
void heads_randomize(struct heads *h, uint64_t seed);

/* Those of a run's state that have the same shape. */
void heads_begin_from(struct heads *h, const struct checkpoint *state);

/* Writes 3 n tensors that point into h to list, whose names are written to names. */
int heads_list(const struct heads *h, struct tensor *list, char (*names)[200]);

/* All of them, with their moments. */
int heads_resume(struct heads *h, const struct checkpoint *state, struct error *err);

#endif
