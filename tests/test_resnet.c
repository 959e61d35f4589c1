// SPDX-License-Identifier: MIT
/* test_resnet.c - the speaker network against upstream's: filter banks, every
 * stage, pooling, vectors; and what must hold whatever the weights are. */
#include "check.h"

#include "model/conv2d.h"
#include "model/kernels.h"
#include "model/op.h"
#include "model/resnet_params.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct subject {
    struct resnet net;
    struct resnet_acts acts;
    struct checkpoint io;
};

enum { MAX_SAMPLES = 48000, E = 64 };

static void subject_open(struct subject *s)
{
    struct checkpoint c;
    struct error err;

    check_open(&c, check_path("golden/resnet34_tiny/pytorch_model.bin"));
    if (resnet_open(&s->net, &c, &err) || resnet_acts_open(&s->acts, &s->net, MAX_SAMPLES, &err))
        check_fail("%s", err.text);
    checkpoint_close(&c); // all was copied
    check_open(&s->io, check_path("golden/resnet34_tiny/io.safetensors"));
}

static void subject_close(struct subject *s)
{
    checkpoint_close(&s->io);
    resnet_acts_close(&s->acts);
    resnet_close(&s->net);
}

static const struct tensor *find(const struct checkpoint *c, const char *format, const char *name)
{
    char full[100];

    snprintf(full, sizeof(full), format, name);
    const struct tensor *t = checkpoint_find(c, full);
    if (!t)
        check_fail("the golden has no %s", full);
    return t;
}

static const float *values(const struct checkpoint *c, const char *format, const char *name)
{
    return find(c, format, name)->data;
}

/* --- filter banks ----------------------------------------------------- */

static void test_fbank(void **state)
{
    (void)state;
    static const char *const signals[] = {"noise_tones", "speech", "silence_click", "one_frame",
                                          "dc"};
    struct checkpoint io;
    struct subject s;

    subject_open(&s);
    check_open(&io, check_path("golden/fbank/io.safetensors"));
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        const struct tensor *wave = find(&io, "in.%s.wave", signals[i]);
        const struct tensor *want = find(&io, "out.%s.fbank", signals[i]);
        size_t n = tensor_count(want);
        float *x = check_wave(wave);
        resnet_features(&s.acts, &s.net, x, tensor_count(wave));
        free(x);
        assert_int_equal(resnet_frames(tensor_count(wave)), want->size[0]);
        for (size_t k = 0; k < n; k++) {
            double d = fabs((double)s.acts.features[k] - (double)((const float *)want->data)[k]);
            if (!(d <= 1e-3))
                check_fail("%s: value %zu is off by %.2g", signals[i], k, d);
        }
    }
    assert_int_equal(resnet_frames(399), 0);
    checkpoint_close(&io);
    subject_close(&s);
}

static void test_fbank_tables(void **state)
{
    (void)state;
    struct checkpoint io;
    struct subject s;
    float mel[80 * 256], window[400];

    subject_open(&s);
    check_open(&io, check_path("golden/fbank/io.safetensors"));
    fbank_tables(s.net.fbank, mel, window);
    check_close("mel", mel, values(&io, "%s", "mel"), 80 * 256, 3e-5);
    check_close("window", window, values(&io, "%s", "window"), 400, 1e-6);
    checkpoint_close(&io);
    subject_close(&s);
}

/* --- the network ------------------------------------------------------ */

/* A golden map is [1,C,H,T]. */
static void compare_map(const struct map *got, const struct tensor *want, double tolerance)
{
    float *turned = malloc(tensor_count(want) * sizeof(float));

    assert_int_equal(want->size[1], got->C);
    assert_int_equal(want->size[2], got->H);
    assert_int_equal(want->size[3], got->T);
    for (int c = 0; c < got->C; c++)
        for (int h = 0; h < got->H; h++)
            for (int t = 0; t < got->T; t++)
                turned[(c * got->H + h) * got->T + t] =
                    got->data[(t * got->H + h) * got->C + c];
    check_close(want->name, turned, want->data, tensor_count(want), tolerance);
    free(turned);
}

