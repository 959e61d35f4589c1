// SPDX-License-Identifier: MIT
/* test_resample.c - the same bits however the ticks were cut; the right level,
 * the right time, the right length, and nothing from above the band. */
#include "check.h"

#include "stream/audio_file.h"
#include "stream/resample.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double pi = 3.14159265358979323846;

static const int rates[] = {1000, 8000, 11025, 16000, 22050, 44100, 48000, 96000, 768000};
enum { N_RATES = sizeof(rates) / sizeof(rates[0]) };

struct take {
    float *samples;
    size_t n;
};

/* Everything through one resampler, in chunks that `cut` draws: NULL for one. */
static struct take resample(const float *ticks, size_t n, int rate_hz, int channels, int channel,
                            struct random *cut)
{
    struct resampler r;
    struct error err;
    struct take take = {0};

    if (resampler_open(&r, rate_hz, channels, channel, &err))
        check_fail("%s", err.text);
    size_t room = resampler_room(&r, n) + resampler_room(&r, 0);
    take.samples = malloc(room * sizeof(float));
    assert_non_null(take.samples);
    for (size_t at = 0; at < n;) {
        size_t chunk = n - at;
        if (cut) {
            unsigned kind = (unsigned)(random_bits(cut) % 3);
            size_t wanted = kind == 0 ? 1 : 1 + random_bits(cut) % (kind == 1 ? 200 : 9000);
            chunk = wanted < chunk ? wanted : chunk;
        }
        size_t before = take.n;
        take.n += resampler_process(&r, take.samples + take.n, ticks + at * (size_t)channels,
                                    chunk);
        assert_true(take.n - before <= resampler_room(&r, chunk));
        at += chunk;
    }
    take.n += resampler_finish(&r, take.samples + take.n);
    assert_true(take.n <= room);
    resampler_close(&r);
    return take;
}

static void test_any_cut_gives_the_same_bits(void **state)
{
    (void)state;
    struct random rng;
    const int channel_counts[] = {1, 2, 5};

    random_init(&rng, check_seed());
    for (int i = 0; i < N_RATES; i++) {
        int channels = channel_counts[i % 3];
        size_t n = (size_t)rates[i] / 2 + random_bits(&rng) % 1000;
        float *ticks = malloc(n * (size_t)channels * sizeof(float));
        check_fill(ticks, n * (size_t)channels, &rng);
        struct take whole = resample(ticks, n, rates[i], channels, 0, NULL);
        for (int k = 0; k < 3; k++) {
            struct take cut = resample(ticks, n, rates[i], channels, 0, &rng);
            assert_int_equal(cut.n, whole.n);
            assert_memory_equal(cut.samples, whole.samples, whole.n * sizeof(float));
            free(cut.samples);
        }
        free(whole.samples);
        free(ticks);
    }
}

static void test_reset_is_as_new(void **state)
{
    (void)state;
    enum { N = 5000 };
    static float ticks[N], first[N], second[N];
    struct random rng;
    struct resampler r;
    size_t n[2];

    random_init(&rng, check_seed());
    check_fill(ticks, N, &rng);
    assert_int_equal(resampler_open(&r, 44100, 1, 0, NULL), 0);
    n[0] = resampler_process(&r, first, ticks, N);
    resampler_reset(&r);
    n[1] = resampler_process(&r, second, ticks, N);
    resampler_close(&r);
    assert_true(n[0] > 0 && n[0] == n[1]);
    assert_memory_equal(first, second, n[0] * sizeof(float));
}

static void test_16_khz_passes_untouched(void **state)
{
    (void)state;
    enum { N = 4321 };
    static float ticks[N];
    struct random rng;

    random_init(&rng, check_seed());
    check_fill(ticks, N, &rng);
    struct take take = resample(ticks, N, 16000, 1, 0, &rng);
    assert_int_equal(take.n, N);
    assert_memory_equal(take.samples, ticks, sizeof(ticks));
    free(take.samples);
}

static void test_length_is_rounded_not_accumulated(void **state)
{
    (void)state;
    struct random rng;
    static float ticks[200000];

    random_init(&rng, check_seed());
    for (int i = 0; i < N_RATES; i++) {
        for (int k = 0; k < 5; k++) {
            size_t n = k == 0 ? 1 : random_bits(&rng) % 200000;
            struct take take = resample(ticks, n, rates[i], 1, 0, &rng);
            assert_int_equal(take.n, (size_t)llround((double)n * 16000.0 / rates[i]));
            free(take.samples);
        }
    }
}

static double level_db(int rate_hz, double hz)
{
    size_t n = (size_t)rate_hz * 2;
    float *ticks = malloc(n * sizeof(float));
    double power = 0.0;

    for (size_t i = 0; i < n; i++)
        ticks[i] = (float)sin(2.0 * pi * hz * (double)i / rate_hz);
    struct take take = resample(ticks, n, rate_hz, 1, 0, NULL);
    for (size_t i = 8000; i < 24000; i++)
        power += (double)take.samples[i] * take.samples[i] / 16000.0;
    free(ticks);
    free(take.samples);
    return 10.0 * log10(2.0 * power + 1e-30);
}

static void test_sines_keep_their_level_and_leave_no_alias(void **state)
{
    (void)state;
    for (int i = 0; i < N_RATES - 1; i++) {
        double top = rates[i] < 16000 ? rates[i] / 2.0 : 8000.0;
        for (int k = 1; k <= 8; k++) {
            double hz = top * 0.85 * k / 8.0, db = level_db(rates[i], hz);
            if (fabs(db) > 0.1)
                check_fail("%.0f Hz from %d Hz comes out at %.2f dB", hz, rates[i], db);
        }
        for (double hz = 8100.0; hz < rates[i] / 2.0; hz *= 1.17) {
            double db = level_db(rates[i], hz);
            if (db > -100.0)
                check_fail("%.0f Hz from %d Hz leaves %.1f dB", hz, rates[i], db);
        }
    }
}

