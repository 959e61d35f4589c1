// SPDX-License-Identifier: MIT
#include "model/gemm_bf16.h"

#include <stdalign.h>
#include <string.h>

/* Blocks: of a 86 KB, of b 192 KB; b's is read again and again from the second cache. */
enum { ROWS = 112, COLUMNS = 256, DEPTH = 384, COLUMNS_PANEL = BF16_COLUMNS };

static uint32_t rounded(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    if (x != x)
        return bits >> 16 | 0x40;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static uint32_t pair(float low, float high)
{
    return rounded(low) | rounded(high) << 16;
}

static void pack_a_plain(uint32_t *words, int down, int across, struct matrix a, int M, int K)
{
    for (int m = 0; m < M; m++) {
        const float *row = a.x + (size_t)m * (size_t)a.down;
        for (int k = 0; k < K; k += 2)
            words[m * down + k / 2 * across] =
                pair(row[(size_t)k * (size_t)a.across],
                     k + 1 < K ? row[(size_t)(k + 1) * (size_t)a.across] : 0.0f);
    }
}

static void pack_b_plain(uint32_t *words, struct matrix b, int N, int K)
{
    int pairs = (K + 1) / 2, panels = (N + COLUMNS_PANEL - 1) / COLUMNS_PANEL;

    for (int n = 0; n < panels * COLUMNS_PANEL; n++) {
        uint32_t *column = words + n / COLUMNS_PANEL * pairs * COLUMNS_PANEL + n % COLUMNS_PANEL;
        const float *x = b.x + (size_t)n * (size_t)b.across;
        for (int k = 0; k < K; k += 2)
            column[k / 2 * COLUMNS_PANEL] =
                n >= N ? 0
                       : pair(x[(size_t)k * (size_t)b.down],
                              k + 1 < K ? x[(size_t)(k + 1) * (size_t)b.down] : 0.0f);
    }
}

static float expanded(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

static void multiply_plain(float *c, int ldc, const uint32_t *a, int down, int across,
                           const uint32_t *panel, int M, int N, int pairs, float alpha, float beta)
{
    for (int m = 0; m < M; m++) {
        float sums[COLUMNS_PANEL] = {0.0f}, *row = c + (size_t)m * (size_t)ldc;
        for (int k = 0; k < pairs; k++) {
            const uint32_t *b = panel + k * COLUMNS_PANEL;
            float low = expanded(a[m * down + k * across] << 16);
            float high = expanded(a[m * down + k * across] & 0xffff0000u);
            for (int n = 0; n < COLUMNS_PANEL; n++)
                sums[n] += low * expanded(b[n] << 16) + high * expanded(b[n] & 0xffff0000u);
        }
        for (int n = 0; n < N; n++)
            row[n] = alpha * sums[n] + (beta != 0.0f ? beta * row[n] : 0.0f);
    }
}

const struct bf16_loops bf16_plain = {pack_a_plain, pack_b_plain, multiply_plain};

static struct matrix part(struct matrix x, int i, int j)
{
    x.x += (size_t)i * (size_t)x.down + (size_t)j * (size_t)x.across;
    return x;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

void gemm_bf16_by(const struct bf16_loops *loops, float *c, int ldc, struct matrix a,
                  struct matrix b, int M, int N, int K, float alpha, float beta)
{
    alignas(64) uint32_t a_words[ROWS * DEPTH / 2], b_words[COLUMNS * DEPTH / 2];

    for (int k = 0; k < K; k += DEPTH) {
        int depth = least(K - k, DEPTH), pairs = (depth + 1) / 2;
        int down = a.across == 1 ? pairs : 1, across = a.across == 1 ? 1 : ROWS;
        float keep = k == 0 ? beta : 1.0f;
        for (int n = 0; n < N; n += COLUMNS) {
            int columns = least(N - n, COLUMNS);
            loops->pack_b(b_words, part(b, k, n), columns, depth);
            for (int m = 0; m < M; m += ROWS) {
                int rows = least(M - m, ROWS);
                loops->pack_a(a_words, down, across, part(a, m, k), rows, depth);
                for (int p = 0; p < columns; p += COLUMNS_PANEL)
                    loops->multiply(c + (size_t)m * (size_t)ldc + n + p, ldc, a_words, down, across,
                                    b_words + p * pairs, rows, least(columns - p, COLUMNS_PANEL),
                                    pairs, alpha, keep);
            }
        }
    }
}

#ifdef KERNELS_X86

int gemm_bf16_is_fast(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bf16");
}

void gemm_bf16(float *c, int ldc, struct matrix a, struct matrix b, int M, int N, int K,
               float alpha, float beta)
{
    gemm_bf16_by(gemm_bf16_is_fast() ? &bf16_avx512 : &bf16_plain, c, ldc, a, b, M, N, K, alpha,
                 beta);
}

#else

int gemm_bf16_is_fast(void)
{
    return 0;
}

void gemm_bf16(float *c, int ldc, struct matrix a, struct matrix b, int M, int N, int K,
               float alpha, float beta)
{
    gemm_bf16_by(&bf16_plain, c, ldc, a, b, M, N, K, alpha, beta);
}

#endif
