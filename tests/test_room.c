// SPDX-License-Identifier: MIT
/* Convolution against its definition; rooms against what they were drawn to be. */
#include "tests/check.h"

#include "prune/biquad.h"
#include "prune/convolve.h"
#include "prune/draw.h"
#include "prune/room.h"

#include <stdlib.h>
#include <string.h>

struct track {
    const float *x;
    int64_t n;
};

static int pull(void *context, float *dst, int64_t from, int n)
{
    const struct track *t = context;
    int any = 0;

    assert_true(from >= 0 && from + n <= t->n);
    for (int i = 0; i < n; i++)
        any |= t->x[from + i] != 0.0f;
    if (any)
        memcpy(dst, t->x + from, (size_t)n * sizeof(float));
    return any;
}

static void test_convolution(void **state)
{
    static const int taps[] = {1, 2, 700, 1024, 1025, 9000, CONVOLVE_MAX_TAPS};
    enum { N = 50000 };
    struct convolver c;
    struct convolve_space s;
    struct response *r = malloc(sizeof(*r));
    float *x = calloc(N, sizeof(float)), *got = calloc(N, sizeof(float));
    struct random rng;
    struct error err;

    random_init(&rng, check_seed());
    check_fill(x, 9000, &rng);
    check_fill(x + 45000, 5000, &rng);
    assert_int_equal(convolver_open(&c, &err), 0);
    assert_int_equal(convolve_space_open(&s, &err), 0);
    for (size_t k = 0; k < sizeof(taps) / sizeof(*taps); k++) {
        struct track t = {x, N};
        r->n = taps[k];
        r->delay = draw_below(&rng, taps[k]);
        check_fill(r->taps, (size_t)r->n, &rng);
        for (int i = 0; i < N; i++)
            got[i] = 1.0f;
        convolve_add(&c, &s, got, N, r, 0.5f, pull, &t);
        for (int check = 0; check < 300; check++) {
            int i = check < 2 ? check * (N - 1) : draw_below(&rng, N);
            double want = 1.0;
            for (int m = 0; m < r->n; m++) {
                int from = i + r->delay - m;
                want += from >= 0 && from < N ? 0.5 * r->taps[m] * x[from] : 0.0;
            }
            if (fabs(want - got[i]) > 1e-3)
                check_fail("%d taps: sample %d is %g, should be %g", r->n, i, got[i], want);
        }
    }
    convolve_space_close(&s);
    convolver_close(&c);
    free(r);
    free(x);
    free(got);
}

/* Reverberation time by Schroeder's backward integral, from -5 to -30 dB. */
static double measured_rt60(const struct response *r)
{
    double *left = calloc((size_t)r->n + 1, sizeof(*left)), result;
    int from = 0, to = 0;

    for (int i = r->n - 1; i >= 0; i--)
        left[i] = left[i + 1] + (double)r->taps[i] * r->taps[i];
    while (left[from] > left[0] * pow(10.0, -0.5))
        from++;
    while (left[to] > left[0] * pow(10.0, -3.0))
        to++;
    result = 60.0 / 25.0 * (to - from) / 16000.0;
    free(left);
    return result;
}

static void test_reverberation_time(void **state)
{
    struct response *r = malloc(sizeof(*r));
    struct random rng;
    double ratio = 0.0;

    random_init(&rng, check_seed());
    for (int i = 0; i < 40; i++) {
        struct room room;
        float place[3];
        room_draw(&room, 0.25f, 0.8f, &rng);
        room.high_rt60 = 1.0f; // else two slopes are one too many
        room_place(place, &room, draw_between(&rng, 1.0f, 4.0f), &rng);
        room_response(r, &room, place, &rng);
        double one = measured_rt60(r) / room.rt60;
        if (one < 0.7 || one > 1.4)
            check_fail("room %d of %g s measures %g s", i, room.rt60, one * room.rt60);
        ratio += one / 40.0;
    }
    assert_true(ratio > 0.88 && ratio < 1.12);
    free(r);
}

