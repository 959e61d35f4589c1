// SPDX-License-Identifier: MIT
/* test_calibrate.c - the readout of discriminant analysis has the covariances it promises,
 * and tells speakers apart where the sums themselves do not. */
#include "check.h"

#include "prune/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        check_fail("%g, not %g", got, want);
}

enum { C = 12, E = 3, FRAMES = 400, SPEAKERS = 300 };

static float normal(struct random *rng)
{
    float sum = 0.0f;

    for (int i = 0; i < 12; i++)
        sum += random_uniform(rng);
    return sum - 6.0f;
}

/* A speaker: a point on the axes 0 .. E-1; all frames lie far from the middle, and vary
 * most from second to second on the other axes. */
static void speaker_frames(float *x, struct random *rng)
{
    float point[E], drift[C];

    for (int e = 0; e < E; e++)
        point[e] = 0.5f * (float)(E - e) * normal(rng);
    for (int t = 0; t < FRAMES; t++) {
        for (int c = 0; t % CALIBRATE_STRETCH == 0 && c < C; c++)
            drift[c] = (c < E ? 0.2f : 5.0f) * normal(rng);
        for (int c = 0; c < C; c++)
            x[t * C + c] = 20.0f + (c < E ? point[c] : 0.0f) + drift[c] + 0.1f * normal(rng);
    }
}

static const struct calibration_settings settings = {.ridge = 1e-6};

struct fitted {
    float weight[E * C], bias[E];
};

static void fit(struct fitted *f, struct random *rng)
{
    static float frames[FRAMES * C];
    struct calibration k;
    struct error err;

    if (calibration_open(&k, C, CALIBRATE_STRETCH, &err))
        check_fail("%s", err.text);
    for (int i = 0; i < SPEAKERS; i++) {
        speaker_frames(frames, rng);
        assert_int_equal(calibration_add(&k, CALIBRATE_SOMEBODY_NEW, frames, C, FRAMES, &err), 0);
    }
    calibration_add(&k, CALIBRATE_SOMEBODY_NEW, frames, C, CALIBRATE_STRETCH + 10, &err); // too little
    assert_int_equal(calibration_people(&k), SPEAKERS);
    if (calibration_fit(f->weight, C, f->bias, &k, E, &settings, &err))
        check_fail("%s", err.text);
    calibration_close(&k);
}

static void map(float *y, const struct fitted *f, const float *x)
{
    for (int e = 0; e < E; e++) {
        y[e] = f->bias[e];
        for (int c = 0; c < C; c++)
            y[e] += f->weight[e * C + c] * x[c];
    }
}

/* On speakers that it was not made from: stretches vary by 1 about the speaker on every
 * axis, speakers lie about 0, and the first axis tells most. */
static void test_covariances(void **state)
{
    (void)state;
    static float frames[FRAMES * C];
    struct random rng;
    struct fitted f;
    double within[E * E] = {0}, mean[E] = {0}, between[E] = {0};
    const int n = FRAMES / CALIBRATE_STRETCH;

    random_init(&rng, check_seed());
    fit(&f, &rng);
    for (int i = 0; i < SPEAKERS; i++) {
        double y[FRAMES / CALIBRATE_STRETCH][E] = {{0}}, own[E] = {0};
        speaker_frames(frames, &rng);
        for (int t = 0; t < FRAMES; t++) {
            float one[E];
            map(one, &f, frames + t * C);
            for (int e = 0; e < E; e++)
                y[t / CALIBRATE_STRETCH][e] += (double)one[e] / CALIBRATE_STRETCH;
        }
        for (int e = 0; e < E; e++) {
            for (int s = 0; s < n; s++)
                own[e] += y[s][e] / n;
            mean[e] += own[e] / SPEAKERS;
            between[e] += own[e] * own[e] / SPEAKERS;
        }
        for (int a = 0; a < E * E; a++) {
            for (int s = 0; s < n; s++)
                within[a] += (y[s][a / E] - own[a / E]) * (y[s][a % E] - own[a % E]) /
                             ((n - 1) * SPEAKERS);
        }
    }
    for (int a = 0; a < E * E; a++)
        near(within[a], a / E == a % E ? 1.0 : 0.0, 0.15);
    for (int e = 0; e < E; e++)
        assert_true(fabs(mean[e]) < 0.3 * sqrt(between[e]));
    assert_true(between[0] > between[1] && between[1] > between[2]);
}

static double error_of(const float *vectors, const int *n, int width, double *distance)
{
    struct vector_trials v = {0};
    struct error err;
    double percent = NAN;

    if (vector_trials_add(&v, vectors, n, 20, width, &err) ||
        vector_trials_equal_error(&percent, distance, &v, &err))
        check_fail("%s", err.text);
    assert_int_equal(v.same.n, 20 * (FRAMES / CALIBRATE_STRETCH));
    assert_int_equal(v.different.n, 19 * v.same.n);
    vector_trials_close(&v);
    return percent;
}

static void test_error_falls(void **state)
{
    (void)state;
    static float sums[20 * FRAMES * C], vectors[20 * FRAMES * E];
    struct random rng;
    struct fitted f;
    double before, after, distance;
    int n[20];

    random_init(&rng, check_seed());
    fit(&f, &rng);
    for (int i = 0; i < 20; i++) {
        n[i] = FRAMES;
        speaker_frames(sums + i * FRAMES * C, &rng);
    }
    for (int t = 0; t < 20 * FRAMES; t++)
        map(vectors + t * E, &f, sums + t * C);
    before = error_of(sums, n, C, &distance);
    after = error_of(vectors, n, E, &distance);
    assert_true(before > 30.0);
    assert_true(after < 0.6 * before);
    assert_true(distance >= 0.05 && distance <= 1.95);
}

