// SPDX-License-Identifier: MIT
#include "model/op.h"

#include "model/clock.h"
#include "model/kernels.h"

#include <cblas.h> // brings complex.h
#include <math.h>
#include <stdlib.h>
#include <string.h>

#undef I // complex.h takes the letter of our inner axis

static void fill_rows(float *y, const float *bias, int T, int O)
{
    for (int t = 0; t < T; t++)
        memcpy(y + (size_t)t * O, bias, (size_t)O * sizeof(float));
}

void linear_forward(float *restrict y, const float *restrict x, const float *w, const float *bias,
                    int T, int I, int O)
{
    if (T == 0)
        return;
    if (bias)
        fill_rows(y, bias, T, O);
    gemm_nt(y, O, x, I, w, I, T, O, I, 1.0f, bias ? 1.0f : 0.0f);
}

void linear_backward(float *restrict dx, float beta, float *dw, float *db, const float *dy,
                     const float *x, const float *w, int T, int I, int O)
{
    if (T == 0)
        return;
    if (dx)
        gemm_nn(dx, I, dy, O, w, I, T, I, O, 1.0f, beta);
    gemm_tn(dw, I, dy, O, x, I, O, I, T, 1.0f, 1.0f);
    if (db)
        kernels_get()->columns_add(db, dy, T, O);
}

void conv_forward(float *restrict y, const float *restrict x, const float *w, const float *bias,
                  int T, int I, int O, int K, int S)
{
    if (T == 0)
        return;
    if (bias)
        fill_rows(y, bias, T, O);
    for (int k = 0; k < K; k += S) {
        int taps = K - k < S ? K - k : S;
        gemm_nt(y, O, x + (size_t)k * I, S * I, w + (size_t)k * I, K * I, T, O, taps * I, 1.0f,
                bias || k ? 1.0f : 0.0f);
    }
}

void conv_backward(float *restrict dx, float *dw, float *db, const float *dy, const float *x,
                   const float *w, int T, int I, int O, int K, int S)
{
    if (T == 0)
        return;
    for (int k = 0; k < K; k += S) {
        int taps = K - k < S ? K - k : S;
        size_t at = (size_t)k * I;
        gemm_tn(dw + at, K * I, dy, O, x + at, S * I, O, taps * I, T, 1.0f, 1.0f);
        if (dx)
            gemm_nn(dx + at, S * I, dy, O, w + at, K * I, T, taps * I, O, 1.0f, 1.0f);
    }
    if (db)
        kernels_get()->columns_add(db, dy, T, O);
}

void log_softmax_forward(float *y, const float *x, int T, int C)
{
    for (int t = 0; t < T; t++) {
        const float *in = x + (size_t)t * C;
        float *out = y + (size_t)t * C, max = in[0];
        double sum = 0.0;

        for (int c = 1; c < C; c++)
            max = in[c] > max ? in[c] : max;
        for (int c = 0; c < C; c++)
            sum += exp((double)in[c] - (double)max);
        float log_sum = (float)log(sum) + max;
        for (int c = 0; c < C; c++)
            out[c] = in[c] - log_sum;
    }
}

void log_softmax_backward(float *dx, const float *dy, const float *y, int T, int C)
{
    for (int t = 0; t < T; t++) {
        const float *d = dy + (size_t)t * C, *in = y + (size_t)t * C;
        float *out = dx + (size_t)t * C;
        double sum = 0.0;

        for (int c = 0; c < C; c++)
            sum += d[c];
        for (int c = 0; c < C; c++)
            out[c] = d[c] - (float)(sum * exp((double)in[c]));
    }
}

void op_set_threads(int n)
{
    openblas_set_num_threads(n);
}

const char *op_blas_kernels(void)
{
    return openblas_get_corename();
}

const char *op_better_kernels(const char *chosen, const char *loops)
{
    if (strcmp(chosen, "Prescott"))
        return NULL;
    if (!strcmp(loops, "avx512"))
        return "SkylakeX";
    return strcmp(loops, "avx2") ? NULL : "Haswell";
}

double op_peak(struct error *err)
{
    enum { N = 1024, TRIALS = 5 };
    float *memory = aligned_alloc(64, 3 * sizeof(float) * N * N);
    double best = 0.0;

    if (!memory) {
        fail(err, "out of memory");
        return -1.0;
    }
    for (int i = 0; i < 2 * N * N; i++)
        memory[i] = (float)(i % 31) * 0.01f;
    for (int i = 0; i < TRIALS; i++) {
        double begin = clock_monotonic();
        gemm_nt(memory + 2 * N * N, N, memory, N, memory + N * N, N, N, N, N, 1.0f, 0.0f);
        double rate = 2.0 * N * N * N / (clock_monotonic() - begin);
        best = rate > best ? rate : best;
    }
    free(memory);
    return best;
}

void op_warm_up(void)
{
    enum { N = 64 };
    float a[N * N] = {0}, b[N * N] = {0}, c[N * N];

    gemm_nt(c, N, a, N, b, N, N, N, N, 1.0f, 0.0f);
    gemm_nn(c, N, a, N, b, N, N, N, N, 1.0f, 0.0f);
}
