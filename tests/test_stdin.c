// SPDX-License-Identifier: MIT
/* test_stdin.c - raw PCM through a real pipe on standard input, in every
 * format, however the writer cuts it. */
#include "check.h"

#include "stream/source.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the other end of the pipe does. */
struct writer {
    int fd;
    const unsigned char *bytes;
    size_t n;
    uint64_t seed; // of the cuts
    pthread_t thread;
};

static void *writer_run(void *user)
{
    struct writer *w = user;
    struct random rng;

    random_init(&rng, w->seed);
    for (size_t at = 0; at < w->n;) {
        size_t n = 1 + random_bits(&rng) % (at < 20 ? 3 : 5000);
        ssize_t done = write(w->fd, w->bytes + at, n < w->n - at ? n : w->n - at);
        if (done <= 0)
            break;
        at += (size_t)done;
    }
    close(w->fd);
    return NULL;
}

/* Standard input becomes a pipe, with a thread that writes those bytes. */
static void writer_start(struct writer *w, const void *bytes, size_t n, uint64_t seed)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    *w = (struct writer){.fd = ends[1], .bytes = bytes, .n = n, .seed = seed};
    assert_int_equal(pthread_create(&w->thread, NULL, writer_run, w), 0);
}

static size_t drain(struct source *s, float *dst, size_t room)
{
    size_t n = 0;

    while (source_wait(s, 60000)) {
        assert_true(n < room);
        n += source_read(s, dst + n * (size_t)source_channels(s), room - n);
    }
    return n;
}

/* The file libsndfile writes without a header, and what it reads from it. */
static unsigned char *encode(float *decoded, size_t *n_bytes, int format, int channels,
                             const float *ticks, size_t n)
{
    char path[] = "/tmp/antiphon_test_XXXXXX";
    SF_INFO info = {.samplerate = 16000, .channels = channels,
                    .format = SF_FORMAT_RAW | SF_ENDIAN_LITTLE | format};
    SF_INFO same = info;

    close(mkstemp(path));
    SNDFILE *f = sf_open(path, SFM_WRITE, &info);
    assert_non_null(f);
    assert_int_equal(sf_writef_float(f, ticks, (sf_count_t)n), n);
    sf_close(f);
    f = sf_open(path, SFM_READ, &same);
    assert_non_null(f);
    assert_int_equal(sf_readf_float(f, decoded, (sf_count_t)n), n);
    sf_close(f);

    FILE *raw = fopen(path, "rb");
    size_t room = n * (size_t)channels * 8;
    unsigned char *bytes = malloc(room);
    assert_non_null(raw);
    assert_non_null(bytes);
    *n_bytes = fread(bytes, 1, room, raw);
    fclose(raw);
    unlink(path);
    return bytes;
}

static void test_every_format_is_read_as_from_a_file(void **state)
{
    (void)state;
    enum { N = 20000, C = 3 };
    static float ticks[N * C], want[N * C], got[N * C];
    const struct {
        const char *name;
        int format;
    } rows[] = {
        {NULL, SF_FORMAT_PCM_16}, {"s16le", SF_FORMAT_PCM_16}, {"u8", SF_FORMAT_PCM_U8},
        {"S24LE", SF_FORMAT_PCM_24}, {"s32le", SF_FORMAT_PCM_32}, {"f32le", SF_FORMAT_FLOAT},
        {"f64le", SF_FORMAT_DOUBLE},
    };
    struct random rng;

    random_init(&rng, check_seed());
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int channels = i % 2 ? 1 : C;
        size_t n_bytes, n = N;
        check_fill(ticks, N * C, &rng);
        ticks[0] = 1.0f;
        ticks[1] = -1.0f;
        unsigned char *bytes = encode(want, &n_bytes, rows[i].format, channels, ticks, n);

        struct source_settings settings = source_defaults();
        struct source *s;
        struct error err;
        struct writer w;
        settings.input = "-";
        settings.format = rows[i].name;
        settings.channels = channels;
        settings.rate_hz = 22050;
        settings.ring_ms = 50;
        writer_start(&w, bytes, n_bytes, random_bits(&rng));
        if (source_open(&s, &settings, &err) || source_start(s, &err))
            check_fail("%s", err.text);
        assert_string_equal(source_name(s), "stdin");
        assert_int_equal(source_rate_hz(s), 22050);
        assert_int_equal(drain(s, got, N), n);
        assert_memory_equal(got, want, n * (size_t)channels * sizeof(float));
        assert_int_equal(source_failed(s, &err), 0);
        assert_true(source_counts(s).lost_ticks == 0);
        source_close(&s);
        pthread_join(w.thread, NULL);
        free(bytes);
    }
}

