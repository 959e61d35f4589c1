// SPDX-License-Identifier: MIT
/* optimizer.h - AdamW over the tensor table, clipping, schedules. Pure: the
 * trainer holds the state and saves it.
 *
 * AdamW as torch has it (Loshchilov and Hutter 2019):
 *   m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
 *   w = w (1 - lr decay) - lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps) */
#ifndef OPTIMIZER_H
#define OPTIMIZER_H

#include "model/params.h"

struct adamw {
    double beta1, beta2, eps, decay;
};

/* torch's: 0.9, 0.999, 1e-8, 0.01. */
struct adamw adamw_defaults(void);

/* One step, number t from 1, of n numbers; g is taken times scale. */
void adamw_step(float *w, float *m, float *v, const float *g, size_t n, const struct adamw *a,
                double lr, double scale, long t);

/* Squares of n slopes, added up in double precision. */
double squares_sum(const float *g, size_t n);

/* The clip value of a history of norms: its q-quantile, as numpy interpolates
 * (AutoClip, Seetharaman et al. 2020). scratch [n]. */
double norm_quantile(const double *history, int n, double q, double *scratch);

enum schedule { SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_PLATEAU };

/* Factor of the learning rate at a step (from 0) of `steps`: rises over
 * `warmup`, then stays, or falls as half a cosine to `floor`. */
double schedule_factor(enum schedule s, long step, long steps, long warmup, double floor);

/* Adds to EMA of weights: e = d e + (1-d) w. */
void ema_step(float *e, const float *w, size_t n, double d);

#endif
