// SPDX-License-Identifier: MIT
/* test_smooth.c - smoothing gives what going through all paths gives; what came is kept from call
 * to call; flicker goes; hostile numbers do no harm. */
#include "check.h"

#include "stream/smooth.h"

#include <math.h>
#include <string.h>

enum { CLASSES = 3, FRAMES = 7, PATHS = 2187 };

/* Log-probabilities of classes; sure ones are scaled apart. */
static void draw_rows(float *logp, int T, int n, float sure, struct random *rng)
{
    for (int t = 0; t < T; t++) {
        float sum = 0.0f, *row = logp + t * n;
        check_fill(row, (size_t)n, rng);
        for (int k = 0; k < n; k++)
            sum += expf(row[k] *= sure);
        for (int k = 0; k < n; k++)
            row[k] -= logf(sum);
    }
}

/* Posteriors of every frame, given rows 0 .. T-1, by going through all paths of classes. */
static void all_paths(double post[FRAMES][CLASSES], const float *logp, int T, double stay)
{
    double total = 0.0;

    memset(post, 0, sizeof(double[FRAMES][CLASSES]));
    for (int path = 0; path < PATHS; path++) {
        int class[FRAMES], rest = path;
        double p = 1.0;
        for (int t = 0; t < T; t++, rest /= CLASSES) {
            class[t] = rest % CLASSES;
            p *= fmax(exp(logp[t * CLASSES + class[t]]), 1e-4);
            if (t > 0)
                p *= class[t] == class[t - 1] ? stay : (1.0 - stay) / (CLASSES - 1);
        }
        if (rest)
            continue; // a longer path
        total += p;
        for (int t = 0; t < T; t++)
            post[t][class[t]] += p;
    }
    for (int t = 0; t < T; t++) {
        for (int k = 0; k < CLASSES; k++)
            post[t][k] /= total;
    }
}

static void test_all_paths(void **state)
{
    struct random rng;

    random_init(&rng, check_seed());
    for (int trial = 0; trial < 40; trial++) {
        float logp[FRAMES * CLASSES], out[FRAMES * CLASSES];
        double seconds = 0.04 + 0.02 * (double)(random_bits(&rng) % 60), post[FRAMES][CLASSES];
        struct smoother s;

        draw_rows(logp, FRAMES, CLASSES, trial % 2 ? 1.0f : 9.0f, &rng);
        smoother_init(&s, CLASSES, seconds);
        /* In calls of any length: a frame is told by all up to the end of its call. */
        for (int at = 0; at < FRAMES;) {
            int n = 1 + (int)(random_bits(&rng) % 4);
            n = n < FRAMES - at ? n : FRAMES - at;
            smoother_run(&s, out + at * CLASSES, logp + at * CLASSES, n);
            all_paths(post, logp, at + n, 1.0 - 0.02 / seconds);
            for (int i = at * CLASSES; i < (at + n) * CLASSES; i++) {
                double want = post[i / CLASSES][i % CLASSES];
                if (!(fabs(exp(out[i]) - want) < 1e-5))
                    check_fail("frame %d, class %d of %d + %d: %g instead of %g", i / CLASSES,
                               i % CLASSES, at, n, exp(out[i]), want);
            }
            at += n;
        }
        float again[FRAMES * CLASSES], first[FRAMES * CLASSES];
        struct smoother new;
        smoother_reset(&s);
        smoother_init(&new, CLASSES, seconds);
        smoother_run(&s, again, logp, FRAMES);
        smoother_run(&new, first, logp, FRAMES);
        assert_memory_equal(again, first, sizeof(first));
    }
}

static void test_off(void **state)
{
    float logp[20 * 11], out[20 * 11];
    struct smoother s;
    struct random rng;

    random_init(&rng, check_seed());
    draw_rows(logp, 20, 11, 5.0f, &rng);
    smoother_init(&s, 11, 0.0);
    smoother_run(&s, out, logp, 20);
    assert_memory_equal(out, logp, sizeof(out));
}

/* Two speakers, one after the other, with doubt between them in every fourth frame: how many
 * frames behind the change it is told. */
static int frames_late(float likely)
{
    enum { T = 160, BLOCK = 16, CHANGE = 90 };
    static float logp[T * 11], out[T * 11];
    struct powerset p;
    struct smoother s;
    int turns = 0, right = 0;

    powerset_init(&p, 4, 2);
    for (int t = 0; t < T; t++) {
        int speaker = t < CHANGE ? 1 : 2, heard = t % 4 == 3 ? 3 - speaker : speaker;
        float other = t % 4 == 3 ? 0.4f : 0.95f - likely;
        for (int k = 0; k < 11; k++)
            logp[t * 11 + k] = logf(k == heard ? 0.95f - other : k == 3 - heard ? other : 0.05f / 9.0f);
    }
    smoother_init(&s, 11, SMOOTH_SECONDS);
    for (int at = 0; at < T; at += BLOCK)
        smoother_run(&s, out + at * 11, logp + at * 11, BLOCK);
    for (int t = 0; t < T; t++) {
        uint16_t now = powerset_argmax(out + t * 11, &p);
        turns += t == 0 || now != powerset_argmax(out + (t - 1) * 11, &p);
        right += now == (t < CHANGE ? 1u << 0 : 1u << 1);
    }
    assert_int_equal(turns, 2);
    return T - right;
}

/* What is sure is told at once, what is not when there is enough of it. */
static void test_flicker(void **state)
{
    assert_int_equal(frames_late(0.9f), 0);
    assert_in_range(frames_late(0.55f), 1, 48);
}

static void test_hostile(void **state)
{
    static const float bad[] = {NAN, -INFINITY, INFINITY, -1e30f, 1e30f, 0.0f};
    enum { T = 50, N = POWERSET_MAX_CLASSES };
    static float logp[T * N], out[T * N];
    struct smoother s;
    struct random rng;

    random_init(&rng, check_seed());
    smoother_init(&s, N, 1.0);
    for (int call = 0; call < 20; call++) {
        draw_rows(logp, T, N, 30.0f, &rng);
        for (int i = 0; i < T * N; i++) {
            if (random_bits(&rng) % 3 == 0)
                logp[i] = bad[random_bits(&rng) % (call < 10 ? 2 : 6)];
        }
        smoother_run(&s, out, logp, T);
        for (int t = 0; t < T; t++) {
            double sum = 0.0;
            for (int k = 0; k < N; k++)
                sum += exp(out[t * N + k]);
            if (!(fabs(sum - 1.0) < 1e-4))
                check_fail("frame %d of call %d: probabilities sum to %g", t, call, sum);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_paths),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_flicker),
        cmocka_unit_test(test_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
