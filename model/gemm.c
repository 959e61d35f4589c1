// SPDX-License-Identifier: MIT
#include "model/gemm.h"

#include "model/gemm_bf16.h"
#include "model/narrow.h"

#include <cblas.h>

static _Thread_local double flops;
static _Thread_local enum gemm_precision precision = GEMM_F32;

void op_count(int M, int N, int K)
{
    flops += 2.0 * M * N * K;
}

double op_flops(void)
{
    return flops;
}

enum gemm_precision gemm_set_precision(enum gemm_precision wanted)
{
    enum gemm_precision was = precision;

    precision = wanted;
    return was;
}

void gemm_nt(float *c, int ldc, const float *a, int lda, const float *b, int ldb, int M, int N,
             int K, float alpha, float beta)
{
    op_count(M, N, K);
    if (precision == GEMM_BF16)
        gemm_bf16(c, ldc, (struct matrix){a, lda, 1}, (struct matrix){b, 1, ldb}, M, N, K, alpha,
                  beta);
    else if (!narrow_nt(c, ldc, a, lda, b, ldb, M, N, K, alpha, beta))
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, M, N, K, alpha, a, lda, b, ldb, beta,
                    c, ldc);
}

void gemm_nn(float *c, int ldc, const float *a, int lda, const float *b, int ldb, int M, int N,
             int K, float alpha, float beta)
{
    op_count(M, N, K);
    if (precision == GEMM_BF16)
        gemm_bf16(c, ldc, (struct matrix){a, lda, 1}, (struct matrix){b, ldb, 1}, M, N, K, alpha,
                  beta);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, M, N, K, alpha, a, lda, b, ldb,
                    beta, c, ldc);
}

void gemm_tn(float *c, int ldc, const float *a, int lda, const float *b, int ldb, int M, int N,
             int K, float alpha, float beta)
{
    op_count(M, N, K);
    if (precision == GEMM_BF16)
        gemm_bf16(c, ldc, (struct matrix){a, 1, lda}, (struct matrix){b, ldb, 1}, M, N, K, alpha,
                  beta);
    else
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, M, N, K, alpha, a, lda, b, ldb, beta,
                    c, ldc);
}
