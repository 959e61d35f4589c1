// SPDX-License-Identifier: MIT
/* test_kernels.c - every build of the loops: right against double precision, and
 * the same bits as the plain build on random odd shapes. */
#include "check.h"

#include "model/kernels.h"
#include "model/op.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1237 };

static void test_functions_against_libm(void **state)
{
    (void)state;
    const struct kernels *k = kernels_get();

    for (double x = -30.0; x <= 30.0; x += 0.01) {
        float in = (float)x, y;
        double exact = (double)in;

        k->gelu(&y, &in, 1);
        assert_true(fabs(y - 0.5 * exact * (1.0 + erf(exact / sqrt(2.0)))) <=
                    2e-7 * fmax(1.0, fabs(exact)));
        k->swish(&y, &in, 1);
        assert_true(fabs(y - exact / (1.0 + exp(-exact))) <= 4e-7 * fmax(1.0, fabs(exact)));
    }
}

static void test_layer_norm(void **state)
{
    (void)state;
    struct random rng;
    float x[301], y[301], w[301], b[301], mean, rstd;

    random_init(&rng, check_seed());
    for (int C = 1; C <= 301; C += 25) {
        double m = 0.0, v = 0.0;
        check_fill(x, (size_t)C, &rng);
        check_fill(w, (size_t)C, &rng);
        check_fill(b, (size_t)C, &rng);
        for (int c = 0; c < C; c++)
            m += (double)x[c] / C;
        for (int c = 0; c < C; c++)
            v += ((double)x[c] - m) * ((double)x[c] - m) / C;
        kernels_get()->layer_norm(y, &mean, &rstd, x, w, b, 1, C);
        for (int c = 0; c < C; c++)
            assert_true(fabs(((double)x[c] - m) / sqrt(v + 1e-5) * w[c] + b[c] - y[c]) < 5e-6);
    }
}

static void test_softmax(void **state)
{
    (void)state;
    struct random rng;
    float x[77], bias[77], y[77];

    random_init(&rng, check_seed());
    for (int n = 1; n <= 77; n += 4) {
        double sum = 0.0;
        check_fill(x, (size_t)n, &rng);
        check_fill(bias, (size_t)n, &rng);
        x[n / 2] += 80.0f; // far ahead of the others
        memcpy(y, x, sizeof(y));
        kernels_get()->softmax(y, bias, 1.5f, n);
        for (int i = 0; i < n; i++)
            sum += exp((double)x[i] + 1.5 * (double)bias[i]);
        for (int i = 0; i < n; i++)
            assert_true(fabs(exp((double)x[i] + 1.5 * (double)bias[i]) / sum - y[i]) < 1e-6);
    }
}

/* All results of one build on one random shape, one after another. */
static size_t run(float *out, const struct kernels *k, const float *x, const float *w, int T, int C)
{
    float mean[64], rstd[64], *at = out;
    double sum[64] = {0}, squares[64] = {0};
    size_t n = (size_t)T * (size_t)C;

    k->gelu(at, x, n);
    at += n;
    k->swish(at, x, n);
    at += n;
    k->glu(at, x, T / 2, C);
    at += (size_t)(T / 2) * (size_t)C;
    k->layer_norm(at, mean, rstd, x, w, w + 64, T, C);
    at += n;
    memcpy(at, x, n * sizeof(float));
    k->softmax(at, w, 0.7f, C);
    at += n;
    k->add_scaled(at, x, x + 1, 0.3f, n - 1);
    at += n - 1;
    k->scale_shift(at, x, w, w + 64, T, C);
    at += n;
    k->depthwise(at, x, w, w + 64, T - 2, C, 3);
    at += (size_t)(T - 2) * (size_t)C;
    k->moments(sum, squares, x, T, C);
    for (int c = 0; c < C; c++)
        *at++ = (float)(sum[c] + squares[c]);
    *at++ = k->dot(x, x + 3, n - 3);
    memcpy(at, x, n * sizeof(float));
    k->shift_floor(at, w, -0.1f, T, C);
    at += n;
    return (size_t)(at - out);
}

