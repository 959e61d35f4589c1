// SPDX-License-Identifier: MIT
/* test_source.c - files and standard input: every tick arrives, in its time,
 * whoever is late; and what is no audio is refused in one line. */
#include "check.h"

#include "stream/source.h"

#include <math.h>
#include <pthread.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char folder[] = "/tmp/antiphon_test_XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[256];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static double now_seconds(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const char *write_file(const char *name, int format, int rate_hz, int channels,
                              const float *ticks, size_t n)
{
    SF_INFO info = {.samplerate = rate_hz, .channels = channels, .format = format};
    const char *path = in_folder(name);
    SNDFILE *f = sf_open(path, SFM_WRITE, &info);

    if (!f)
        check_fail("%s: %s", path, sf_strerror(NULL));
    if (n > 0)
        assert_int_equal(sf_writef_float(f, ticks, (sf_count_t)n), n);
    sf_close(f);
    return path;
}

/* Reads to the end in chunks that are drawn; returns how many ticks came. */
static size_t drain(struct source *s, float *dst, size_t room, struct random *rng)
{
    size_t n = 0;

    while (source_wait(s, 60000)) {
        size_t wanted = 1 + random_bits(rng) % 700;
        assert_true(n < room);
        n += source_read(s, dst + n * (size_t)source_channels(s),
                         wanted < room - n ? wanted : room - n);
    }
    assert_true(source_ended(s));
    return n;
}

static struct source *open_source(const struct source_settings *settings)
{
    struct source *s;
    struct error err;

    if (source_open(&s, settings, &err))
        check_fail("%s", err.text);
    return s;
}

static void start_source(struct source *s)
{
    struct error err;

    if (source_start(s, &err))
        check_fail("%s", err.text);
}

static void expect_refused(const struct source_settings *settings, const char *words)
{
    struct source *s;
    struct error err;

    assert_int_equal(source_open(&s, settings, &err), -1);
    assert_null(s);
    if (!strstr(err.text, words) || strchr(err.text, '\n'))
        check_fail("'%s' does not say '%s'", err.text, words);
}