static void compare_stage(struct subject *s, const char *frames, const char *stage)
{
    char name[60];

    snprintf(name, sizeof(name), "out.%s.%s", frames, stage);
    const struct tensor *want = checkpoint_find(&s->io, name);
    if (want)
        compare_map(&s->acts.map, want, 2e-5);
}

/* Filter banks of the golden through all stages. */
static void run_stages(struct subject *s, const char *frames)
{
    static const char *const stages[] = {"layer1", "layer2", "layer3", "layer4"};
    const struct tensor *features = find(&s->io, "in.%s.fbank", frames);

    memcpy(s->acts.features, features->data, tensor_count(features) * sizeof(float));
    resnet_stem(&s->acts, &s->net, (int)features->size[1]);
    compare_stage(s, frames, "conv1");
    for (int i = 0; i < RESNET_STAGES; i++) {
        resnet_stage(&s->acts, &s->net, i);
        compare_stage(s, frames, stages[i]);
    }
}

static void test_stages(void **state)
{
    (void)state;
    static const char *const frames[] = {"37", "98", "200"};
    struct subject s;
    float vector[E];

    subject_open(&s);
    for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
        run_stages(&s, frames[i]);
        resnet_pool(vector, &s.acts, &s.net, NULL, 0);
        check_close(frames[i], s.acts.stats, values(&s.io, "out.%s.stats", frames[i]), 1280, 1e-5);
        check_close(frames[i], vector, values(&s.io, "out.%s.embedding", frames[i]), E, 1e-5);
    }
    subject_close(&s);
}

/* Up to eight frames the last map is one frame long: without weights a deviation
 * of it is none, as upstream has it. */
static void test_one_last_frame(void **state)
{
    (void)state;
    static const char *const frames[] = {"1", "2", "8"};
    struct subject s;
    float vector[E], one = 1.0f;

    subject_open(&s);
    for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
        run_stages(&s, frames[i]);
        resnet_pool(vector, &s.acts, &s.net, NULL, 0);
        assert_true(isnan(values(&s.io, "out.%s.embedding", frames[i])[0]));
        assert_true(isnan(vector[0]));
        check_close(frames[i], s.acts.stats, values(&s.io, "out.%s.stats", frames[i]), 640, 1e-5);
        resnet_pool(vector, &s.acts, &s.net, &one, 1);
        assert_true(isfinite(vector[0]) && isfinite(vector[E - 1]));
    }
    subject_close(&s);
}

static void test_weights(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double tolerance; // one frame alone: see note 8 of the goldens
    } cases[] = {
        {"match25", 1e-5}, {"match25_soft", 1e-5}, {"match25_single", 3e-4}, {"r11_soft", 1e-5},
        {"r799_one_frame_hit", 3e-4}, {"r799_one_frame_missed", 1e-5}, {"r799_ones", 1e-5},
        {"r799_short_two_hits", 1e-5}, {"r799_two_blocks", 1e-5}, {"r799_zero", 1e-5},
        {"r99_block", 1e-5},
    };
    struct subject s;
    float vector[E];

    subject_open(&s);
    run_stages(&s, "200");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *name = cases[i].name;
        const struct tensor *w = find(&s.io, "in.w.%s", name);
        resnet_pool(vector, &s.acts, &s.net, w->data, (int)w->size[0]);
        check_close(name, s.acts.stats, values(&s.io, "out.w.%s.stats", name), 1280,
                    cases[i].tolerance);
        check_close(name, vector, values(&s.io, "out.w.%s.embedding", name), E,
                    cases[i].tolerance);
    }
    const float *w3 = values(&s.io, "in.%s", "w3"), *stats = values(&s.io, "out.%s.stats", "w3");
    for (int k = 0; k < 3; k++) {
        resnet_pool(vector, &s.acts, &s.net, w3 + 799 * k, 799);
        check_close("w3", s.acts.stats, stats + 1280 * k, 1280, 1e-5);
    }
    subject_close(&s);
}

