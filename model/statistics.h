// SPDX-License-Identifier: MIT
/* statistics.h - mean and variance per channel over everything so far, in double
 * precision. Beyond the horizon the past is scaled down to weigh as much as the
 * horizon. */
#ifndef STATISTICS_H
#define STATISTICS_H

#include "model/arena.h"

struct statistics {
    int width;
    double count, horizon; // rows; horizon 0: never forgets
    double *mean, *m2;     // [width]; m2: sum of squared distances from the mean
    double *sum, *squares; // [width] scratch
};

void statistics_place(struct statistics *s, int width, double horizon_rows, struct arena *arena);
void statistics_reset(struct statistics *s);

/* Adds x [n,width]: Chan, Golub and LeVeque's merging of two samples (1979). */
void statistics_add(struct statistics *s, const float *x, int n);

#endif