/* Six frames to four by a kernel of three taps, the way a convolution uses them; also
 * against the sum itself. */
static size_t run_winograd(float *out, const struct kernels *k, const float *x, const float *w,
                           int H, int C)
{
    const float g[3] = {0.7f, -0.4f, 0.25f};
    const float u[6] = {g[0] / 4, -(g[0] + g[1] + g[2]) / 6, -(g[0] - g[1] + g[2]) / 6,
                        g[0] / 24 + g[1] / 12 + g[2] / 6, g[0] / 24 - g[1] / 12 + g[2] / 6, g[2]};
    size_t n = (size_t)H * (size_t)C, plane = n + 5;
    const float *from[6];
    float *to[4], *planes = out + 8 * n;

    for (int i = 0; i < 6; i++)
        from[i] = x + (size_t)i * n;
    k->winograd_in(planes, plane, from, n);
    for (size_t i = 0; i < 6; i++)
        for (size_t c = 0; c < n; c++)
            planes[i * plane + c] *= u[i];
    memcpy(out, x, 4 * n * sizeof(float));
    for (int add = 0; add < 2; add++) {
        for (int i = 0; i < 4; i++)
            to[i] = out + (size_t)(4 * add + i) * n;
        memcpy(to[0], x, 4 * n * sizeof(float));
        k->winograd_out((float *const *)to, planes, plane, w, add, H, C);
        for (size_t i = 0; i < 4 * n; i++) {
            double sum = (double)w[i % (size_t)C] + (add ? (double)x[i] : 0.0);
            for (size_t tap = 0; tap < 3; tap++)
                sum += (double)g[tap] * (double)x[i + tap * n];
            assert_true(fabs((sum > 0.0 ? sum : 0.0) - (double)to[0][i]) < 1e-5);
        }
    }
    return 8 * n;
}

static void test_builds_agree_bit_by_bit(void **state)
{
    (void)state;
    static float x[64 * 64], w[256], plain[8 * 64 * 64], other[8 * 64 * 64];
    const struct kernels *const *all = kernels_all();
    struct random rng;

    random_init(&rng, check_seed());
    for (int trial = 0; trial < 200; trial++) {
        int T = 4 + (int)(random_bits(&rng) % 60), C = 1 + (int)(random_bits(&rng) % 60);
        check_fill(x, sizeof(x) / sizeof(*x), &rng);
        check_fill(w, sizeof(w) / sizeof(*w), &rng);
        size_t n = run(plain, all[0], x, w, T, C);
        for (int i = 1; all[i]; i++) {
            run(other, all[i], x, w, T, C);
            if (memcmp(plain, other, n * sizeof(float)))
                check_fail("%s differs from plain at T %d C %d", all[i]->name, T, C);
        }
        n = run_winograd(plain, all[0], x, w, T / 6, C);
        for (int i = 1; all[i]; i++) {
            run_winograd(other, all[i], x, w, T / 6, C);
            if (memcmp(plain, other, n * sizeof(float)))
                check_fail("%s differs from plain in winograd, C %d", all[i]->name, C);
        }
    }
}

/* Only the choice for a processor that OpenBLAS does not know is ours to change. */
static void test_kernels_that_openblas_should_have_chosen(void **state)
{
    static const struct { const char *chosen, *loops, *better; } cases[] = {
        {"Prescott", "avx512", "SkylakeX"}, {"Prescott", "avx2", "Haswell"}, {"Prescott", "plain", NULL},
        {"Haswell", "avx512", NULL}, {"SkylakeX", "avx512", NULL}, {"Zen", "avx512", NULL}, {"ARMV8", "plain", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *better = op_better_kernels(cases[i].chosen, cases[i].loops);

        if (!better != !cases[i].better || (better && strcmp(better, cases[i].better)))
            check_fail("%s with %s loops: %s", cases[i].chosen, cases[i].loops, better ? better : "kept");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_against_libm),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_builds_agree_bit_by_bit),
        cmocka_unit_test(test_kernels_that_openblas_should_have_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