/* 8 to 82 is where whole numbers would go wrong. */
static void test_nearest(void **state)
{
    (void)state;
    static const int tables[][2] = {{11, 25}, {149, 38}, {199, 50}, {200, 799}, {249, 63},
                                    {293, 63}, {399, 100}, {7, 3}, {799, 100}, {799, 200},
                                    {799, 25}, {799, 38}, {8, 82}, {99, 25}};
    struct checkpoint io;

    check_open(&io, check_path("golden/resnet34_tiny/io.safetensors"));
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        char name[40];
        snprintf(name, sizeof(name), "nearest.%d.%d", tables[i][0], tables[i][1]);
        const int64_t *want = checkpoint_find(&io, name)->data;
        for (int k = 0; k < tables[i][1]; k++)
            assert_int_equal(resnet_nearest(k, tables[i][0], tables[i][1]), want[k]);
    }
    checkpoint_close(&io);
}

static void test_wave_to_vectors(void **state)
{
    (void)state;
    struct subject s;
    float vector[E];

    subject_open(&s);
    const float *w = values(&s.io, "in.%s", "wave_weights");
    float *wave = check_wave(find(&s.io, "in.%s", "wave"));
    for (int row = 0; row < 2; row++) {
        resnet_vectors(vector, &s.acts, &s.net, wave + 48000 * row, 48000, w + 149 * row, 1, 149);
        check_close("with weights", vector, values(&s.io, "out.%s.embedding", "wave") + E * row, E,
                    1e-4);
        resnet_vectors(vector, &s.acts, &s.net, wave + 48000 * row, 48000, NULL, 1, 0);
        check_close("without", vector,
                    values(&s.io, "out.%s.embedding_no_weights", "wave") + E * row, E, 1e-4);
    }
    free(wave);
    subject_close(&s);
}

/* --- what must hold --------------------------------------------------- */

enum { SPEAKERS = 5 };

static void test_properties(void **state)
{
    (void)state;
    struct subject s;
    struct random rng;
    static float x[MAX_SAMPLES], w[SPEAKERS * 97], turned[SPEAKERS * 97];
    float vectors[SPEAKERS * E], others[SPEAKERS * E], plain[E];

    random_init(&rng, check_seed());
    subject_open(&s);
    for (int round = 0; round < 4; round++) {
        size_t n = 2500 + random_bits(&rng) % 20000;
        int n_frames = 1 + (int)(random_bits(&rng) % 97);
        check_fill(x, n, &rng);
        for (int i = 0; i < SPEAKERS * n_frames; i++)
            w[i] = (float)(random_bits(&rng) % 2);
        for (int i = 0; i < n_frames; i++) {
            w[i] = 1.0f;                // the first hears all
            w[n_frames + i] = 0.0f;     // the second nothing
        }
        resnet_vectors(vectors, &s.acts, &s.net, x, n, w, SPEAKERS, n_frames);
        resnet_vectors(plain, &s.acts, &s.net, x, n, NULL, 1, 0);
        check_close("all of it", vectors, plain, E, 1e-5);
        assert_memory_equal(vectors + E, s.net.bias, sizeof(plain));
        for (int k = 0; k < SPEAKERS; k++) // in another order: the same bits
            memcpy(turned + (SPEAKERS - 1 - k) * n_frames, w + k * n_frames,
                   (size_t)n_frames * sizeof(float));
        resnet_vectors(others, &s.acts, &s.net, x, n, turned, SPEAKERS, n_frames);
        for (int k = 0; k < SPEAKERS; k++)
            assert_memory_equal(others + (SPEAKERS - 1 - k) * E, vectors + k * E, sizeof(plain));
        for (int i = 0; i < SPEAKERS * n_frames; i++) // a weight's scale does not matter
            w[i] *= 0.25f;
        resnet_vectors(others, &s.acts, &s.net, x, n, w, 1, n_frames);
        check_close("quarter weights", others, vectors, E, 1e-5);
    }
    subject_close(&s);
}

