// SPDX-License-Identifier: MIT
/* gemm_bf16.h - matrix products whose factors are rounded to bfloat16 on the way.
 *
 * Blocks of both matrices are copied, rounded (to nearest, ties to even), into pairs
 * along k, two numbers to a 32-bit word, which is how processors with AVX512_BF16 take
 * them: 32 multiply-adds an instruction where single precision has 16. The sums are
 * single precision. Blocks lie on the stack, 300 KB. Thread: any, each by itself. */
#ifndef GEMM_BF16_H
#define GEMM_BF16_H

#include <stdint.h>

/* Element (i, j) is x[i down + j across]; one of the two is 1. */
struct matrix {
    const float *x;
    int down, across;
};

/* c[m,n] = alpha sum_k a(m,k) b(k,n) + beta c[m,n], rows of c ldc apart. With beta 0
 * what stands in c does not count. */
void gemm_bf16(float *c, int ldc, struct matrix a, struct matrix b, int M, int N, int K,
               float alpha, float beta);

/* Whether this processor has the instructions; without, the plain loops do it. */
int gemm_bf16_is_fast(void);

enum { BF16_COLUMNS = 32 }; // of a panel of b

/* What is written once for each instruction set. A word holds elements 2 k (low half) and
 * 2 k + 1 (high half; zero behind the last). */
struct bf16_loops {
    /* words[m down + k across] = pair k of row m of a [M,K]; one of the two is 1. */
    void (*pack_a)(uint32_t *words, int down, int across, struct matrix a, int M, int K);
    /* words[panel][k][32] = pair k of columns 32 panel .. of b [K,N]; zeros behind the last. */
    void (*pack_b)(uint32_t *words, struct matrix b, int N, int K);
    /* c [M,N] = alpha a b + beta c for one panel of b, of `pairs` pairs; N <= 32. */
    void (*multiply)(float *c, int ldc, const uint32_t *a, int down, int across,
                     const uint32_t *panel, int M, int N, int pairs, float alpha, float beta);
};

extern const struct bf16_loops bf16_plain, bf16_avx512;

/* gemm_bf16 with the loops given, for tests. */
void gemm_bf16_by(const struct bf16_loops *loops, float *c, int ldc, struct matrix a,
                  struct matrix b, int M, int N, int K, float alpha, float beta);

#endif
