// SPDX-License-Identifier: MIT
/* test_through.c - a recording that is gone through once, and what of it goes into the
 * vectors of windows. */
#include "check.h"

#include "model/builtin.h"
#include "model/op.h"
#include "stream/audio_file.h"
#include "stream/hear.h"
#include "stream/through.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct subject {
    struct checkpoint file;
    struct model live;
    float *samples;
    size_t n;
    float *want; // [n_frames,width] block by block, of samples that are all there
    int n_frames, width;
};

static void hear_blocks(struct subject *s)
{
    const struct model *m = &s->live;
    struct model_state state;
    struct model_acts acts;
    struct block b;
    struct error err;
    int64_t n = (int64_t)s->n;

    s->width = m->config.readout.embedding;
    s->n_frames = (int)blocks_frames(n);
    s->want = malloc((size_t)s->n_frames * (size_t)s->width * sizeof(float));
    assert_non_null(s->want);
    if (model_state_open(&state, m, &err) || model_acts_open(&acts, m, &err))
        check_fail("%s", err.text);
    while (block_next(&b, &state.at, n - state.at.samples, 1, m->reach.block_frames, 0)) {
        model_forward(&acts, &state, m, s->samples + state.at.samples, &b, 1);
        model_vectors(s->want + b.frame * s->width, m, acts.readout.traits, b.own);
    }
    model_acts_close(&acts);
    model_state_close(&state);
}

static void subject_open(struct subject *s)
{
    struct reach reach = reach_defaults();
    struct error err;

    memset(s, 0, sizeof(*s));
    reach.left_frames = REACH_OWN;
    reach.horizon_seconds = REACH_OWN;
    if (audio_file_read(&s->samples, &s->n, check_path("audio/ami_EN2004a_first30s.flac"), 0, &err) ||
        checkpoint_open_memory(&s->file, builtin_model, builtin_model_bytes(), "built-in", &err) ||
        model_open(&s->live, &s->file, &reach, &err))
        check_fail("%s", err.text);
    hear_blocks(s);
}

static void subject_close(struct subject *s)
{
    model_close(&s->live);
    checkpoint_close(&s->file);
    free(s->samples);
    free(s->want);
}

/* However it is cut, the last frames are those of a listener, bit by bit. */
static void test_as_live(void **state)
{
    enum { KEEP = 120, PUT = 40000 };
    struct subject s;
    struct random rng;
    struct error err;
    float *got;

    (void)state;
    subject_open(&s);
    got = malloc(KEEP * (size_t)s.width * sizeof(float));
    assert_non_null(got);
    random_init(&rng, check_seed());
    for (int cut = 1; cut <= PUT; cut *= 200) {
        struct through t;
        size_t at = 0;
        int64_t frames = 0;
        if (through_open(&t, &s.live, KEEP, PUT, &err))
            check_fail("%s", err.text);
        while (at < s.n) {
            size_t n = cut == 1 ? 1 + (size_t)(random_uniform(&rng) * (PUT - 1)) : (size_t)cut;
            n = n < s.n - at ? n : s.n - at;
            through_put(&t, s.samples + at, n);
            at += n;
            int64_t heard = blocks_frames((int64_t)at) / 16 * 16, from = heard - KEEP;
            assert_true(heard >= frames);
            frames = heard;
            from = from > 0 ? from : 0;
            assert_int_equal(through_copy(got, &t, from, KEEP), frames - from);
            assert_memory_equal(got, s.want + from * s.width,
                                (size_t)(frames - from) * (size_t)s.width * sizeof(float));
        }
        assert_true(frames > s.n_frames - 16);
        assert_int_equal(through_copy(got, &t, frames - 50, 20), 20);
        assert_memory_equal(got, s.want + (frames - 50) * s.width,
                            20 * (size_t)s.width * sizeof(float));
        assert_int_equal(through_copy(got, &t, frames, KEEP), 0);
        assert_int_equal(through_copy(got, &t, 0, KEEP), 0); // long gone
        through_close(&t);
    }
    free(got);
    subject_close(&s);
}

/* The listener's share of a vector that hear() has found is the mean of its frames. */
static void check_listened(const struct subject *s, const struct heard *with,
                           const struct heard *without, const struct windows *w)
{
    const float window_says = 0.25f;
    float *mean = malloc((size_t)s->width * sizeof(float));
    int compared = 0;

    assert_non_null(mean);
    for (int i = 0; i < with->n_windows * with->n_slots; i++) {
        int window = i / with->n_slots, slot = i % with->n_slots;
        int64_t first = windows_frame(w, window), end = first + with->n_frames;
        int64_t heard = blocks_frames(window * w->n_step + w->n_samples) / 16 * 16;
        const float *x = heard_vector(with, window, slot), *y = heard_vector(without, window, slot);
        if (end > s->n_frames)
            continue; // the last window: its end is known to others
        int n = heard_mean(mean, s->want + first * s->width, s->width, heard_window(with, window),
                           (int)((heard < end ? heard : end) - first), slot);
        for (int k = 0; k < s->width && n; k++)
            assert_float_equal(x[k], window_says * y[k] + (1.0f - window_says) * mean[k],
                               1e-4f * (1.0f + fabsf(x[k])));
        compared += n > 0;
        if (!n)
            assert_true(isnan(x[0]));
    }
    assert_true(compared > 5);
    free(mean);
}

static void test_hear(void **state)
{
    struct subject s;
    struct model model;
    struct hear_settings settings = {.n_threads = 1};
    struct heard without, one, with;
    struct error err;
    const char *audio = check_path("audio/ami_EN2004a_first30s.flac");
    double seconds;

    (void)state;
    subject_open(&s);
    assert_int_equal(windows_init(&settings.windows, 8.0, 3.0, &err), 0);
    struct reach reach = reach_offline(settings.windows.n_samples);
    if (model_open(&model, &s.file, &reach, &err))
        check_fail("%s", err.text);
    settings.model = &model;
    assert_int_equal(hear(&without, &seconds, audio, &settings, &err), 0);
    settings.live = &s.live;
    assert_int_equal(hear(&one, &seconds, audio, &settings, &err), 0);
    assert_int_equal(one.n_windows, without.n_windows);
    assert_memory_equal(one.sets, without.sets, (size_t)one.n_windows * (size_t)one.n_frames);
    check_listened(&s, &one, &without, &settings.windows);
    size_t n = (size_t)one.n_windows * (size_t)one.n_slots * (size_t)one.width;
    for (settings.n_threads = 2; settings.n_threads <= 3; settings.n_threads++) {
        assert_int_equal(hear(&with, &seconds, audio, &settings, &err), 0);
        assert_memory_equal(with.vectors, one.vectors, n * sizeof(float));
        heard_release(&with);
    }
    heard_release(&one);
    heard_release(&without);
    model_close(&model);
    subject_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_live),
        cmocka_unit_test(test_hear),
    };

    op_set_threads(1); // windows are what is shared
    return cmocka_run_group_tests(tests, NULL, NULL);
}
