// SPDX-License-Identifier: MIT
/* test_hear.c - audio to windows and what is heard in them: every cut of a file, and
 * the same from one thread and from many. */
#include "check.h"

#include "model/builtin.h"
#include "model/op.h"
#include "stream/hear.h"
#include "stream/speaker_vectors.h"
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

/* The first six seconds of the meeting; the caller unlinks it. */
static void write_excerpt(char path[40])
{
    SF_INFO info = {.samplerate = 16000, .channels = 1, .format = SF_FORMAT_WAV | SF_FORMAT_FLOAT};
    struct error err;
    float *all;
    size_t n;

    if (audio_file_read(&all, &n, check_path("audio/ami_EN2004a_first30s.flac"), 0, &err))
        check_fail("%s", err.text);
    strcpy(path, "/tmp/antiphon-hear-XXXXXX");
    SNDFILE *f = sf_open_fd(mkstemp(path), SFM_WRITE, &info, 1);
    assert_non_null(f);
    assert_true(n > 96000);
    assert_int_equal(sf_writef_float(f, all, 96000), 96000);
    sf_close(f);
    free(all);
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
    char audio[40];
    struct subject s;
    struct heard one, many;
    struct error err;
    double seconds[2];
    atomic_llong samples = 0;

    (void)state;
    write_excerpt(audio);
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
    unlink(audio);
    subject_close(&s);
}

/* Vectors are numbers where somebody speaks, and not there where nobody does. */
static void test_vectors(void **state)
{
    char audio[40];
    struct subject s;
    struct error err;
    double seconds;
    int n_with = 0;

    (void)state;
    write_excerpt(audio);
    subject_open(&s, 2.0);
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
                assert_true(squares > 0.0 && isfinite(squares));
            else
                assert_true(isnan(x[0]));
            n_with += active > 0;
        }
        heard_release(&h);
    }
    assert_true(n_with > 0);
    unlink(audio);
    subject_close(&s);
}

/* A speaker network's vectors, against the same network over the same windows. */
static void test_network(void **state)
{
    char audio[40];
    struct subject s;
    struct checkpoint file;
    struct resnet net;
    struct heard h;
    struct speaker_vectors direct;
    struct error err;
    double seconds;
    float *samples, want[4 * 64];
    size_t n;

    (void)state;
    write_excerpt(audio);
    subject_open(&s, 2.0);
    check_open(&file, check_path("golden/resnet34_tiny/pytorch_model.bin"));
    if (resnet_open(&net, &file, &err))
        check_fail("%s", err.text);
    s.settings.network = &net;
    s.settings.compat = 1;
    s.settings.n_threads = 2;
    if (hear(&h, &seconds, audio, &s.settings, &err))
        check_fail("%s", err.text);
    assert_int_equal(h.width, net.shape.embedding);
    assert_int_equal(h.n_slots, 4);
    assert_int_equal(audio_file_read(&samples, &n, audio, 0, &err), 0);
    assert_int_equal(speaker_vectors_open(&direct, &net, (size_t)s.settings.windows.n_samples,
                                          h.n_frames, 4, &err), 0);
    for (int c = 0; c < h.n_windows; c += 2) {
        uint8_t *active = calloc((size_t)h.n_frames, 4);
        assert_non_null(active);
        for (int i = 0; i < h.n_frames * 4; i++)
            active[i] = heard_window(&h, c)[i / 4] >> i % 4 & 1;
        speaker_vectors_compute(want, &direct, samples, n,
                                (size_t)(c * s.settings.windows.n_step),
                                (size_t)s.settings.windows.n_samples, active, h.n_frames, 4);
        assert_memory_equal(heard_vector(&h, c, 0), want, sizeof(want));
        free(active);
    }
    speaker_vectors_close(&direct);
    heard_release(&h);
    resnet_close(&net);
    checkpoint_close(&file);
    free(samples);
    unlink(audio);
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
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_refused),
    };

    op_set_threads(1); // windows are what is shared
    return cmocka_run_group_tests(tests, NULL, NULL);
}
