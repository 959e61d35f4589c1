// SPDX-License-Identifier: MIT
/* open_norm.h - LayerNorm over the columns whose mask is not 0: what the norm will
 * be once the others are cut. With it gated training sees the very statistics of
 * the cut model; without, closed columns count as zeros, as in upstream.
 *
 *   y[t,c] = (x[t,c] - mean[t]) rstd[t] w[c] + b[c] for open c, else 0
 *
 * mean and rstd over open c, biased variance, eps 1e-5. Which columns are open is
 * taken as given: nothing of the slope goes to the mask. Thread: any. */
#ifndef OPEN_NORM_H
#define OPEN_NORM_H

/* In place allowed. mean and rstd [T] are results too; mask [C]. */
void open_norm_forward(float *y, float *mean, float *rstd, const float *x, const float *w,
                       const float *b, const float *mask, int T, int C);

/* dx may be dy; dw and db are added to. Closed columns' dx is 0. */
void open_norm_backward(float *dx, float *dw, float *db, const float *dy, const float *x,
                        const float *mean, const float *rstd, const float *w, const float *mask,
                        int T, int C);

#endif
