// SPDX-License-Identifier: MIT
/* op.h - the arithmetic with a matrix product in it.
 *
 *   T frames    I, O widths in and out    C model width    F inner width
 *   H heads     D width of a head         K keys a query may see, taps of a kernel
 *
 * All tensors are float, row major, last axis contiguous. Arguments come as
 * results, inputs, parameters, sizes. Forward overwrites its results. No op
 * allocates, keeps state, or prints. Thread: any. */
#ifndef OP_H
#define OP_H

#include "model/error.h"
#include "model/gemm.h"

#include <stddef.h>

/* y[t,o] = bias[o] + sum_i x[t,i] w[o,i]
 *
 *   y [T,O]    x [T,I]    w [O,I]    bias [O] or NULL
 *
 * y and x must not overlap. */
void linear_forward(float *restrict y, const float *restrict x, const float *w, const float *bias,
                    int T, int I, int O);

/* dx[t,i] = sum_o dy[t,o] w[o,i] + beta dx[t,i];  dw[o,i] += sum_t dy[t,o] x[t,i];
 * db[o] += sum_t dy[t,o]. dx or db may be NULL: not wanted. */
void linear_backward(float *restrict dx, float beta, float *dw, float *db, const float *dy,
                     const float *x, const float *w, int T, int I, int O);

/* 'Valid' convolution over time: y[t,o] = bias[o] + sum_k,i x[t S + k, i] w[o,k,i]
 *
 *   y [T,O]    x [(T-1) S + K, I]    w [O,K,I]    bias [O] or NULL    S stride, K >= S
 *
 * The window of a row is a contiguous run of x, so this is ceil(K / S) matrix
 * products over the rows as they lie, without a copy. */
void conv_forward(float *restrict y, const float *restrict x, const float *w, const float *bias,
                  int T, int I, int O, int K, int S);

/* dx is added to (NULL: not wanted), as are dw and db (NULL: no bias). */
void conv_backward(float *restrict dx, float *dw, float *db, const float *dy, const float *x,
                   const float *w, int T, int I, int O, int K, int S);

/* y[t,c] = log softmax over c of x[t,c]    [T,C], in place allowed */
void log_softmax_forward(float *y, const float *x, int T, int C);

/* dx[t,c] = dy[t,c] - exp(y[t,c]) sum_c dy[t,c]    in place allowed */
void log_softmax_backward(float *dx, const float *dy, const float *y, int T, int C);

/* Number of threads the matrix products of this process use from now on. */
void op_set_threads(int n);

/* The best rate of several products of large matrices, in floating-point
 * operations a second, by as many threads as are set and in the caller's precision. Returns -1 without memory. */
double op_peak(struct error *err);

/* The kernels that the BLAS library chose, e.g. "SkylakeX". */
const char *op_blas_kernels(void);

/* Which of OpenBLAS's kernels to ask for on an x86 processor that it is too old to know and has chosen its
 * oldest for, by the loops that run on it (struct kernels); NULL where its choice stands. A static string. */
const char *op_better_kernels(const char *chosen, const char *loops);

/* Runs one product of each kind, so that the library has its buffers. */
void op_warm_up(void);

#endif
