// SPDX-License-Identifier: MIT
/* test_narrow.c - products of few rows against the plain sum in double precision, on
 * random odd shapes, strides and factors; nothing is read or written beside them. The
 * same of windows that overlap. */
#include "check.h"

#include "model/gemm.h"
#include "model/narrow.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int below(struct random *rng, int n)
{
    return (int)(random_bits(rng) % (uint64_t)n);
}

/* Matrices that end where their memory does, for a sanitizer to see. */
static float *rows(int n, int width, int stride, struct random *rng)
{
    size_t floats = (size_t)(n - 1) * (size_t)stride + (size_t)width;
    float *x = malloc(floats * sizeof(float));

    check_fill(x, floats, rng);
    return x;
}

static void check_one(int M, int N, int K, struct random *rng)
{
    static const float alphas[] = {1.0f, 0.125f, -0.7f}, betas[] = {0.0f, 1.0f, 0.5f};
    int lda = K + below(rng, 5), ldb = K + below(rng, 5), ldc = N + below(rng, 5);
    float alpha = alphas[below(rng, 3)], beta = betas[below(rng, 3)];
    float *a = rows(M, K, lda, rng), *b = rows(N, K, ldb, rng), *c = rows(M, N, ldc, rng);
    size_t floats = (size_t)(M - 1) * (size_t)ldc + (size_t)N;
    float *before = malloc(floats * sizeof(float));

    memcpy(before, c, floats * sizeof(float));
    if (beta == 0.0f) // what is there does not count
        c[0] = NAN;
    if (!narrow_nt(c, ldc, a, lda, b, ldb, M, N, K, alpha, beta)) {
        assert_true(isnan(c[0]) || !memcmp(before, c, floats * sizeof(float)));
        c[0] = before[0];
        goto done;
    }
    for (int m = 0; m < M; m++) {
        for (int n = 0; n < ldc && (size_t)m * (size_t)ldc + (size_t)n < floats; n++) {
            size_t at = (size_t)m * (size_t)ldc + (size_t)n;
            double sum = 0.0;
            for (int k = 0; n < N && k < K; k++)
                sum += (double)a[m * lda + k] * b[n * ldb + k];
            double want = n < N ? alpha * sum + (beta != 0.0f ? beta * before[at] : 0.0) : before[at];
            if (!(fabs(c[at] - want) < 2e-6 * (8.0 + sqrt(K))))
                check_fail("%d x %d x %d at %d, %d: %.8g instead of %.8g", M, N, K, m, n, c[at], want);
        }
    }
done:
    free(a);
    free(b);
    free(c);
    free(before);
}

static void test_odd_shapes(void **state)
{
    struct random rng;

    random_init(&rng, check_seed());
    for (int i = 0; i < 400; i++)
        check_one(1 + below(&rng, NARROW_ROWS + 4), 1 + below(&rng, 60), 1 + below(&rng, 150), &rng);
    for (int k = 15; k <= 49; k++)
        check_one(5, 9, k, &rng);
}

/* A row's result does not depend on how many there are. */
static void test_rows_are_apart(void **state)
{
    enum { M = 19, N = 21, K = 77 };
    struct random rng;
    float a[M * K], b[N * K], all[M * N], one[N];

    random_init(&rng, check_seed());
    check_fill(a, M * K, &rng);
    check_fill(b, N * K, &rng);
    if (!narrow_nt(all, N, a, K, b, K, M, N, K, 1.0f, 0.0f))
        return;
    for (int m = 0; m < M; m++) {
        assert_int_equal(narrow_nt(one, N, a + m * K, K, b, K, 1, N, K, 1.0f, 0.0f), 1);
        assert_memory_equal(one, all + m * N, sizeof(one));
    }
}

/* Windows that overlap, of few rows and of more than narrow loops take. */
static void test_windows(void **state)
{
    struct random rng;

    random_init(&rng, check_seed());
    for (int round = 0; round < 60; round++) {
        int M = 1 + below(&rng, 2 * NARROW_ROWS), N = 1 + below(&rng, 40), K = 1 + below(&rng, 90);
        int step = 1 + below(&rng, K + 3), ldb = K + below(&rng, 5), ldc = N + below(&rng, 5);
        float *a = rows(M, K, step, &rng), *b = rows(N, K, ldb, &rng), *c = rows(M, N, ldc, &rng);
        size_t floats = (size_t)(M - 1) * (size_t)ldc + (size_t)N;
        float *want = malloc(floats * sizeof(float));
        float *apart = malloc((size_t)(M * K) * sizeof(float));

        memcpy(want, c, floats * sizeof(float));
        for (int m = 0; m < M; m++) {
            for (int n = 0; n < N; n++) {
                double sum = c[m * ldc + n];
                for (int k = 0; k < K; k++)
                    sum += (double)a[m * step + k] * b[n * ldb + k];
                want[m * ldc + n] = (float)sum;
            }
        }
        gemm_nt_windows(c, ldc, a, step, apart, b, ldb, M, N, K);
        check_close("products", c, want, floats, 2e-5);
        free(apart);
        free(want);
        free(c);
        free(b);
        free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_odd_shapes),
        cmocka_unit_test(test_rows_are_apart),
        cmocka_unit_test(test_windows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
