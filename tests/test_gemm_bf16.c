// SPDX-License-Identifier: MIT
/* test_gemm_bf16.c - products in bfloat16: both loops against the sum in double precision
 * of rounded factors, on random odd shapes, strides and factors; nothing is read or
 * written beside them; and the switch. */
#include "check.h"

#include "model/gemm.h"
#include "model/gemm_bf16.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int below(struct random *rng, int n)
{
    return (int)(random_bits(rng) % (uint64_t)n);
}

/* Another way to round: the nearest multiple of the last place, ties to even. */
static double rounded(float x)
{
    int exponent;

    if (x == 0.0f)
        return 0.0;
    frexp(x, &exponent);
    return ldexp(rint(ldexp(x, 8 - exponent)), exponent - 8);
}

/* A matrix that ends where its memory does, for a sanitizer to see. */
static struct matrix draw(int rows, int columns, int turned, struct random *rng)
{
    int width = turned ? rows : columns, n = turned ? columns : rows;
    int stride = width + below(rng, 5);
    size_t floats = (size_t)(n - 1) * (size_t)stride + (size_t)width;
    float *x = malloc(floats * sizeof(float));

    check_fill(x, floats, rng);
    return turned ? (struct matrix){x, 1, stride} : (struct matrix){x, stride, 1};
}

static double sum_of(struct matrix a, struct matrix b, int m, int n, int K)
{
    double sum = 0.0;

    for (int k = 0; k < K; k++)
        sum += rounded(a.x[m * a.down + k * a.across]) * rounded(b.x[k * b.down + n * b.across]);
    return sum;
}

static void check_one(const struct bf16_loops *loops, int M, int N, int K, struct random *rng)
{
    static const float alphas[] = {1.0f, 0.125f, -0.7f}, betas[] = {0.0f, 1.0f, 0.5f};
    float alpha = alphas[below(rng, 3)], beta = betas[below(rng, 3)];
    struct matrix a = draw(M, K, below(rng, 2), rng), b = draw(K, N, below(rng, 2), rng);
    int ldc = N + below(rng, 5);
    size_t floats = (size_t)(M - 1) * (size_t)ldc + (size_t)N;
    float *c = malloc(floats * sizeof(float)), *before = malloc(floats * sizeof(float));

    check_fill(c, floats, rng);
    memcpy(before, c, floats * sizeof(float));
    if (beta == 0.0f) // what is there does not count
        c[0] = NAN;
    gemm_bf16_by(loops, c, ldc, a, b, M, N, K, alpha, beta);
    for (size_t at = 0; at < floats; at++) {
        int m = (int)(at / (size_t)ldc), n = (int)(at % (size_t)ldc);
        double want = before[at];
        if (n < N)
            want = alpha * sum_of(a, b, m, n, K) + (beta != 0.0f ? beta * before[at] : 0.0);
        if (!(fabs(c[at] - want) < 2e-6 * (8.0 + sqrt(K))))
            check_fail("%d x %d x %d at %d, %d: %.8g instead of %.8g", M, N, K, m, n, c[at], want);
    }
    free((float *)a.x);
    free((float *)b.x);
    free(c);
    free(before);
}

static void check_loops(const struct bf16_loops *loops)
{
    struct random rng;

    random_init(&rng, check_seed());
    for (int i = 0; i < 300; i++)
        check_one(loops, 1 + below(&rng, 40), 1 + below(&rng, 70), 1 + below(&rng, 100), &rng);
    for (int i = 0; i < 4; i++) // more than a block, each way
        check_one(loops, 100 + below(&rng, 40), 250 + below(&rng, 40), 380 + below(&rng, 40), &rng);
}

static void test_plain(void **state)
{
    check_loops(&bf16_plain);
}

static void test_fast(void **state)
{
    if (!gemm_bf16_is_fast())
        skip();
#ifdef KERNELS_X86
    check_loops(&bf16_avx512);
#endif
}

static void *in_another_thread(void *user)
{
    *(enum gemm_precision *)user = gemm_set_precision(GEMM_F32);
    return NULL;
}

/* The three products take the precision that their thread has, and count the same. */
static void test_switch(void **state)
{
    enum { M = 3, N = 5, K = 7 };
    const float third = 1.0f / 3.0f;
    float a[M * K], b[K * N], c[3][M * N];
    pthread_t thread;
    enum gemm_precision other = GEMM_BF16;
    double before = op_flops();

    for (int i = 0; i < K * N; i++)
        b[i] = third;
    for (int i = 0; i < M * K; i++)
        a[i] = third;
    assert_int_equal(gemm_set_precision(GEMM_BF16), GEMM_F32);
    assert_int_equal(pthread_create(&thread, NULL, in_another_thread, &other), 0);
    pthread_join(thread, NULL);
    assert_int_equal(other, GEMM_F32);
    gemm_nt(c[0], N, a, K, b, K, M, N, K, 1.0f, 0.0f);
    gemm_nn(c[1], N, a, K, b, N, M, N, K, 1.0f, 0.0f);
    gemm_tn(c[2], N, a, M, b, N, M, N, K, 1.0f, 0.0f);
    assert_true(op_flops() - before == 3 * 2.0 * M * N * K);
    assert_int_equal(gemm_set_precision(GEMM_F32), GEMM_BF16);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < M * N; k++)
            assert_true(fabs(c[i][k] - K * rounded(third) * rounded(third)) < 1e-6);
    }
    gemm_nn(c[1], N, a, K, b, N, M, N, K, 1.0f, 0.0f);
    assert_true(fabs(c[1][0] - K / 9.0) < 1e-6 && c[1][0] != c[0][0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_fast),
        cmocka_unit_test(test_switch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
