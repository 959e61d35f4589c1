// SPDX-License-Identifier: MIT
/* kernels.h - the elementwise loops that cost time, one build per instruction set.
 *
 * The loops are plain C with explicit lanes (kernels_body.h), compiled several
 * times with different instruction sets; the best one this machine has is
 * chosen at run time. No contraction and a fixed order of sums: every build
 * gives the same bits. No kernel allocates, keeps state or prints.
 * Results never overlap inputs unless said. Thread: any. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stddef.h>

struct kernels {
    const char *name; // "plain", "avx2", "avx512"

    /* y[i] = x[i] Phi(x[i]), the exact (erf) GELU; error below 2e-7 |x|. In place allowed. */
    void (*gelu)(float *y, const float *x, size_t n);

    /* y[i] = x[i] sigmoid(x[i]). In place allowed. */
    void (*swish)(float *y, const float *x, size_t n);

    /* y[t,c] = x[t,c] sigmoid(x[t,C+c])    y [T,C]  x [T,2C] */
    void (*glu)(float *y, const float *x, int T, int C);

    /* y[t,c] = (x[t,c] - mean[t]) rstd[t] w[c] + b[c], biased variance, eps 1e-5.
     * mean and rstd [T] are results too. In place allowed. */
    void (*layer_norm)(float *y, float *mean, float *rstd, const float *x, const float *w,
                       const float *b, int T, int C);

    /* y[i] = softmax over i of (x[i] + gate bias[i]); bias NULL: none. In place. */
    void (*softmax)(float *x, const float *bias, float gate, int n);

    /* y[i] = a[i] + s b[i]. y may be a. */
    void (*add_scaled)(float *y, const float *a, const float *b, float s, size_t n);

    /* y[t,c] = x[t,c] scale[c] + shift[c]. In place allowed. */
    void (*scale_shift)(float *y, const float *x, const float *scale, const float *shift, int T,
                        int C);

    /* y[t,c] = bias[c] + sum_k x[t+k,c] w[k,c], k < K    x [T+K-1,C]  w [K,C] */
    void (*depthwise)(float *y, const float *x, const float *w, const float *bias, int T, int C,
                      int K);

    /* sum[c] += sum_t x[t,c], squares[c] += sum_t x[t,c]^2, in double precision. */
    void (*moments)(double *sum, double *squares, const float *x, int T, int C);

    /* sum_i a[i] b[i]. */
    float (*dot)(const float *a, const float *b, size_t n);
};

/* The best build for this machine; constant. */
const struct kernels *kernels_get(void);

/* All builds this machine can run, ended by NULL; the plain one first. For tests. */
const struct kernels *const *kernels_all(void);

#endif