/* The direct sound is where labels think it is, and energy where it should be:
 * mostly direct when near, mostly reverberant when far. */
static void test_distance(void **state)
{
    struct room room = {{6.0f, 5.0f, 3.0f}, 0.5f, 0.8f, {3.0f, 2.5f, 1.0f}};
    const float near[3] = {3.2f, 2.5f, 1.1f}, far[3] = {5.7f, 0.4f, 1.7f};
    struct response *r = malloc(sizeof(*r));
    struct random rng;
    double share[2];

    random_init(&rng, check_seed());
    for (int k = 0; k < 2; k++) {
        double energy = 0.0, direct = 0.0;
        room_response(r, &room, k ? far : near, &rng);
        for (int i = 0; i < r->n; i++) {
            energy += (double)r->taps[i] * r->taps[i];
            direct += abs(i - r->delay) <= 8 ? (double)r->taps[i] * r->taps[i] : 0.0;
            if (i < r->delay - 8)
                assert_true(fabsf(r->taps[i]) < 1e-6f);
        }
        assert_true(fabs(energy - 1.0) < 1e-3);
        share[k] = direct;
    }
    assert_true(share[0] > 0.7 && share[1] < 0.3 && share[1] > 0.005);
    free(r);
}

static void test_places(void **state)
{
    struct random rng;

    random_init(&rng, check_seed());
    for (int i = 0; i < 2000; i++) {
        struct room room;
        float place[3], sum = 0.0f, distance;
        room_draw(&room, 0.1f, 0.8f, &rng);
        distance = room_place(place, &room, draw_between(&rng, 0.2f, 5.0f), &rng);
        for (int k = 0; k < 3; k++) {
            assert_true(place[k] > 0.0f && place[k] < room.size[k]);
            assert_true(room.mic[k] > 0.0f && room.mic[k] < room.size[k]);
            sum += (place[k] - room.mic[k]) * (place[k] - room.mic[k]);
        }
        assert_true(fabsf(distance - sqrtf(sum)) < 1e-4f);
    }
}

/* Gain of a filter at a frequency, from its response to a sine. */
static double gain_at(struct biquad f, double hz)
{
    enum { N = 16000 };
    static float x[N];
    double in = 0.0, out = 0.0;

    for (int i = 0; i < N; i++)
        x[i] = (float)sin(6.283185307179586 * hz * i / 16000.0);
    biquad_run(&f, x, N);
    for (int i = N / 2; i < N; i++) {
        double y = sin(6.283185307179586 * hz * i / 16000.0);
        in += y * y;
        out += (double)x[i] * x[i];
    }
    return 10.0 * log10(out / in);
}

static void test_filters(void **state)
{
    assert_true(fabs(gain_at(biquad_low_pass(1000.0f, 0.7071f), 1000.0) + 3.01) < 0.1);
    assert_true(gain_at(biquad_low_pass(1000.0f, 0.7071f), 4000.0) < -23.0);
    assert_true(fabs(gain_at(biquad_low_pass(1000.0f, 0.7071f), 50.0)) < 0.05);
    assert_true(fabs(gain_at(biquad_high_pass(1000.0f, 0.7071f), 1000.0) + 3.01) < 0.1);
    assert_true(gain_at(biquad_high_pass(1000.0f, 0.7071f), 200.0) < -26.0);
    assert_true(fabs(gain_at(biquad_peak(1000.0f, 1.0f, 6.0f), 1000.0) - 6.0) < 0.05);
    assert_true(fabs(gain_at(biquad_peak(1000.0f, 1.0f, 6.0f), 40.0)) < 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolution), cmocka_unit_test(test_reverberation_time),
        cmocka_unit_test(test_distance), cmocka_unit_test(test_places),
        cmocka_unit_test(test_filters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
