// SPDX-License-Identifier: MIT
/* narrow_avx512.c - tiles of four rows of a times four rows of b: sixteen sums of
 * sixteen lanes, eight loads for sixteen multiply-adds. The four rows of b stay in the
 * first cache while all rows of a pass. */
#include "model/narrow_avx512.h"

#include <immintrin.h>
#include <stddef.h>

enum { TILE = 4, LANES = 16 };

/* The sum of the lanes of each of four vectors. */
static __m128 four_sums(__m512 a, __m512 b, __m512 c, __m512 d)
{
    __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    __m512 all = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
    __m512 half = _mm512_add_ps(all, _mm512_shuffle_f32x4(all, all, 0x4e));

    return _mm_add_ps(_mm512_castps512_ps128(half),
                      _mm512_castps512_ps128(_mm512_shuffle_f32x4(half, half, 0xb1)));
}

/* sums[m][n] of the tile; last: which lanes of the last step count. ahead: how far behind
 * b's rows those stand that are asked for already, 0: none. */
static void tile(float sums[TILE][TILE], const float *const a[TILE], const float *const b[TILE],
                 int K, __mmask16 last, size_t ahead)
{
    __m512 s[TILE][TILE];
    int k = 0;

    for (int m = 0; m < TILE; m++)
        for (int n = 0; n < TILE; n++)
            s[m][n] = _mm512_setzero_ps();
    for (; k + LANES <= K; k += LANES) {
        __m512 b0 = _mm512_loadu_ps(b[0] + k), b1 = _mm512_loadu_ps(b[1] + k);
        __m512 b2 = _mm512_loadu_ps(b[2] + k), b3 = _mm512_loadu_ps(b[3] + k);
        for (int n = 0; ahead && n < TILE; n++)
            _mm_prefetch((const char *)(b[n] + k + ahead), _MM_HINT_T0);
        for (int m = 0; m < TILE; m++) {
            __m512 x = _mm512_loadu_ps(a[m] + k);
            s[m][0] = _mm512_fmadd_ps(x, b0, s[m][0]);
            s[m][1] = _mm512_fmadd_ps(x, b1, s[m][1]);
            s[m][2] = _mm512_fmadd_ps(x, b2, s[m][2]);
            s[m][3] = _mm512_fmadd_ps(x, b3, s[m][3]);
        }
    }
    for (int m = 0; last && m < TILE; m++) {
        __m512 x = _mm512_maskz_loadu_ps(last, a[m] + k);
        for (int n = 0; n < TILE; n++)
            s[m][n] = _mm512_fmadd_ps(x, _mm512_maskz_loadu_ps(last, b[n] + k), s[m][n]);
    }
    for (int m = 0; m < TILE; m++)
        _mm_storeu_ps(sums[m], four_sums(s[m][0], s[m][1], s[m][2], s[m][3]));
}

void narrow_nt_avx512(float *c, int ldc, const float *a, int lda, const float *b, int ldb, int M,
                      int N, int K, float alpha, float beta)
{
    __mmask16 last = (__mmask16)((1u << (K % LANES)) - 1u);

    for (int n = 0; n < N; n += TILE) {
        const float *rows_b[TILE];
        int wide = N - n < TILE ? N - n : TILE;
        for (int i = 0; i < TILE; i++) // what is beyond the end is computed and dropped
            rows_b[i] = b + (size_t)(n + (i < wide ? i : 0)) * (size_t)ldb;
        for (int m = 0; m < M; m += TILE) {
            const float *rows_a[TILE];
            float sums[TILE][TILE];
            int high = M - m < TILE ? M - m : TILE;
            for (int i = 0; i < TILE; i++)
                rows_a[i] = a + (size_t)(m + (i < high ? i : 0)) * (size_t)lda;
            tile(sums, rows_a, rows_b, K, last,
                 m == 0 && n + 2 * TILE <= N ? (size_t)ldb * TILE : 0);
            for (int i = 0; i < high; i++) {
                float *out = c + (size_t)(m + i) * (size_t)ldc + n;
                for (int j = 0; j < wide; j++)
                    out[j] = alpha * sums[i][j] + (beta != 0.0f ? beta * out[j] : 0.0f);
            }
        }
    }
}
