// SPDX-License-Identifier: MIT
/* narrow_avx512.h - narrow.h's loops for AVX-512: M, N >= 1, K >= 16. */
#ifndef NARROW_AVX512_H
#define NARROW_AVX512_H

void narrow_nt_avx512(float *c, int ldc, const float *a, int lda, const float *b, int ldb, int M,
                      int N, int K, float alpha, float beta);

#endif
