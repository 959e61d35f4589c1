// SPDX-License-Identifier: MIT
#include "model/gemm.h"

#include "model/gemm_bf16.h"
#include "model/narrow.h"

#include <cblas.h>
#include <string.h>

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

void windows_apart(float *apart, const float *a, int step, int M, int K)
{
    for (int m = 0; m < M; m++)
        memcpy(apart + (size_t)m * (size_t)K, a + (size_t)m * (size_t)step,
               (size_t)K * sizeof(float));
}

void gemm_nt_windows(float *c, int ldc, const float *a, int step, float *apart, const float *b,
                     int ldb, int M, int N, int K)
{
    op_count(M, N, K);
    if (precision == GEMM_BF16) {
        gemm_bf16(c, ldc, (struct matrix){a, step, 1}, (struct matrix){b, 1, ldb}, M, N, K, 1.0f,
                  1.0f);
    } else if (!narrow_nt(c, ldc, a, step, b, ldb, M, N, K, 1.0f, 1.0f)) {
        windows_apart(apart, a, step, M, K);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, M, N, K, 1.0f, apart, K, b, ldb, 1.0f,
                    c, ldc);
    }
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
