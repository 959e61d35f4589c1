// SPDX-License-Identifier: MIT
/* test_model.c - the forward pass against upstream's goldens: one whole window,
 * and block by block, live and many blocks in one call. */
#include "check.h"

#include "model/cost.h"
#include "model/model.h"
#include "model/op.h"
#include "model/positions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* float32 against float64 upstream is 1e-6 to 2.5e-6 (NOTES); five times that. */
static const double TOLERANCE = 1e-5;

struct subject {
    struct checkpoint weights;
    char *config;
    struct model model;
    struct model_state state;
    struct model_acts acts;
};

static void subject_read(struct subject *s, const char *name)
{
    int segmentation = !strncmp(name, "diarizen", 8);
    char *wavlm = check_read(check_path("golden/%s/%s", name,
                                        segmentation ? "wavlm.config.json" : "model.config.json"));
    char *readout =
        segmentation ? check_read(check_path("golden/%s/model.args.json", name)) : NULL;
    size_t size = strlen(wavlm) + (readout ? strlen(readout) : 0) + 64;

    check_weights(&s->weights, name);
    s->config = malloc(size);
    assert_non_null(s->config);
    snprintf(s->config, size, "{\"wavlm\":%s%s%s}", wavlm, readout ? ",\"readout\":" : "",
             readout ? readout : "");
    s->weights.config = s->config;
    free(wavlm);
    free(readout);
}

static void subject_open(struct subject *s, const struct reach *reach)
{
    struct error err;

    if (model_open(&s->model, &s->weights, reach, &err) ||
        model_state_open(&s->state, &s->model, &err) ||
        model_acts_open(&s->acts, &s->model, &err))
        check_fail("%s", err.text);
}

static void subject_close(struct subject *s)
{
    model_acts_close(&s->acts);
    model_state_close(&s->state);
    model_close(&s->model);
}

static void subject_forget(struct subject *s)
{
    s->weights.config = NULL; // ours, not the file's
    checkpoint_close(&s->weights);
    free(s->config);
}

/* Rows [row, row + T) of a golden [..., rows, width], if the golden has it. */
static void compare(const char *who, const char *name, const float *got,
                    const struct checkpoint *golden, size_t row, size_t T)
{
    const struct tensor *want = checkpoint_find(golden, name);
    char what[200];

    if (!want)
        return;
    size_t width = (size_t)want->size[want->n_axes - 1];
    snprintf(what, sizeof(what), "%s %s", who, name);
    check_close(what, got, (const float *)want->data + row * width, T * width, TOLERANCE);
}

static void compare_window(const char *who, const struct subject *s, const struct checkpoint *io,
                           size_t row, size_t T)
{
    const struct encoder_acts *e = &s->acts.encoder;
    char name[32];

    compare(who, "out.features", s->acts.features, io, row, T);
    compare(who, "out.feature_projection", e->projection, io, row, T);
    compare(who, "out.pos_conv", e->pos_act, io, row, T);
    for (int i = 0; i <= config_layers_used(&s->model.config); i++) {
        snprintf(name, sizeof(name), "out.rep.%d", i);
        compare(who, name, e->rep[i], io, row, T);
    }
    if (!s->model.config.readout.present)
        return;
    compare(who, "out.weight_sum", s->acts.readout.sum, io, row, T);
    compare(who, "out.lnorm", s->acts.readout.x[0], io, row, T);
    for (int i = 0; i < s->model.config.readout.n_layers; i++) {
        snprintf(name, sizeof(name), "out.block.%d", i);
        compare(who, name, s->acts.readout.x[i + 1], io, row, T);
    }
    compare(who, "out.logits", s->acts.readout.logits, io, row, T);
    compare(who, "out.logprobs", s->acts.readout.scores, io, row, T);
}

/* All rows of in.wave, each as one block, on one state that is reset between. */
static void check_offline(struct subject *s, const char *name, const char *file)
{
    struct checkpoint io;
    struct block b;

    check_open(&io, check_path("golden/%s/%s", name, file));
    const struct tensor *wave = checkpoint_find(&io, "in.wave");
    assert_non_null(wave);
    int64_t n = wave->size[wave->n_axes - 1];
    struct reach reach = reach_offline(n);

    subject_open(s, &reach);
    for (size_t row = 0; row < tensor_count(wave) / (size_t)n; row++) {
        model_state_reset(&s->state, &s->model);
        assert_int_equal(block_next(&b, &s->state.at, n, 1, reach.block_frames, 0), 1);
        model_forward(&s->acts, &s->state, &s->model, (const float *)wave->data + (int64_t)row * n,
                      &b, 1);
        compare_window(name, s, &io, row * (size_t)b.own, (size_t)b.own);
    }
    subject_close(s);
    checkpoint_close(&io);
}

