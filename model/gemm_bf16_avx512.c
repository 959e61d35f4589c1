// SPDX-License-Identifier: MIT
/* gemm_bf16_avx512.c - gemm_bf16.h's loops with AVX512_BF16: tiles of 14 rows and 32
 * columns, 28 sums in registers, two loads and 14 broadcasts for 28 instructions. */
#include "model/gemm_bf16.h"

#include <immintrin.h>
#include <stddef.h>

enum { LANES = 16, COLUMNS = BF16_COLUMNS };

static __mmask16 first(int n)
{
    return n >= LANES ? 0xffff : n > 0 ? (__mmask16)((1u << n) - 1) : 0;
}

/* Pairs (low[i], high[i]). */
static __m512i zip(__m512 low, __m512 high)
{
    const __m512i halves = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9,
                                            24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1,
                                            16, 0);

    return _mm512_permutexvar_epi16(halves, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

/* Up to 32 numbers from x, as 16 pairs of neighbours. */
static __m512i neighbours(const float *x, int n)
{
    __m512 low = _mm512_maskz_loadu_ps(first(n), x);
    __m512 high = n > LANES ? _mm512_maskz_loadu_ps(first(n - LANES), x + LANES)
                            : _mm512_setzero_ps();

    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* Pairs of rows k and k + 1 of x, in columns 0 .. n - 1. */
static __m512i zip_rows(const float *x, int stride, int k, int K, int n)
{
    __m512 low = _mm512_maskz_loadu_ps(first(n), x + (size_t)k * (size_t)stride);
    __m512 high = k + 1 < K ? _mm512_maskz_loadu_ps(first(n), x + (size_t)(k + 1) * (size_t)stride)
                            : _mm512_setzero_ps();

    return zip(low, high);
}

static void pack_a(uint32_t *words, int down, int across, struct matrix a, int M, int K)
{
    int pairs = (K + 1) / 2;

    if (a.across == 1) {
        for (int m = 0; m < M; m++) {
            for (int k = 0; k < K; k += 2 * LANES)
                _mm512_mask_storeu_epi32(words + m * down + k / 2 * across, first(pairs - k / 2),
                                         neighbours(a.x + (size_t)m * (size_t)a.down + k, K - k));
        }
        return;
    }
    for (int k = 0; k < K; k += 2) {
        for (int m = 0; m < M; m += LANES)
            _mm512_mask_storeu_epi32(words + m * down + k / 2 * across, first(M - m),
                                     zip_rows(a.x + m, a.across, k, K, M - m));
    }
}

/* Rows and columns of 16 x 16 words change places. */
static void transpose(__m512i r[LANES])
{
    __m512i t[LANES];

    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 8; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    }
}

/* 16 columns of b, contiguous along k. */
static void pack_columns(uint32_t *words, struct matrix b, int N, int K)
{
    int pairs = (K + 1) / 2;

    for (int k = 0; k < K; k += 2 * LANES) {
        __m512i r[LANES];
        for (int i = 0; i < LANES; i++)
            r[i] = i < N ? neighbours(b.x + (size_t)i * (size_t)b.across + k, K - k)
                         : _mm512_setzero_si512();
        transpose(r);
        for (int i = 0; i < LANES && k / 2 + i < pairs; i++)
            _mm512_store_si512(words + (k / 2 + i) * COLUMNS, r[i]);
    }
}

static void pack_b(uint32_t *words, struct matrix b, int N, int K)
{
    int pairs = (K + 1) / 2;

    for (int n = 0; n < (N + COLUMNS - 1) / COLUMNS * COLUMNS; n += LANES) {
        uint32_t *at = words + n / COLUMNS * pairs * COLUMNS + n % COLUMNS;
        if (b.down == 1 && b.across != 1) {
            struct matrix columns = b;
            columns.x += (size_t)(n < N ? n : 0) * (size_t)b.across;
            pack_columns(at, columns, N - n, K);
            continue;
        }
        for (int k = 0; k < K; k += 2)
            _mm512_store_si512(at + k / 2 * COLUMNS,
                               zip_rows(b.x + (n < N ? n : 0), b.down, k, K, N - n));
    }
}

/* One tile; R is a constant where it is called. */
static inline __attribute__((always_inline)) void
tile(float *c, int ldc, const uint32_t *a, int down, int across, const uint32_t *panel, int R,
     int N, int pairs, __m512 alpha, float beta)
{
    __m512 s[14][2];
    __mmask16 left = first(N), right = first(N - LANES);

#pragma GCC unroll 14
    for (int i = 0; i < R; i++)
        s[i][0] = s[i][1] = _mm512_setzero_ps();
    for (int k = 0; k < pairs; k++) {
        __m512bh b0 = (__m512bh)_mm512_load_si512(panel + k * COLUMNS);
        __m512bh b1 = (__m512bh)_mm512_load_si512(panel + k * COLUMNS + LANES);
#pragma GCC unroll 14
        for (int i = 0; i < R; i++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32((int)a[i * down + k * across]);
            s[i][0] = _mm512_dpbf16_ps(s[i][0], x, b0);
            s[i][1] = _mm512_dpbf16_ps(s[i][1], x, b1);
        }
    }
#pragma GCC unroll 14
    for (int i = 0; i < R; i++) {
        float *row = c + (size_t)i * (size_t)ldc;
        __m512 y0 = _mm512_mul_ps(alpha, s[i][0]), y1 = _mm512_mul_ps(alpha, s[i][1]);
        if (beta != 0.0f) {
            y0 = _mm512_fmadd_ps(_mm512_set1_ps(beta), _mm512_maskz_loadu_ps(left, row), y0);
            if (right)
                y1 = _mm512_fmadd_ps(_mm512_set1_ps(beta),
                                     _mm512_maskz_loadu_ps(right, row + LANES), y1);
        }
        _mm512_mask_storeu_ps(row, left, y0);
        if (right)
            _mm512_mask_storeu_ps(row + LANES, right, y1);
    }
}

static void multiply(float *c, int ldc, const uint32_t *a, int down, int across,
                     const uint32_t *panel, int M, int N, int pairs, float alpha, float beta)
{
    __m512 by = _mm512_set1_ps(alpha);
    int m = 0;

#define TILES(R)                                                                                   \
    for (; m + (R) <= M; m += (R))                                                                 \
        tile(c + (size_t)m * (size_t)ldc, ldc, a + m * down, down, across, panel, R, N, pairs, by, beta)
    TILES(14);
    TILES(8);
    TILES(4);
    TILES(2);
    TILES(1);
#undef TILES
}

const struct bf16_loops bf16_avx512 = {pack_a, pack_b, multiply};