/* A chirp from 100 Hz to 80 % of the band, at t seconds; a click in the middle of
 * the band would do as well, but this sees every frequency's delay. */
static double chirp(double t, double top, double seconds)
{
    return sin(2.0 * pi * (100.0 * t + 0.5 * (top - 100.0) / seconds * t * t));
}

static void test_timing_is_right_at_start_and_end(void **state)
{
    (void)state;
    for (int i = 1; i < N_RATES - 1; i++) {
        double top = (rates[i] < 16000 ? rates[i] : 16000) * 0.4, seconds = 3.0, worst = 0.0;
        size_t n = (size_t)(rates[i] * seconds);
        float *ticks = malloc(n * sizeof(float));
        for (size_t k = 0; k < n; k++)
            ticks[k] = (float)chirp((double)k / rates[i], top, seconds);
        struct take take = resample(ticks, n, rates[i], 1, 0, NULL);
        // Away from the ends, where the filter sees the silence beyond. A shift of 0.1 sample
        // at the top would show as 0.25.
        for (size_t k = 400; k + 400 < take.n; k++) {
            double want = chirp((double)k / 16000.0, top, seconds);
            worst = fmax(worst, fabs(take.samples[k] - want));
        }
        if (worst > 1e-3)
            check_fail("from %d Hz the chirp is off by %g", rates[i], worst);
        free(ticks);
        free(take.samples);
    }
}

static void test_mixing_and_choosing_channels(void **state)
{
    (void)state;
    enum { N = 3000, C = 5 };
    static float ticks[N * C], mean[N], third[N];
    struct random rng;
    const int some_rates[] = {16000, 48000};

    random_init(&rng, check_seed());
    check_fill(ticks, N * C, &rng);
    for (int t = 0; t < N; t++) {
        double sum = 0.0;
        for (int c = 0; c < C; c++)
            sum += ticks[t * C + c];
        mean[t] = (float)(sum / C);
        third[t] = ticks[t * C + 2];
    }
    for (int i = 0; i < 2; i++) {
        struct take want = resample(mean, N, some_rates[i], 1, 0, NULL);
        struct take got = resample(ticks, N, some_rates[i], C, 0, &rng);
        assert_int_equal(got.n, want.n);
        check_close("mean", got.samples, want.samples, want.n, 1e-6);
        free(want.samples);
        free(got.samples);
        want = resample(third, N, some_rates[i], 1, 0, NULL);
        got = resample(ticks, N, some_rates[i], C, 3, &rng);
        assert_int_equal(got.n, want.n);
        assert_memory_equal(got.samples, want.samples, want.n * sizeof(float));
        free(want.samples);
        free(got.samples);
    }
}

static void test_nonsense_is_refused(void **state)
{
    (void)state;
    const struct {
        int rate_hz, channels, channel;
        const char *words;
    } rows[] = {
        {999, 1, 0, "sample rate of 999"}, {768001, 1, 0, "768001"}, {-1, 1, 0, "-1 Hz"},
        {16000, 0, 0, "0 channels"},       {16000, 65, 0, "65"},     {48000, 2, 3, "channel 3"},
        {48000, 2, -1, "channel -1"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct resampler r;
        struct error err;
        assert_int_equal(resampler_open(&r, rows[i].rate_hz, rows[i].channels, rows[i].channel,
                                        &err), -1);
        if (!strstr(err.text, rows[i].words))
            check_fail("'%s' does not say '%s'", err.text, rows[i].words);
        resampler_close(&r);
    }
}

static void test_a_whole_file_is_the_same_as_its_ticks(void **state)
{
    (void)state;
    enum { N = 30000, C = 2 };
    static float ticks[N * C];
    char path[] = "/tmp/antiphon_test_XXXXXX";
    SF_INFO info = {.samplerate = 44100, .channels = C, .format = SF_FORMAT_WAV | SF_FORMAT_FLOAT};
    struct random rng;
    struct error err;
    float *samples;
    size_t n;

    random_init(&rng, check_seed());
    check_fill(ticks, N * C, &rng);
    close(mkstemp(path));
    SNDFILE *f = sf_open(path, SFM_WRITE, &info);
    assert_non_null(f);
    ticks[777] = NAN;
    assert_int_equal(sf_writef_float(f, ticks, N), N);
    sf_close(f);
    ticks[777] = 0.0f;
    for (int channel = 0; channel <= C; channel++) {
        struct take want = resample(ticks, N, 44100, C, channel, NULL);
        if (audio_file_read(&samples, &n, path, channel, &err))
            check_fail("%s", err.text);
        assert_int_equal(n, want.n);
        assert_memory_equal(samples, want.samples, n * sizeof(float));
        free(samples);
        free(want.samples);
    }
    assert_int_equal(audio_file_read(&samples, &n, path, 3, &err), -1);
    assert_non_null(strstr(err.text, path));
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_cut_gives_the_same_bits),
        cmocka_unit_test(test_reset_is_as_new),
        cmocka_unit_test(test_16_khz_passes_untouched),
        cmocka_unit_test(test_length_is_rounded_not_accumulated),
        cmocka_unit_test(test_sines_keep_their_level_and_leave_no_alias),
        cmocka_unit_test(test_timing_is_right_at_start_and_end),
        cmocka_unit_test(test_mixing_and_choosing_channels),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_a_whole_file_is_the_same_as_its_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