static void compare_blocks(const char *who, const struct subject *s, const struct checkpoint *want,
                           size_t row, size_t T)
{
    char name[32];

    compare(who, "conv", s->acts.features, want, row, T);
    compare(who, "projection", s->acts.encoder.projection, want, row, T);
    for (int i = 0; i <= config_layers_used(&s->model.config); i++) {
        snprintf(name, sizeof(name), "layer_%d", i);
        compare(who, name, s->acts.encoder.rep[i], want, row, T);
    }
    if (s->model.config.readout.present)
        compare(who, "scores", s->acts.readout.scores, want, row, T);
}

enum { MAX_BLOCKS = 32 };

static int plan(struct block *blocks, int64_t n, int B)
{
    struct position at = {0};
    int count = 0, row = 0;

    while (block_next(&blocks[count], &at, n - at.samples, 1, B, 0)) {
        position_advance(&at, &blocks[count]);
        blocks[count].row = row;
        row += blocks[count++].own;
        assert_true(count < MAX_BLOCKS);
    }
    return count;
}

/* keep 0: one block a call (live). keep 1: all in one call, as training does. */
static void check_blocks(struct subject *s, const char *name, const float *wave, int64_t n, int B,
                         int L, int keep)
{
    struct block blocks[MAX_BLOCKS];
    struct checkpoint want;
    int count = plan(blocks, n, B);
    struct reach reach = {.block_frames = B, .left_frames = L, .n_blocks = keep ? count : 1,
                          .keep = keep};
    char who[100];

    snprintf(who, sizeof(who), "%s B %d L %d %s", name, B, L, keep ? "one call" : "live");
    check_open(&want, check_path("golden/%s/block_b%d_l%d.safetensors", name, B, L));
    subject_open(s, &reach);
    if (keep) {
        model_forward(&s->acts, &s->state, &s->model, wave, blocks, count);
        compare_blocks(who, s, &want, 0, (size_t)s->state.at.frames);
    }
    for (int i = 0; i < count && !keep; i++) {
        size_t row = (size_t)blocks[i].row;
        blocks[i].row = 0;
        model_forward(&s->acts, &s->state, &s->model, wave + s->state.at.samples, &blocks[i], 1);
        compare_blocks(who, s, &want, row, (size_t)blocks[i].own);
    }
    subject_close(s);
    checkpoint_close(&want);
}

/* What there is of each: io_odd, blocks of 8 frames after 20, of 25 after 50. */
enum { ODD = 1, SMALL = 2, LARGE = 4 };

static struct golden {
    const char *name;
    unsigned has;
} goldens[] = {
    {"wavlm_group_norm_tiny", SMALL},
    {"wavlm_layer_norm_tiny", LARGE | ODD},
    {"wavlm_pruned_tiny", SMALL},
    {"wavlm_pruned_large_tiny", LARGE},
    {"wavlm_noattn0_tiny", SMALL | ODD},
    {"wavlm_headdim64_tiny", SMALL},
    {"wavlm_oddkernel_bias_tiny", SMALL | LARGE | ODD},
    {"diarizen_tiny", LARGE},
    {"diarizen_pruned_posi_tiny", SMALL},
};

static void test_golden(void **state)
{
    static const int blocks[][2] = {{8, 20}, {25, 50}};
    const struct golden *golden = *state;
    const char *name = golden->name;
    struct subject s = {0};
    struct checkpoint io;

    subject_read(&s, name);
    check_offline(&s, name, "io.safetensors");
    if (golden->has & ODD)
        check_offline(&s, name, "io_odd.safetensors");

    check_open(&io, check_path("golden/%s/io.safetensors", name));
    const struct tensor *wave = checkpoint_find(&io, "in.wave");
    for (int i = 0; i < 2; i++)
        for (int keep = 0; keep < 2 && golden->has & (i ? LARGE : SMALL); keep++)
            check_blocks(&s, name, wave->data, wave->size[wave->n_axes - 1], blocks[i][0],
                         blocks[i][1], keep);
    checkpoint_close(&io);
    subject_forget(&s);
}

static void test_buckets(void **state)
{
    (void)state;
    static const int tables[][2] = {{320, 800}, {64, 128}, {32, 128}, {32, 40}};
    struct checkpoint golden;

    check_open(&golden, check_path("golden/rel_pos_buckets/buckets.safetensors"));
    const int16_t *distance = checkpoint_find(&golden, "rel")->data;
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        char name[40];
        snprintf(name, sizeof(name), "bucket.%d.%d", tables[i][0], tables[i][1]);
        const struct tensor *want = checkpoint_find(&golden, name);
        for (size_t k = 0; k < tensor_count(want); k++)
            assert_int_equal(position_bucket(distance[k], tables[i][0], tables[i][1]),
                             ((const int16_t *)want->data)[k]);
    }
    checkpoint_close(&golden);
}

/* Speaker vectors are the affine map of the weighted sum, by hand in double; the
 * mean of vectors is the vector of the mean. */
