// SPDX-License-Identifier: MIT
/* narrow.h - products of few rows, as live blocks make them.
 *
 * A library's sgemm brings both matrices into an order of its own at every call. For a
 * block of 16 rows that copy of the weights takes longer than the product: of base-s80
 * live it was 48 % of the time, the multiplying 28 %. These loops read the weights as they
 * lie, each once. They sum in another order than the library: which loops a product
 * takes depends on its shape and the machine alone, so a stream's bits do not depend on
 * how its audio arrives. Thread: any. */
#ifndef NARROW_H
#define NARROW_H

enum { NARROW_ROWS = 64 }; // above these the library is as fast

/* c[m,n] = alpha sum_k a[m,k] b[n,k] + beta c[m,n] for M <= NARROW_ROWS, rows lda, ldb,
 * ldc apart. Returns 0, having done nothing, if there are no loops for this shape or
 * machine. */
int narrow_nt(float *c, int ldc, const float *a, int lda, const float *b, int ldb, int M, int N,
              int K, float alpha, float beta);

#endif