static void test_a_file_comes_whole_and_fast(void **state)
{
    (void)state;
    enum { N = 300000, C = 2 };
    static float ticks[N * C], got[N * C];
    struct source_settings settings = source_defaults();
    struct random rng;

    random_init(&rng, check_seed());
    check_fill(ticks, N * C, &rng);
    settings.input = write_file("whole.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 44100, C, ticks, N);
    settings.fast = 1;
    settings.ring_ms = 100; // much less than the file: the feeder must wait
    struct source *s = open_source(&settings);
    assert_int_equal(source_rate_hz(s), 44100);
    assert_int_equal(source_channels(s), C);
    assert_string_equal(source_name(s), settings.input);
    assert_false(source_is_live(s));
    start_source(s);
    assert_int_equal(drain(s, got, N, &rng), N);
    assert_memory_equal(got, ticks, sizeof(ticks));
    struct source_counts counts = source_counts(s);
    assert_true(counts.captured_ticks == N && counts.lost_ticks == 0 && counts.overruns == 0);
    assert_int_equal(source_failed(s, NULL), 0);
    source_close(&s);
    assert_null(s);
}

/* A file at its own pace is never ahead of the clock, and its ticks have the
 * time at which they would have been captured. */
static void test_a_file_keeps_its_own_pace(void **state)
{
    (void)state;
    enum { HZ = 8000, N = HZ * 2 / 5 };
    static float ticks[N], got[N];
    struct source_settings settings = source_defaults();
    struct random rng;
    size_t n = 0;

    random_init(&rng, check_seed());
    check_fill(ticks, N, &rng);
    settings.input = write_file("pace.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, HZ, 1, ticks, N);
    struct source *s = open_source(&settings);
    double start = now_seconds(CLOCK_MONOTONIC), wall = now_seconds(CLOCK_REALTIME);
    start_source(s);
    assert_true(fabs(source_wall(s, 0) - wall) < 1.0);
    assert_true(fabs(source_wall(s, HZ * 3600) - source_wall(s, 0) - 3600.0) < 1e-3);
    while (source_wait(s, 100)) {
        n += source_read(s, got + n, N - n);
        assert_true((double)n / HZ <= now_seconds(CLOCK_MONOTONIC) - start + 1e-3);
    }
    assert_int_equal(n, N);
    assert_memory_equal(got, ticks, sizeof(ticks));
    source_close(&s);
}

static void test_a_late_worker_loses_nothing_of_a_file(void **state)
{
    (void)state;
    enum { HZ = 8000, N = HZ / 4 };
    static float ticks[N], got[N];
    struct source_settings settings = source_defaults();
    struct random rng;

    random_init(&rng, check_seed());
    check_fill(ticks, N, &rng);
    settings.input = write_file("late.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, HZ, 1, ticks, N);
    settings.ring_ms = 20;
    struct source *s = open_source(&settings);
    start_source(s);
    nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
    assert_int_equal(drain(s, got, N, &rng), N);
    assert_memory_equal(got, ticks, sizeof(ticks));
    assert_true(source_counts(s).lost_ticks == 0);
    source_close(&s);
}

static void test_what_is_no_number_becomes_zero(void **state)
{
    (void)state;
    enum { N = 1000 };
    float ticks[N], got[N];
    struct source_settings settings = source_defaults();
    struct random rng;

    random_init(&rng, check_seed());
    check_fill(ticks, N, &rng);
    ticks[0] = NAN;
    ticks[400] = INFINITY;
    ticks[401] = -INFINITY;
    ticks[999] = 3e38f;
    settings.input = write_file("nan.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, ticks, N);
    settings.fast = 1;
    struct source *s = open_source(&settings);
    start_source(s);
    assert_int_equal(drain(s, got, N, &rng), N);
    ticks[0] = ticks[400] = ticks[401] = ticks[999] = 0.0f;
    assert_memory_equal(got, ticks, sizeof(ticks));
    assert_true(source_counts(s).bad_samples == 4);
    source_close(&s);
}

static void test_a_stop_ends_a_long_file(void **state)
{
    (void)state;
    enum { N = 160000 };
    static float ticks[N], got[N];
    struct source_settings settings = source_defaults();
    struct random rng;

    random_init(&rng, check_seed());
    settings.input = write_file("stop.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, ticks, N);
    struct source *s = open_source(&settings);
    start_source(s);
    assert_int_equal(source_wait(s, 5000), 1);
    source_stop(s);
    source_stop(s);
    size_t n = drain(s, got, N, &rng);
    assert_true(n > 0 && n < N);
    source_close(&s);

    s = open_source(&settings); // and one that never ran
    source_close(&s);
    source_close(&s);
}

static void write_bytes(const char *name, const void *bytes, size_t n)
{
    FILE *f = fopen(in_folder(name), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void test_bad_files_are_refused(void **state)
{
    (void)state;
    static float ticks[70 * 100];
    const struct {
        const char *name, *words;
        int channel;
    } rows[] = {
        {"missing.wav", "missing.wav: cannot be read: No such file", 0},
        {".", "is a directory", 0},
        {"empty", "is empty", 0},
        {"text", "not an audio file", 0},
        {"cut.wav", "not an audio file", 0},
        {"none.wav", "without audio", 0},
        {"slow.wav", "500 Hz", 0},
        {"wild.wav", "1000000 Hz", 0},
        {"wide.wav", "65 channels", 0},
        {"two.wav", "there is no channel 3; choose 1 to 2", 3},
    };

    write_bytes("empty", "", 0);
    write_bytes("text", "Wer spricht?\n", 13);
    write_bytes("cut.wav", "RIFF\x10\0\0\0WAVE", 12);
    write_file("none.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, ticks, 0);
    write_file("slow.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 500, 1, ticks, 100);
    write_file("wild.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1000000, 1, ticks, 100);
    write_file("wide.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 65, ticks, 100);
    write_file("two.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 2, ticks, 100);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct source_settings settings = source_defaults();
        settings.input = in_folder(rows[i].name);
        settings.channel = rows[i].channel;
        expect_refused(&settings, rows[i].words);
    }
}

/* The start is fine and the middle is not: what came is given, then the reason. */
static void test_a_damaged_file_says_where(void **state)
{
    (void)state;
    enum { N = 64000 };
    static float ticks[N], got[N];
    struct source_settings settings = source_defaults();
    struct random rng;
    struct error err = {""};

    random_init(&rng, check_seed());
    check_fill(ticks, N, &rng);
    settings.input = write_file("damaged.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16000, 1, ticks,
                                N);
    settings.fast = 1;
    struct stat st;
    assert_int_equal(stat(settings.input, &st), 0);
    assert_int_equal(truncate(settings.input, st.st_size / 2), 0);
    struct source *s = open_source(&settings);
    start_source(s);
    size_t n = drain(s, got, N, &rng);
    assert_true(n > 0 && n < N);
    assert_int_equal(source_failed(s, &err), 1);
    if (!strstr(err.text, "damaged.flac: damaged after"))
        check_fail("%s", err.text);
    source_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_comes_whole_and_fast),
        cmocka_unit_test(test_a_file_keeps_its_own_pace),
        cmocka_unit_test(test_a_late_worker_loses_nothing_of_a_file),
        cmocka_unit_test(test_what_is_no_number_becomes_zero),
        cmocka_unit_test(test_a_stop_ends_a_long_file),
        cmocka_unit_test(test_bad_files_are_refused),
        cmocka_unit_test(test_a_damaged_file_says_where),
    };

    if (!mkdtemp(folder))
        return 1;
    int status = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command) != 0 ? 1 : status;
}
