// SPDX-License-Identifier: MIT
#include "model/narrow.h"

#include "model/narrow_avx512.h"

#ifdef KERNELS_X86

enum { LANES = 16, LEAST_N = 8 };

int narrow_nt(float *c, int ldc, const float *a, int lda, const float *b, int ldb, int M, int N,
              int K, float alpha, float beta)
{
    if (M > NARROW_ROWS || N < LEAST_N || K < LANES || !__builtin_cpu_supports("avx512f"))
        return 0;
    narrow_nt_avx512(c, ldc, a, lda, b, ldb, M, N, K, alpha, beta);
    return 1;
}

#else

int narrow_nt(float *c, int ldc, const float *a, int lda, const float *b, int ldb, int M, int N,
              int K, float alpha, float beta)
{
    return 0;
}

#endif
