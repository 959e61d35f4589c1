// SPDX-License-Identifier: MIT
/* What a channel does is what its settings say: level, noise, band, dither. */
#include "tests/check.h"

#include "prune/channel.h"
#include "prune/draw.h"

#include <stdlib.h>
#include <string.h>

enum { N = 64000 };

struct bench {
    struct convolver convolver;
    struct convolve_space space;
    struct response *scratch;
    struct sound_bank noise;
    struct sound sound;
    float x[N], y[N];
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    struct random rng;
    struct error err;

    assert_non_null(b);
    b->scratch = calloc(1, sizeof(*b->scratch));
    b->sound = (struct sound){malloc(9000 * sizeof(float)), 9000};
    random_init(&rng, 4);
    for (int i = 0; i < 9000; i++)
        b->sound.samples[i] = draw_noise(&rng);
    b->noise = (struct sound_bank){&b->sound, 1};
    assert_int_equal(convolver_open(&b->convolver, &err), 0);
    assert_int_equal(convolve_space_open(&b->space, &err), 0);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    convolver_close(&b->convolver);
    convolve_space_close(&b->space);
    free(b->scratch);
    free(b->sound.samples);
    free(b);
    return 0;
}

static double power(const float *x, int from, int to)
{
    double sum = 0.0;

    for (int i = from; i < to; i++)
        sum += (double)x[i] * x[i];
    return sum / (to - from);
}

/* White "speech" in the first half, nothing in the second. */
static void apply(struct bench *b, const struct channel_settings *s, const struct sound_bank *noise,
                  uint64_t seed)
{
    struct random rng;

    random_init(&rng, 77);
    memset(b->x, 0, sizeof(b->x));
    for (int i = 0; i < N / 2; i++)
        b->x[i] = 0.02f * draw_noise(&rng);
    random_init(&rng, seed);
    channel_apply(b->x, N, 0.02 * 0.02, s, noise, &b->convolver, &b->space, b->scratch, &rng);
}

static double db(double ratio)
{
    return 10.0 * log10(ratio);
}

static void test_level_and_dither(void **state)
{
    struct bench *b = *state;
    struct channel_settings s = {.level_low = -30.0f, .level_high = -30.0f};

    for (uint64_t seed = 0; seed < 20; seed++) {
        apply(b, &s, NULL, seed);
        assert_true(fabs(db(power(b->x, 0, N / 2)) + 30.0) < 0.2);
        double dither = sqrt(power(b->x, N / 2, N));
        assert_true(dither > 0.95 * DITHER_LOW && dither < 1.05 * DITHER_HIGH);
    }
}

static void test_noise(void **state)
{
    struct bench *b = *state;
    struct channel_settings s = {.p_noise = 1.0f, .snr_low = 10.0f, .snr_high = 10.0f,
                                 .level_low = -20.0f, .level_high = -20.0f};

    for (int room = 0; room < 2; room++) {
        double mean = 0.0;
        s.p_noise_room = (float)room;
        for (uint64_t seed = 0; seed < 40; seed++) { // each noise has 3 dB of its own
            apply(b, &s, &b->noise, seed);
            mean += db(power(b->x, N / 2, N)) / 40.0;
        }
        if (fabs(mean + 30.0) > 2.0)
            check_fail("noise at %g dB, should be at -30", mean);
    }
    s = (struct channel_settings){.p_hiss = 1.0f, .snr_low = 15.0f, .snr_high = 15.0f,
                                  .level_low = -20.0f, .level_high = -20.0f};
    for (uint64_t seed = 0; seed < 40; seed++) {
        apply(b, &s, NULL, seed);
        double hiss = db(power(b->x, N / 2, N));
        if (fabs(hiss + 35.0) > 2.0)
            check_fail("hiss at %g dB, should be at -35", hiss);
    }
}

/* Share of the power above a frequency, by a one-bin-at-a-time transform. */
static double share_between(const float *x, double low, double high)
{
    double in = 0.0, all = 0.0;

    for (int k = 1; k < 400; k++) { // 20 Hz apart, windows of 800 samples
        double hz = 20.0 * k, part = 0.0;
        for (int at = 0; at + 800 <= 16000; at += 1600) {
            double re = 0.0, im = 0.0;
            for (int i = 0; i < 800; i++) {
                double w = 0.5 - 0.5 * cos(6.283185307179586 * i / 800.0);
                re += w * x[at + i] * cos(6.283185307179586 * hz * i / 16000.0);
                im += w * x[at + i] * sin(6.283185307179586 * hz * i / 16000.0);
            }
            part += re * re + im * im;
        }
        all += part;
        in += hz >= low && hz <= high ? part : 0.0;
    }
    return in / all;
}

static void test_bands(void **state)
{
    struct bench *b = *state;
    struct channel_settings s = {.p_telephone = 1.0f, .level_low = -20.0f, .level_high = -20.0f};

    apply(b, &s, NULL, 3);
    assert_true(share_between(b->x, 200.0, 3800.0) > 0.97);
    s = (struct channel_settings){.p_lowpass = 1.0f, .level_low = -20.0f, .level_high = -20.0f};
    for (uint64_t seed = 0; seed < 4; seed++) {
        apply(b, &s, NULL, seed);
        assert_true(share_between(b->x, 0.0, 7500.0) > 0.97);
        assert_true(share_between(b->x, 0.0, 2000.0) > 0.2);
    }
    s = (struct channel_settings){.level_low = -20.0f, .level_high = -20.0f};
    apply(b, &s, NULL, 3);
    assert_true(share_between(b->x, 0.0, 4000.0) < 0.55);
}

/* Cut-off peaks stay within full scale, and silence alone is only dither. */
static void test_edges(void **state)
{
    struct bench *b = *state;
    struct channel_settings s = {.p_clip = 1.0f, .level_low = -20.0f, .level_high = -20.0f};
    struct random rng;

    for (uint64_t seed = 0; seed < 10; seed++) {
        apply(b, &s, NULL, seed);
        for (int i = 0; i < N; i++)
            assert_true(fabsf(b->x[i]) < 1.002f);
    }
    random_init(&rng, 1);
    memset(b->x, 0, sizeof(b->x));
    channel_apply(b->x, N, 0.0, &s, NULL, &b->convolver, &b->space, b->scratch, &rng);
    assert_true(sqrt(power(b->x, 0, N)) < 1.05 * DITHER_HIGH);
    assert_true(sqrt(power(b->x, 0, N)) > 0.95 * DITHER_LOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_level_and_dither), cmocka_unit_test(test_noise),
        cmocka_unit_test(test_bands), cmocka_unit_test(test_edges),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