/* A stretch of one frame after a long one: nothing of the long one is left. */
static void test_shortest(void **state)
{
    (void)state;
    struct subject s, fresh;
    struct random rng;
    static float x[MAX_SAMPLES];
    float vector[E], again[E], one = 1.0f;

    random_init(&rng, check_seed());
    subject_open(&s);
    subject_open(&fresh);
    check_fill(x, MAX_SAMPLES, &rng);
    resnet_vectors(vector, &s.acts, &s.net, x, MAX_SAMPLES, &one, 1, 1);
    for (size_t n = RESNET_MIN_SAMPLES; n < 3000; n += 613) {
        resnet_vectors(vector, &s.acts, &s.net, x, n, &one, 1, 1);
        resnet_vectors(again, &fresh.acts, &fresh.net, x, n, &one, 1, 1);
        assert_memory_equal(vector, again, sizeof(vector));
        assert_true(isfinite(vector[0]));
    }
    struct error err;
    struct resnet_acts acts;
    assert_int_equal(resnet_acts_open(&acts, &s.net, RESNET_MIN_SAMPLES - 1, &err), -1);
    subject_close(&s);
    subject_close(&fresh);
}

/* --- threads ---------------------------------------------------------- */

struct worker {
    const struct resnet *net;
    const float *samples, *weights;
    float vectors[4][E];
};

static void *work(void *user)
{
    struct worker *w = user;
    struct resnet_acts acts;
    struct error err;

    if (resnet_acts_open(&acts, w->net, 9000, &err) == 0) {
        for (int i = 0; i < 4; i++)
            resnet_vectors(w->vectors[i], &acts, w->net, w->samples, (size_t)(9000 - 1500 * i),
                           w->weights, 1, 20);
        resnet_acts_close(&acts);
    }
    return NULL;
}

/* One network, two threads at once: each has what one alone has. */
static void test_threads(void **state)
{
    (void)state;
    struct subject s;
    struct worker workers[3];
    struct random rng;
    pthread_t threads[2];
    static float x[9000], w[20];

    random_init(&rng, check_seed());
    check_fill(x, 9000, &rng);
    for (int i = 0; i < 20; i++)
        w[i] = random_uniform(&rng);
    subject_open(&s);
    for (int i = 0; i < 3; i++)
        workers[i] = (struct worker){.net = &s.net, .samples = x, .weights = w};
    work(&workers[2]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_memory_equal(workers[i].vectors, workers[2].vectors, sizeof(workers[2].vectors));
    }
    assert_true(workers[2].vectors[0][0] != 0.0f);
    subject_close(&s);
}

/* --- convolutions on odd shapes --------------------------------------- */

static double plain_sum(const struct conv2d_shape *s, const float *kernel, const struct map *x,
                        int t, int h, int o)
{
    int K = s->kernel;
    double sum = 0.0;

    for (int j = 0; j < K; j++) {
        for (int i = 0; i < K; i++) {
            int at = t * s->stride + i - K / 2, band = h * s->stride + j - K / 2;
            if (at < 0 || at >= x->T || band < 0 || band >= x->H)
                continue;
            for (int c = 0; c < x->C; c++)
                sum += (double)x->data[(at * x->H + band) * x->C + c] *
                       (double)kernel[((o * x->C + c) * K + j) * K + i];
        }
    }
    return sum;
}

static void check_conv(const struct conv2d_shape *shape, int T, int H, int flags,
                       struct random *rng)
{
    int out_T = (T + shape->stride - 1) / shape->stride;
    int out_H = (H + shape->stride - 1) / shape->stride;
    size_t n_x = (size_t)(T * H * shape->in), n_y = (size_t)(out_T * out_H * shape->out);
    size_t n_kernel = (size_t)(shape->kernel * shape->kernel * shape->in * shape->out);
    float *x = malloc(n_x * sizeof(float)), *y = malloc(n_y * sizeof(float));
    float *want = malloc(n_y * sizeof(float)), *kernel = malloc(n_kernel * sizeof(float));
    double scale[40], shift[40];
    struct conv2d_scratch scratch = {0};
    struct arena arena = {0};
    struct conv2d conv;
    struct error err;
    struct map in = {x, T, H, shape->in}, out = {.data = y};