/* The voice is on axis 0, the room, which differs more, on axis 1: who is numbered is told from
 * others by the voice, who is somebody new in each room by the room. */
static void test_rooms(void **state)
{
    (void)state;
    enum { PEOPLE = 40, ROOMS = 6 };
    static float frames[FRAMES * 2];
    struct random rng;
    struct error err;

    random_init(&rng, check_seed());
    for (int numbered = 0; numbered < 2; numbered++) {
        struct calibration k;
        float weight[2], bias, voice[PEOPLE];
        assert_int_equal(calibration_open(&k, 2, 200, &err), 0);
        for (int i = 0; i < PEOPLE; i++)
            voice[i] = normal(&rng);
        for (int i = 0; i < PEOPLE * ROOMS; i++) {
            float room = 3.0f * normal(&rng);
            for (int t = 0; t < FRAMES; t++) {
                frames[2 * t] = voice[i % PEOPLE] + normal(&rng);
                frames[2 * t + 1] = room + normal(&rng);
            }
            int who = numbered ? PEOPLE - 1 - i % PEOPLE : CALIBRATE_SOMEBODY_NEW;
            assert_int_equal(calibration_add(&k, who, frames, 2, FRAMES, &err), 0);
        }
        assert_int_equal(calibration_people(&k), numbered ? PEOPLE : PEOPLE * ROOMS);
        assert_int_equal(calibration_fit(weight, 2, &bias, &k, 1, &settings, &err), 0);
        assert_true(numbered ? fabsf(weight[0]) > 3.0f * fabsf(weight[1])
                             : fabsf(weight[1]) > fabsf(weight[0]));
        calibration_close(&k);
    }
}

/* Rows are those without a scale, times numbers that fall and whose mean square is the scale's. */
static void test_scale(void **state)
{
    (void)state;
    static float frames[FRAMES * C];
    const struct calibration_settings scaled = {.ridge = 1e-6, .scale = 0.5};
    struct calibration k;
    struct fitted as, with;
    struct random rng;
    struct error err;
    float by[E], sum = 0.0f;

    random_init(&rng, check_seed());
    assert_int_equal(calibration_open(&k, C, CALIBRATE_STRETCH, &err), 0);
    for (int i = 0; i < 60; i++) {
        speaker_frames(frames, &rng);
        assert_int_equal(calibration_add(&k, i, frames, C, FRAMES, &err), 0);
    }
    assert_int_equal(calibration_fit(as.weight, C, as.bias, &k, E, &settings, &err), 0);
    assert_int_equal(calibration_fit(with.weight, C, with.bias, &k, E, &scaled, &err), 0);
    for (int e = 0; e < E; e++) {
        by[e] = with.weight[e * C] / as.weight[e * C];
        sum += by[e] * by[e] / E;
        near(with.bias[e], by[e] * as.bias[e], 1e-3 * (fabs(with.bias[e]) + 1.0));
        for (int c = 0; c < C; c++)
            near(with.weight[e * C + c], by[e] * as.weight[e * C + c], 1e-4);
    }
    near(sum, 0.25, 1e-4);
    assert_true(by[0] > by[1] && by[1] > by[2] && by[2] > 0.0f);
    calibration_close(&k);
}

/* By hand: of four and four one of each is on the wrong side. */
static void test_equal_error(void **state)
{
    (void)state;
    static struct trial same[] = {{0.9f, 0.8f}, {0.2f, 0.8f}, {0.8f, 0.8f}, {0.7f, 0.8f}};
    static struct trial different[] = {{0.1f, 1}, {0.75f, 1}, {0.0f, 1}, {-0.3f, 1}};
    struct vector_trials v = {{same, 4, 4}, {different, 4, 4}};
    struct error err;
    double percent, distance;

    assert_int_equal(vector_trials_equal_error(&percent, &distance, &v, &err), 0);
    near(percent, 25.0, 1e-9);
    near(distance, 1.0 - 0.7 / 0.8, 1e-5);
    v.different.n = 0;
    assert_int_equal(vector_trials_equal_error(&percent, &distance, &v, &err), -1);
    assert_non_null(strstr(err.text, "nothing to measure"));
}

static void test_refused(void **state)
{
    (void)state;
    static float frames[FRAMES * C], weight[C * (C + 1)], bias[C + 1];
    struct calibration k;
    struct error err;
    struct random rng;

    random_init(&rng, 1);
    assert_int_equal(calibration_open(&k, C, CALIBRATE_STRETCH, &err), 0);
    assert_int_equal(calibration_fit(weight, C, bias, &k, E, &settings, &err), -1); // nobody
    speaker_frames(frames, &rng);
    assert_int_equal(calibration_add(&k, 7, frames, C, FRAMES, &err), 0);
    assert_int_equal(calibration_people(&k), 1);
    assert_int_equal(calibration_fit(weight, C, bias, &k, E, &settings, &err), -1);
    assert_non_null(strstr(err.text, "take more clips"));
    assert_int_equal(calibration_fit(weight, C, bias, &k, C + 1, &settings, &err), -1);
    assert_non_null(strstr(err.text, "no more than that"));
    calibration_close(&k);
    calibration_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_covariances), cmocka_unit_test(test_error_falls),
        cmocka_unit_test(test_rooms), cmocka_unit_test(test_scale),
        cmocka_unit_test(test_equal_error), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
