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
#include <stdint.h>

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

    /* The reverse: dy is the loss's slope by a forward's result, dx by its input,
     * dw and db by its parameters. dx is overwritten and may be dy, unless said;
     * slopes of parameters are added to. */
    void (*gelu_backward)(float *dx, const float *dy, const float *x, size_t n);
    void (*swish_backward)(float *dx, const float *dy, const float *x, size_t n);
    void (*glu_backward)(float *dx, const float *dy, const float *x, int T, int C); // dx [T,2C]
    void (*layer_norm_backward)(float *dx, float *dw, float *db, const float *dy, const float *x,
                                const float *mean, const float *rstd, const float *w, int T,
                                int C);

    /* dx holds the slope by y on entry. Returns sum_i y[i] dy[i]. */
    float (*softmax_backward)(float *dx, const float *y, int n);

    /* dx [T+K-1,C] is added to; x, w, dw as in depthwise. */
    void (*depthwise_backward)(float *dx, float *dw, float *db, const float *dy, const float *x,
                               const float *w, int T, int C, int K);

    /* sum[c] += sum_t x[t,c] */
    void (*columns_add)(float *sum, const float *x, int T, int C);

    /* sum[c] += sum_t a[t,c], product[c] += sum_t a[t,c] b[t,c], in double precision. */
    void (*cross_moments)(double *sum, double *product, const float *a, const float *b, int T,
                          int C);

    /* y[t,c] = a[t,c] scale_a[c] + b[t,c] scale_b[c] + shift[c]. y may be a. */
    void (*affine)(float *y, const float *a, const float *b, const float *scale_a,
                   const float *scale_b, const float *shift, int T, int C);

    /* y[t,c] = x[t,c] scale[c]. In place allowed. */
    void (*scale_columns)(float *y, const float *x, const float *scale, int T, int C);

    /* Winograd's F(4,3) along time: six frames become six planes, [n] each, at v, v +
     * plane, ...; and six planes of products [H,C] become four frames,
     * y[k][h,c] = max(0, sum + shift[c] + (add ? y[k][h,c] : 0)). */
    void (*winograd_in)(float *v, size_t plane, const float *const x[6], size_t n);
    void (*winograd_out)(float *const y[4], const float *m, size_t plane, const float *shift,
                         int add, int H, int C);

    /* y[t,c] = max(floor, y[t,c] + shift[c]). */
    void (*shift_floor)(float *y, const float *shift, float floor, int T, int C);

    /* y[i] = 0 with probability rate (0 .. 1, not 1), else x[i] / (1 - rate); which,
     * the key and i decide. In place allowed; its own reverse. */
    void (*dropout)(float *y, const float *x, float rate, uint64_t key, size_t n);
};

/* The best build for this machine; constant. */
const struct kernels *kernels_get(void);

/* All builds this machine can run, ended by NULL; the plain one first. For tests. */
const struct kernels *const *kernels_all(void);

#endif