    conv2d_scratch_need(&scratch, shape, H);
    for (int twice = 0; twice < 2; twice++) {
        conv2d_place(&conv, shape, &arena);
        conv2d_scratch_place(&scratch, &arena);
        if (!twice)
            assert_int_equal(arena_commit(&arena, &err), 0);
    }
    check_fill(x, n_x, rng);
    check_fill(y, n_y, rng);
    check_fill(kernel, n_kernel, rng);
    for (int o = 0; o < shape->out; o++) {
        scale[o] = 0.5 + (double)random_uniform(rng);
        shift[o] = (double)random_uniform(rng) - 0.5;
    }
    for (int i = 0; i < (int)n_y; i++) {
        int o = i % shape->out, h = i / shape->out % out_H, t = i / shape->out / out_H;
        double sum = scale[o] * plain_sum(shape, kernel, &in, t, h, o) + shift[o];
        sum += flags & CONV2D_ADD ? (double)y[i] : 0.0;
        want[i] = (float)(flags & CONV2D_RELU && sum < 0.0 ? 0.0 : sum);
    }
    conv2d_fill(&conv, kernel, scale, shift);
    conv2d_forward(&out, &scratch, &conv, &in, flags);
    assert_int_equal(out.T, out_T);
    assert_int_equal(out.H, out_H);
    check_close("convolution", y, want, n_y, 5e-6);
    arena_release(&arena);
    free(x);
    free(y);
    free(want);
    free(kernel);
}

static void test_convolutions(void **state)
{
    (void)state;
    struct random rng;

    random_init(&rng, check_seed());
    for (int i = 0; i < 60; i++) {
        int in = 1 + (int)(random_bits(&rng) % 20), out = 1 + (int)(random_bits(&rng) % 40);
        int T = 1 + (int)(random_bits(&rng) % 24), H = 1 + (int)(random_bits(&rng) % 12);
        check_conv(&(struct conv2d_shape){in + 1, out, 3, 1}, T, H,
                   CONV2D_RELU | (i % 2 ? CONV2D_ADD : 0), &rng);
        check_conv(&(struct conv2d_shape){in, out, 3, 2}, T, H, CONV2D_RELU, &rng);
        check_conv(&(struct conv2d_shape){in, out, 1, 2}, T, H, 0, &rng);
        check_conv(&(struct conv2d_shape){1, out, 3, 1}, T, H, CONV2D_RELU, &rng);
    }
    check_conv(&(struct conv2d_shape){2, 3, 3, 1}, 4001, 80, CONV2D_RELU, &rng); // many tiles
    check_conv(&(struct conv2d_shape){1, 2, 3, 2}, 4001, 79, CONV2D_RELU, &rng);
}

/* --- counts ----------------------------------------------------------- */

static void test_counts(void **state)
{
    (void)state;
    struct resnet_param list[RESNET_MAX_PARAMS];
    struct resnet_shape real = {32, 80, 256};
    struct resnet_cost cost;

    assert_int_equal(resnet_params_list(list, &real), 218); // of the goldens' notes
    resnet_count(&cost, &real);
    assert_int_equal(cost.parameters, 6634336);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fbank),          cmocka_unit_test(test_fbank_tables),
        cmocka_unit_test(test_stages),         cmocka_unit_test(test_one_last_frame),
        cmocka_unit_test(test_weights),        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_wave_to_vectors), cmocka_unit_test(test_properties),
        cmocka_unit_test(test_shortest),       cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_counts),         cmocka_unit_test(test_threads),
    };

    op_set_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