/* Runs those bytes through and returns the failure, or NULL. */
static const char *run_bytes(const void *bytes, size_t n, const char *format, size_t *n_ticks)
{
    static struct error err;
    static float got[4096];
    struct source_settings settings = source_defaults();
    struct source *s;
    struct writer w;

    settings.input = "-";
    settings.format = format;
    writer_start(&w, bytes, n, 1);
    if (source_open(&s, &settings, &err) || source_start(s, &err))
        check_fail("%s", err.text);
    *n_ticks = drain(s, got, 4096);
    int failed = source_failed(s, &err);
    source_close(&s);
    pthread_join(w.thread, NULL);
    return failed ? err.text : NULL;
}

static void test_a_header_is_refused_unless_a_format_is_said(void **state)
{
    (void)state;
    const char *const headers[] = {"RIFF\x24\x10\0\0WAVEfmt ", "fLaC\0\0\0\x22xxxxxxxx",
                                   "OggS\0\x02\0\0xxxxxxxx"};
    size_t n;

    for (int i = 0; i < 3; i++) {
        const char *text = run_bytes(headers[i], 16, NULL, &n);
        if (!text || !strstr(text, "raw PCM was expected") || !strstr(text, "--input"))
            check_fail("%d: %s", i, text ? text : "no failure");
        assert_int_equal(n, 0);
        assert_null(run_bytes(headers[i], 16, "s16le", &n));
        assert_int_equal(n, 8);
    }
}

static void test_no_audio_is_an_error_and_half_a_sample_is_none(void **state)
{
    (void)state;
    size_t n;
    const char *text = run_bytes("", 0, NULL, &n);

    if (!text || !strstr(text, "ended before the first sample"))
        check_fail("%s", text ? text : "no failure");
    text = run_bytes("x", 1, NULL, &n);
    assert_true(text && strstr(text, "ended before the first sample"));
    assert_null(run_bytes("abc", 3, NULL, &n));
    assert_int_equal(n, 1);
    assert_null(run_bytes("R", 1, "u8", &n));
    assert_int_equal(n, 1);
}

static void test_a_silent_pipe_can_be_stopped(void **state)
{
    (void)state;
    struct source_settings settings = source_defaults();
    struct source *s;
    struct error err;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    settings.input = "-";
    if (source_open(&s, &settings, &err) || source_start(s, &err))
        check_fail("%s", err.text);
    assert_int_equal(source_wait(s, 30), 1); // the time is over, and it has not ended
    assert_false(source_ended(s));
    source_stop(s);
    assert_int_equal(source_wait(s, 30), 0);
    assert_int_equal(source_failed(s, &err), 0);
    source_close(&s);
    close(ends[0]);
    close(ends[1]);
}

static void test_nonsense_is_refused(void **state)
{
    (void)state;
    const struct {
        int rate_hz, channels;
        const char *format, *words;
    } rows[] = {
        {16000, 1, "s17le", "s24le"},   {500, 1, NULL, "500 Hz"},     {-16000, 1, NULL, "-16000"},
        {16000, 0, NULL, "0 channels"}, {16000, 65, "u8", "65 chan"}, {900000, 1, NULL, "900000"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct source_settings settings = source_defaults();
        struct source *s;
        struct error err;
        int nowhere = open("/dev/null", O_RDONLY);
        dup2(nowhere, STDIN_FILENO);
        close(nowhere);
        settings.input = "-";
        settings.rate_hz = rows[i].rate_hz;
        settings.channels = rows[i].channels;
        settings.format = rows[i].format;
        assert_int_equal(source_open(&s, &settings, &err), -1);
        if (!strstr(err.text, rows[i].words) || strncmp(err.text, "stdin: ", 7) != 0)
            check_fail("'%s' does not say '%s'", err.text, rows[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_format_is_read_as_from_a_file),
        cmocka_unit_test(test_a_header_is_refused_unless_a_format_is_said),
        cmocka_unit_test(test_no_audio_is_an_error_and_half_a_sample_is_none),
        cmocka_unit_test(test_a_silent_pipe_can_be_stopped),
        cmocka_unit_test(test_nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
