// SPDX-License-Identifier: MIT
/* gemm.h - matrix products, and how exactly they are done.
 *
 * In single precision a library does them (narrow.h does those of few rows). In
 * bfloat16 both matrices are rounded to 8 bits of mantissa as they are read, and the
 * products summed in single precision (gemm_bf16.h): for training, which does not need
 * more and has half the time to wait where the processor has instructions for it.
 * Thread: any. */
#ifndef GEMM_H
#define GEMM_H

enum gemm_precision { GEMM_F32, GEMM_BF16 };

/* Of the calling thread's products from now on; a thread begins with GEMM_F32. Returns
 * what it was. */
enum gemm_precision gemm_set_precision(enum gemm_precision precision);

/* c[m,n] = alpha sum_k a[m,k] b[n,k] + beta c[m,n], rows lda, ldb, ldc apart. */
void gemm_nt(float *c, int ldc, const float *a, int lda, const float *b, int ldb, int M, int N,
             int K, float alpha, float beta);

/* c[m,n] += sum_k a[m step + k] b[n,k]: a's rows may overlap, as the windows of a convolution
 * do. No BLAS accepts such rows: where one multiplies they are copied to apart [M,K] first. */
void gemm_nt_windows(float *c, int ldc, const float *a, int step, float *apart, const float *b,
                     int ldb, int M, int N, int K);

/* That copy: apart[m,k] = a[m step + k]. */
void windows_apart(float *apart, const float *a, int step, int M, int K);

/* c[m,n] = alpha sum_k a[m,k] b[k,n] + beta c[m,n], likewise. */
void gemm_nn(float *c, int ldc, const float *a, int lda, const float *b, int ldb, int M, int N,
             int K, float alpha, float beta);

/* c[m,n] = alpha sum_k a[k,m] b[k,n] + beta c[m,n], likewise. */
void gemm_tn(float *c, int ldc, const float *a, int lda, const float *b, int ldb, int M, int N,
             int K, float alpha, float beta);

/* Floating-point operations that this thread has made so far, two for each multiplication
 * and addition: all matrix products, and what op_count was told. */
double op_flops(void);

/* Counts a product [M,K] x [K,N] that was made elsewhere, or what costs as much. */
void op_count(int M, int N, int K);

#endif