static void test_vectors(void **state)
{
    (void)state;
    enum { T = 16 };
    struct reach reach = reach_defaults();
    struct subject s = {0};
    struct random rng;
    struct block b;
    struct error err;
    static float audio[T * 320 + 80], vectors[T * 64], mean_sum[192], mean[64], of_mean[64];

    random_init(&rng, check_seed());
    check_fill(audio, T * 320 + 80, &rng);
    if (model_open_arch(&s.model, "nano-conv", 7, &reach, &err) ||
        model_state_open(&s.state, &s.model, &err) || model_acts_open(&s.acts, &s.model, &err))
        check_fail("%s", err.text);
    int C = s.model.config.wavlm.embed, E = s.model.config.readout.embedding;
    assert_true(C == 192 && E == 64);
    assert_int_equal(block_next(&b, &s.state.at, T * 320 + 80, 1, T, 0), 1);
    model_forward(&s.acts, &s.state, &s.model, audio, &b, 1);
    model_vectors(vectors, &s.model, s.acts.readout.traits, b.own);
    for (int t = 0; t < T; t++) {
        for (int e = 0; e < E; e++) {
            double want = s.model.params.embedding.bias[e];
            for (int i = 0; i < C; i++)
                want += (double)s.model.params.embedding.weight[e * C + i] *
                        s.acts.readout.sum[t * C + i];
            assert_true(fabs(vectors[t * E + e] - want) < 1e-4 * (1.0 + fabs(want)));
            mean[e] += vectors[t * E + e] / T;
        }
        for (int i = 0; i < C; i++)
            mean_sum[i] += s.acts.readout.sum[t * C + i] / T;
    }
    model_vectors(of_mean, &s.model, mean_sum, 1);
    check_close("vector of the mean", of_mean, mean, (size_t)E, 1e-4);
    subject_close(&s);
}

/* Upstream's own counts (NOTES 34). */
static void test_counts(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        int64_t parameters, macs;
    } want[] = {
        {"base", 94381680, 6911374336},
        {"large", 315452608, 17810762752},
        {"base-s80", 18881683, 1134228239},
        {"large-s80", 63095530, 3681184026},
    };

    for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
        struct model_config config;
        struct cost cost;
        struct error err;
        char *json = config_arch_json(want[i].arch, &err);
        int n;

        assert_non_null(json);
        assert_int_equal(config_parse(&config, json, &err), 0);
        struct param *list = params_list(&config, &n);
        cost_count(&cost, &config, list, n);
        assert_int_equal(cost.encoder_parameters, want[i].parameters);
        assert_int_equal(cost.encoder_macs, want[i].macs);
        free(list);
        free(json);
    }
}

/* What live is said to cost is what it does: the operations of a block with full left
 * context, counted as they are made. */
static void test_live_cost(void **state)
{
    (void)state;
    static const char *const names[] = {"wavlm_group_norm_tiny", "wavlm_layer_norm_tiny",
                                        "wavlm_pruned_large_tiny", "wavlm_noattn0_tiny",
                                        "diarizen_tiny", "diarizen_pruned_posi_tiny"};
    static const int reaches[][3] = {{16, 50, 0}, {8, 20, 0}, {25, 0, 0}, {16, 40, 5}, {70, 10, 0}};
    static float audio[320 * 400];

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        struct subject s = {0};
        subject_read(&s, names[i]);
        for (size_t k = 0; k < sizeof(reaches) / sizeof(*reaches); k++) {
            struct reach reach = {.block_frames = reaches[k][0], .left_frames = reaches[k][1],
                                  .right_frames = reaches[k][2], .n_blocks = 1};
            struct block b;
            double before = 0.0;
            subject_open(&s, &reach);
            while (s.state.at.frames < reach.left_frames + 2 * reach.block_frames) {
                assert_int_equal(block_next(&b, &s.state.at, 320 * 400 - s.state.at.samples, 0,
                                            reach.block_frames, reach.right_frames), 1);
                before = op_flops();
                model_forward(&s.acts, &s.state, &s.model, audio, &b, 1);
            }
            double macs = (op_flops() - before) / 2.0 * 50.0 / reach.block_frames;
            if (macs != cost_live_macs(&s.model.config, &reach))
                check_fail("%s B %d L %d R %d: %.1f a second counted, %.1f told", names[i],
                           reach.block_frames, reach.left_frames, reach.right_frames, macs,
                           cost_live_macs(&s.model.config, &reach));
            subject_close(&s);
        }
        subject_forget(&s);
    }
}

int main(void)
{
    enum { N = sizeof(goldens) / sizeof(*goldens) };
    struct CMUnitTest tests[N + 4];

    for (int i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){goldens[i].name, test_golden, NULL, NULL, &goldens[i]};
    tests[N] = (struct CMUnitTest)cmocka_unit_test(test_buckets);
    tests[N + 1] = (struct CMUnitTest)cmocka_unit_test(test_counts);
    tests[N + 2] = (struct CMUnitTest)cmocka_unit_test(test_vectors);
    tests[N + 3] = (struct CMUnitTest)cmocka_unit_test(test_live_cost);
    op_set_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
