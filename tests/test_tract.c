// SPDX-License-Identifier: MIT
/* test_tract.c - other vocal tracts: resonances of a vowel move by the ratio, its pitch does
 * not; nothing to move leaves speech as it was. Another manner: the pitch moves, resonances do
 * not, effort tilts the spectrum. */
#include "check.h"

#include "prune/activity.h"
#include "prune/voice.h"

#include <math.h>
#include <string.h>

enum { N = 16000 };

static void begin(struct tract *t)
{
    struct error err;

    if (tract_open(t, &err))
        check_fail("%s", err.text);
}

/* y = x through a resonance of a bandwidth, Hz. */
static void resonate(float *x, double hz, double width)
{
    double r = exp(-3.14159265 * width / 16000.0), c = 2.0 * r * cos(6.2831853 * hz / 16000.0);
    double y1 = 0.0, y2 = 0.0;

    for (int i = 0; i < N; i++) {
        double y = x[i] + c * y1 - r * r * y2;
        y2 = y1;
        y1 = y;
        x[i] = (float)y;
    }
}

/* A vowel of pulses, `period` samples apart. */
static void vowel(float *x, int period)
{
    memset(x, 0, N * sizeof(float));
    for (int i = 0; i < N; i += period)
        x[i] = 100.0f;
    resonate(x, 900.0, 120.0);
    resonate(x, 2400.0, 160.0);
}

/* Power at a frequency, over what is well inside. */
static double power_at(const float *x, double hz)
{
    double re = 0.0, im = 0.0;

    for (int i = 2000; i < N - 2000; i++) {
        double w = 0.5 - 0.5 * cos(6.2831853 * (i - 2000) / (N - 4000));
        re += w * x[i] * cos(6.2831853 * hz * i / 16000.0);
        im += w * x[i] * sin(6.2831853 * hz * i / 16000.0);
    }
    return re * re + im * im;
}

/* The centre of gravity of the power at the harmonics of f0 in [low, high]: of one resonance. */
static double centre(const float *x, double f0, double low, double high)
{
    double sum = 0.0, at = 0.0;

    for (double hz = f0 * ceil(low / f0); hz <= high; hz += f0) {
        double p = power_at(x, hz);
        sum += p;
        at += hz * p;
    }
    return at / sum;
}

static void test_vowel(void **state)
{
    static float x[N], y[N];
    struct tract t;

    begin(&t);
    for (int period = 80; period <= 160; period += 40) { // 200, 133, 100 Hz
        double f0 = 16000.0 / period;
        vowel(x, period);
        for (int percent = 91; percent <= 110; percent += 19) {
            double ratio = percent / 100.0, harmonic = 0.0, between = 0.0, before = 0.0, after = 0.0;
            tract_change(&t, y, x, N, (float)ratio);
            double first = centre(y, f0, 500.0, 1500.0) / centre(x, f0, 500.0, 1500.0);
            double second = centre(y, f0, 1700.0, 3200.0) / centre(x, f0, 1700.0, 3200.0);
            if (!(fabs(first - ratio) < 0.035 && fabs(second - ratio) < 0.035))
                check_fail("at %g Hz the resonances moved by %g and %g instead of %g", f0, first,
                           second, ratio);
            for (int k = 2; k * f0 < 4000.0; k++) { // power is where multiples of the pitch are
                harmonic += power_at(y, k * f0);
                between += power_at(y, (k + 0.5) * f0);
            }
            if (!(between < 0.01 * harmonic))
                check_fail("at %g Hz the pitch is lost: %g beside %g", f0, between, harmonic);
            for (int i = 0; i < N; i++) {
                before += x[i] * x[i];
                after += y[i] * y[i];
            }
            if (!(after > 0.7 * before && after < 1.3 * before))
                check_fail("energy %g became %g", before, after);
        }
    }
    tract_close(&t);
}

static void test_nothing_to_move(void **state)
{
    static float x[N], y[N], zero[N];
    static const int lengths[] = {1, 2, 255, 256, 257, 511, 513, 5000};
    struct random rng;
    struct tract t;

    begin(&t);
    random_init(&rng, check_seed());
    check_fill(x, N, &rng);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        tract_change(&t, y, x, lengths[i], 1.0f);
        check_close("the same speech", y, x, (size_t)lengths[i], 1e-5);
        tract_change(&t, y, zero, lengths[i], 1.1f);
        assert_memory_equal(y, zero, (size_t)lengths[i] * sizeof(float));
    }
    tract_close(&t);
}

/* A second of the vowel as a bank has it, spoken at another pitch. */
static void test_manner(void **state)
{
    static float x[N], y[2 * N], tilted[2 * N], raw[2 * N];
    static int16_t pcm[N];
    static uint8_t activity[N / ACTIVITY_STEP];
    static struct voice_filters f;
    const struct piece piece = {pcm, activity, N / ACTIVITY_STEP, -1, 1.0f};
    struct error err;

    if (voice_filters_open(&f, 1, 1, &err))
        check_fail("%s", err.text);
    vowel(x, 128); // 125 Hz
    for (int i = 0; i < N; i++)
        x[i] = (float)(pcm[i] = (int16_t)lrintf(x[i]));
    for (int percent = 88; percent <= 112; percent += 8) {
        double f0 = 1.25 * percent, harmonic = 0.0, between = 0.0;
        struct stretch s = {.n = voice_length(piece.n_steps, percent), .piece = &piece, .to = piece.n_steps,
                            .gain = 1.0f, .percent = percent, .resonance = 100.0f / (float)percent};
        memset(y, 0, sizeof(y));
        voice_render(y, raw, &s, &f);
        double first = centre(y, f0, 500.0, 1500.0) / centre(x, 125.0, 500.0, 1500.0);
        double second = centre(y, f0, 1700.0, 3200.0) / centre(x, 125.0, 1700.0, 3200.0);
        if (!(fabs(first - 1.0) < 0.04 && fabs(second - 1.0) < 0.04))
            check_fail("played at %d %% the resonances moved by %g and %g", percent, first, second);
        for (int k = 2; k * f0 < 4000.0; k++) {
            harmonic += power_at(y, k * f0);
            between += power_at(y, (k + 0.5) * f0);
        }
        if (!(between < 0.02 * harmonic))
            check_fail("played at %d %% the pitch is not %g Hz: %g beside %g", percent, f0, between,
                       harmonic);
        s.tilt = 6.0f;
        voice_render(tilted, raw, &s, &f);
        double high = power_at(tilted, 24.0 * f0) / power_at(y, 24.0 * f0);
        double low = power_at(tilted, f0) / power_at(y, f0);
        if (!(fabs(10.0 * log10(high) - 6.0) < 0.5 && fabs(log10(low)) < 0.03))
            check_fail("a tilt of 6 dB is %g dB at 3 kHz, %g at %g Hz", 10.0 * log10(high),
                       10.0 * log10(low), f0);
    }
    voice_filters_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vowel),
        cmocka_unit_test(test_nothing_to_move),
        cmocka_unit_test(test_manner),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
