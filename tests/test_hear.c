// SPDX-License-Identifier: MIT
/* test_hear.c - audio to windows and what is heard in them: every cut of a file, and
 * the same from one thread and from many. */
#include "check.h"

#include "model/builtin.h"
#include "stream/hear.h"
#include "stream/window_reader.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file of n ticks of noise at a rate; the caller unlinks it. */
static void write_noise(char path[40], int n, int rate_hz)
{
    struct random rng;
    SF_INFO info = {.samplerate = rate_hz, .channels = 1,
                    .format = SF_FORMAT_WAV | SF_FORMAT_FLOAT};
    float *x = malloc((size_t)n * sizeof(float) + 1);

    assert_non_null(x);
    random_init(&rng, 7);
    check_fill(x, (size_t)n, &rng);
    strcpy(path, "/tmp/antiphon-hear-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    SNDFILE *f = sf_open_fd(fd, SFM_WRITE, &info, 1);
    assert_non_null(f);
    assert_int_equal(sf_writef_float(f, x, n), n);
    sf_close(f);
    free(x);
}

/* All windows of a file, against the file read at once. */
static void check_windows(int n_ticks, int rate_hz, double seconds, double step)
{
    char path[40];
    float *all, *window;
    size_t n_all, n;
    int64_t number, wanted;
    struct windows w;
    struct window_reader r;
    struct error err;

    write_noise(path, n_ticks, rate_hz);
    assert_int_equal(audio_file_read(&all, &n_all, path, 0, &err), 0);
    assert_int_equal(windows_init(&w, seconds, step, &err), 0);
    window = malloc((size_t)w.n_samples * sizeof(float));
    assert_non_null(window);
    assert_int_equal(window_reader_open(&r, path, 0, &w, &err), 0);
    wanted = windows_count(&w, (int64_t)n_all);
    for (int64_t c = 0; c < wanted; c++) {
        size_t begin = (size_t)(c * w.n_step), left = n_all - begin;
        assert_int_equal(window_reader_next(&r, window, &n, &number, &err), 1);
        assert_int_equal(number, c);
        assert_int_equal(n, left < (size_t)w.n_samples ? left : (size_t)w.n_samples);
        assert_memory_equal(window, all + begin, n * sizeof(float));
    }
    assert_int_equal(window_reader_next(&r, window, &n, &number, &err), 0);
    assert_int_equal(window_reader_samples(&r), n_all);
    window_reader_close(&r);
    unlink(path);
    free(all);
    free(window);
}

static void test_windows_of_files(void **state)
{
    (void)state;
    const int lengths[] = {1, 399, 15999, 16000, 16001, 17599, 17600, 17601, 40000, 123457};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        check_windows(lengths[i], 16000, 1.0, 0.1);
        check_windows(lengths[i], 16000, 1.0, 1.0);
    }
    check_windows(100000, 44100, 1.0, 0.3);
    check_windows(33333, 8000, 2.5, 0.25);
}

struct subject {
    struct checkpoint file;
    struct model model;
    struct hear_settings settings;
};

static void subject_open(struct subject *s, double seconds)
{
    struct error err;

    memset(s, 0, sizeof(*s));
    assert_int_equal(windows_init(&s->settings.windows, seconds, 0.5 * seconds, &err), 0);
    struct reach reach = reach_offline(s->settings.windows.n_samples);
    if (checkpoint_open_memory(&s->file, builtin_model, builtin_model_bytes(), "built-in", &err) ||
        model_open(&s->model, &s->file, &reach, &err))
        check_fail("%s", err.text);
    s->settings.model = &s->model;
    s->settings.n_threads = 1;
}

static void subject_close(struct subject *s)
{
    model_close(&s->model);
    checkpoint_close(&s->file);
}

static void test_threads(void **state)
{
    const char *audio = check_path("audio/ami_EN2004a_first30s.flac");
    struct subject s;
    struct heard one, many;
    struct error err;
    double seconds[2];
    atomic_llong samples = 0;

    (void)state;
    subject_open(&s, 2.0);
    s.settings.samples = &samples;
    if (hear(&one, &seconds[0], audio, &s.settings, &err))
        check_fail("%s", err.text);
    s.settings.n_threads = 3;
    assert_int_equal(hear(&many, &seconds[1], audio, &s.settings, &err), 0);
    assert_true(seconds[0] == seconds[1]);
    assert_int_equal(one.n_windows, windows_count(&s.settings.windows, (int64_t)(seconds[0] * 16000)));
    assert_int_equal(one.n_windows, many.n_windows);
    size_t n = (size_t)one.n_windows, numbers = n * (size_t)one.n_slots * (size_t)one.width;
    assert_memory_equal(one.sets, many.sets, n * (size_t)one.n_frames);
    assert_memory_equal(one.vectors, many.vectors, numbers * sizeof(float));
    assert_true(atomic_load(&samples) >= 2 * (long long)(seconds[0] * 16000));
    heard_release(&one);
    heard_release(&many);
    subject_close(&s);
}

/* Vectors are of unit length where somebody speaks, and not there where nobody does. */
static void test_vectors(void **state)
{
    const char *audio = check_path("audio/ami_EN2004a_first30s.flac");
    struct subject s;
    struct error err;
    double seconds;
    int n_with = 0;

    (void)state;
    subject_open(&s, 5.0);
    for (int compat = 0; compat < 2; compat++) {
        struct heard h;
        s.settings.compat = compat;
        assert_int_equal(hear(&h, &seconds, audio, &s.settings, &err), 0);
        for (int i = 0; i < h.n_windows * h.n_slots; i++) {
            const float *x = heard_vector(&h, i / h.n_slots, i % h.n_slots);
            int active, alone;
            double squares = 0.0;
            heard_frames(&active, &alone, heard_window(&h, i / h.n_slots), h.n_frames,
                         i % h.n_slots);
            for (int k = 0; k < h.width; k++)
                squares += (double)x[k] * (double)x[k];
            if (active || compat)
                assert_true(fabs(squares - 1.0) < 1e-4);
            else
                assert_true(isnan(x[0]));
            n_with += active > 0;
        }
        heard_release(&h);
    }
    assert_true(n_with > 0);
    subject_close(&s);
}

static void test_refused(void **state)
{
    struct subject s;
    struct heard h;
    struct error err;
    double seconds;
    char path[40];

    (void)state;
    subject_open(&s, 2.0);
    assert_int_equal(hear(&h, &seconds, "/nowhere.wav", &s.settings, &err), -1);
    assert_non_null(strstr(err.text, "/nowhere.wav: cannot be read"));
    heard_release(&h);
    write_noise(path, 399, 16000);
    assert_int_equal(hear(&h, &seconds, path, &s.settings, &err), -1);
    assert_non_null(strstr(err.text, "too short"));
    heard_release(&h);
    s.settings.channel = 2;
    assert_int_equal(hear(&h, &seconds, path, &s.settings, &err), -1);
    assert_non_null(strstr(err.text, path));
    heard_release(&h);
    unlink(path);
    subject_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_of_files),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
