// SPDX-License-Identifier: MIT
/* test_walk.c - the reverse walk: gradients of every parameter against upstream's,
 * and against the slope of the forward pass, whole and block-causal. */
#include "check.h"

#include "model/model.h"
#include "prune/walk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Five times the difference of a float32 run of upstream's (NOTES). */
static const double TOLERANCE = 5e-5;

struct subject {
    struct checkpoint file;
    struct model model;
    struct model_state state;
    struct model_acts acts;
    struct gradients gradients;
    struct training training;
    struct block blocks[512];
    int n_blocks, left;
};

/* The golden's weights in memory that may be written. */
static void subject_open(struct subject *s, const char *name, const struct reach *reach)
{
    int segmentation = !strncmp(name, "diarizen", 8);
    char *wavlm = check_read(check_path("golden/%s/%s", name,
                                        segmentation ? "wavlm.config.json" : "model.config.json"));
    char *readout =
        segmentation ? check_read(check_path("golden/%s/model.args.json", name)) : NULL;
    size_t size = strlen(wavlm) + (readout ? strlen(readout) : 0) + 64;
    char *config = malloc(size);
    struct model source;
    struct error err;

    assert_non_null(config);
    snprintf(config, size, "{\"wavlm\":%s%s%s}", wavlm, readout ? ",\"readout\":" : "",
             readout ? readout : "");
    check_weights(&s->file, name);
    s->file.config = config;
    if (model_open(&source, &s->file, reach, &err) ||
        model_open_config(&s->model, config, reach, &err))
        check_fail("%s", err.text);
    for (int i = 0; i < s->model.n_params; i++) {
        const struct param *p = &s->model.list[i];
        const float *values = param_values(&source.params, p);
        if (values)
            memcpy(*param_slot(&s->model.params, p), values, param_count(p) * sizeof(float));
    }
    model_derive(&s->model);
    model_close(&source);
    if (model_state_open(&s->state, &s->model, &err) ||
        model_acts_open(&s->acts, &s->model, &err) ||
        gradients_open(&s->gradients, &s->model, 0, 0, &err))
        check_fail("%s", err.text);
    s->gradients.extractor_scale = 0.1f;
    s->training = (struct training){.batch_statistics = 1};
    s->acts.training = &s->training;
    s->left = reach->left_frames;
    free(wavlm);
    free(readout);
    free(config);
    s->file.config = NULL;
}

static void subject_close(struct subject *s)
{
    gradients_close(&s->gradients);
    model_acts_close(&s->acts);
    model_state_close(&s->state);
    model_close(&s->model);
    checkpoint_close(&s->file);
}

/* Blocks of n_streams streams of n samples, one after another. */
static void plan(struct subject *s, int n_streams, int64_t n, int block_frames)
{
    int row = 0;

    s->n_blocks = 0;
    for (int i = 0; i < n_streams; i++) {
        struct position at = {0};
        struct block b;
        while (block_next(&b, &at, n - at.samples, 1, block_frames, 0)) {
            b.row = row;
            row += block_rows(&b);
            s->blocks[s->n_blocks++] = b;
            position_advance(&at, &b);
        }
    }
}

static struct reach whole(int64_t n_samples, int n_streams)
{
    int frames = (int)blocks_frames(n_samples);

    return (struct reach){.block_frames = frames + 1, .n_blocks = n_streams,
                          .n_rows = n_streams * frames, .stream_frames = frames, .keep = KEEP_ALL};
}

/* True gradient zero (NOTES 21): what comes out is noise. */
static int is_noise(const char *name)
{
    return strstr(name, "k_proj.bias") || strstr(name, "linearK.bias") ||
           strstr(name, "depthwise_conv.bias");
}

static void compare_gradients(struct subject *s, const char *name, const struct checkpoint *golden)
{
    int compared = 0;

    for (int i = 0; i < s->model.n_params; i++) {
        const struct param *p = &s->model.list[i];
        const struct tensor *want = checkpoint_find(golden, p->name);
        const float *got = param_values(&s->gradients.params, p);
        char key[200];

        if (!want) { // upstream's name of the whole
            snprintf(key, sizeof(key), "wavlm_model.%s", p->name);
            want = checkpoint_find(golden, key);
        }
        if (!want)
            continue;
        compared++;
        snprintf(key, sizeof(key), "%s %s", name, p->name);
        if (is_noise(p->name)) {
            for (size_t k = 0; k < param_count(p); k++)
                assert_true(fabsf(got[k]) < 2e-5f);
        } else {
            check_close(key, got, (const float *)want->data, param_count(p), TOLERANCE);
        }
    }
    assert_int_equal(compared, golden->n_tensors);
}

static void train_segmentation(const char *name, enum keep keep)
{
    struct subject *s = calloc(1, sizeof(*s));
    struct checkpoint io, grads;

    check_open(&io, check_path("golden/%s/pit_io.safetensors", name));
    check_open(&grads, check_path("golden/%s/pit_grads.safetensors", name));
    const struct tensor *wave = checkpoint_find(&io, "in.wave");
    const struct tensor *scores = checkpoint_find(&io, "out.logprobs_train");
    int n_streams = (int)wave->size[0];
    int64_t n = wave->size[2];
    struct reach reach = whole(n, n_streams);
    reach.keep = keep;
    struct loss_slopes slopes = {
        .scores = (const float *)checkpoint_find(&io, "out.grad_logprobs")->data};

    subject_open(s, name, &reach);
    plan(s, n_streams, n, reach.block_frames);
    model_forward(&s->acts, &s->state, &s->model, (const float *)wave->data, s->blocks,
                  s->n_blocks);
    check_close("log-probabilities in training", s->acts.readout.scores,
                (const float *)scores->data, (size_t)(scores->size[0] * scores->size[1] * 11),
                1.5e-5);
    walk_backward(&s->gradients, &s->acts, &s->state, &s->model, &slopes, 0, s->blocks,
                  s->n_blocks);
    gradients_fold(&s->gradients, &s->model);
    compare_gradients(s, name, &grads);

    readout_update_running(&s->model.params, &s->model.config.readout, &s->acts.readout);
    for (int i = 0; i < s->model.n_params; i++) {
        const struct param *p = &s->model.list[i];
        char key[200];
        snprintf(key, sizeof(key), "after.%s", p->name);
        const struct tensor *want = checkpoint_find(&io, key);
        if (want)
            check_close(key, param_values(&s->model.params, p), (const float *)want->data,
                        param_count(p), 5e-6);
    }
    subject_close(s);
    checkpoint_close(&io);
    checkpoint_close(&grads);
    free(s);
}

static void test_segmentation(void **state)
{
    train_segmentation("diarizen_tiny", KEEP_ALL);
    train_segmentation("diarizen_pruned_posi_tiny", KEEP_ALL);
}

static void test_recompute(void **state)
{
    train_segmentation("diarizen_tiny", KEEP_INPUTS);
    train_segmentation("diarizen_pruned_posi_tiny", KEEP_INPUTS);
}

/* d/dx of mean |x - y| and of - mean cosine over rows, [T,C] of n_all rows. */
static void distill_slope(float *d, const float *x, const float *y, int T, int C, double n_rows)
{
    for (int t = 0; t < T; t++) {
        const float *a = x + t * C, *b = y + t * C;
        double aa = 0, bb = 0, ab = 0;
        for (int c = 0; c < C; c++) {
            aa += (double)a[c] * a[c];
            bb += (double)b[c] * b[c];
            ab += (double)a[c] * b[c];
        }
        double na = sqrt(aa), nb = sqrt(bb);
        for (int c = 0; c < C; c++) {
            double l1 = (a[c] > b[c]) - (a[c] < b[c]);
            double cosine = b[c] / (na * nb) - ab * a[c] / (na * na * na * nb);
            d[t * C + c] = (float)(l1 / (n_rows * C) - cosine / n_rows);
        }
    }
}

static void distill(const char *name)
{
    struct subject *s = calloc(1, sizeof(*s));
    struct checkpoint io, grads;
    const float *rep[8] = {0};

    check_open(&io, check_path("golden/%s/distill_io.safetensors", name));
    check_open(&grads, check_path("golden/%s/distill_grads.safetensors", name));
    const struct tensor *wave = checkpoint_find(&io, "in.wave");
    const struct tensor *teacher = checkpoint_find(&io, "out.teacher_hiddens"); // [B,3,T,C]
    int B = (int)teacher->size[0], T = (int)teacher->size[2], C = (int)teacher->size[3];
    struct reach reach = whole(wave->size[1], B);
    float *slope = calloc((size_t)(3 * B * T * C), sizeof(float));

    subject_open(s, name, &reach);
    plan(s, B, wave->size[1], reach.block_frames);
    model_forward(&s->acts, &s->state, &s->model, (const float *)wave->data, s->blocks,
                  s->n_blocks);
    for (int k = 0; k < 3; k++) { // layers 0, 2, 4
        rep[2 * k] = slope + (size_t)(k * B * T * C);
        for (int b = 0; b < B; b++)
            distill_slope(slope + (size_t)((k * B + b) * T * C),
                          s->acts.encoder.rep[2 * k] + (size_t)(b * T * C),
                          (const float *)teacher->data + (size_t)((b * 3 + k) * T * C), T, C,
                          3.0 * B * T);
    }
    struct loss_slopes slopes = {.rep = rep};
    walk_backward(&s->gradients, &s->acts, &s->state, &s->model, &slopes, 0, s->blocks,
                  s->n_blocks);
    gradients_fold(&s->gradients, &s->model);
    compare_gradients(s, name, &grads);
    subject_close(s);
    checkpoint_close(&io);
    checkpoint_close(&grads);
    free(slope);
    free(s);
}

static void test_distill(void **state)
{
    distill("wavlm_group_norm_tiny");
    distill("wavlm_layer_norm_tiny");
}

/* sum of weights times results: a loss whose slopes are the weights. */
static double weighted(const float *x, const float *w, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * w[i];
    return sum;
}

struct slope_case {
    struct subject s;
    float *samples;
    float *by_scores, *by_last, *by_projection; // the last two [n_last]
    float *by_traits;
    size_t n_scores, n_last, n_traits;
    double noise; // of the loss, from rounding: NOTES has 2e-6 of a tensor's scale
};

/* What an error of 2e-6 of the largest x, at random in each, makes of the sum. */
static double rounding(const float *x, const float *w, size_t n)
{
    double most = 0.0, squares = 0.0;

    for (size_t i = 0; i < n; i++) {
        most = fabs(x[i]) > most ? fabs(x[i]) : most;
        squares += (double)w[i] * w[i];
    }
    return 2e-6 * most * sqrt(squares);
}

static double forward_loss(struct slope_case *c)
{
    struct model_acts *a = &c->s.acts;

    model_derive(&c->s.model);
    model_forward(a, &c->s.state, &c->s.model, c->samples, c->s.blocks, c->s.n_blocks);
    double loss = weighted(a->encoder.rep[config_layers_used(&c->s.model.config)], c->by_last,
                           c->n_last);
    loss += weighted(a->encoder.projection, c->by_projection, c->n_last);
    if (c->by_scores)
        loss += weighted(a->readout.scores, c->by_scores, c->n_scores);
    if (c->by_traits)
        loss += weighted(a->readout.traits, c->by_traits, c->n_traits);
    return loss;
}

/* (loss(x + step g) - loss(x - step g)) / 2 step, g of length 1. */
static double slope_along(struct slope_case *c, float *x, const float *kept, const float *g,
                          double length, double step, size_t n)
{
    double side[2];

    for (int k = 0; k < 2; k++) {
        for (size_t i = 0; i < n; i++)
            x[i] = (float)(kept[i] + (k ? -step : step) * g[i] / length);
        side[k] = forward_loss(c);
    }
    memcpy(x, kept, n * sizeof(float));
    return (side[0] - side[1]) / (2.0 * step);
}

/* Along the gradient of one tensor the loss must rise by its length. */
static void check_tensor(struct slope_case *c, const struct param *p, const char *name,
                         double total)
{
    float *x = *param_slot(&c->s.model.params, p);
    const float *g = param_values(&c->s.gradients.params, p);
    size_t n = param_count(p);
    double length = 0.0, scale = 0.0, step, want, by;

    for (size_t i = 0; i < n; i++) {
        length += (double)g[i] * g[i];
        scale += (double)x[i] * x[i];
    }
    length = sqrt(length);
    if (length < 1e-3 * total || p->kind != PARAM_WEIGHT)
        return; // too flat to be told from rounding
    float *kept = malloc(n * sizeof(float));
    memcpy(kept, x, n * sizeof(float));
    scale = sqrt(scale / (double)n);
    by = strstr(p->name, "feature_extractor") ? 10.0 : 1.0; // GradMultiply
    /* Seven LayerNorms bend more than the rest. */
    step = (by > 1.0 ? 5e-4 : 4e-3) * (scale > 0.05 ? scale : 0.05) * sqrt((double)n);
    /* Richardson's extrapolation takes the third derivative out. Where the loss bends more
     * than that, a shorter step has to do. */
    const double allowed = c->noise / step; // a shorter step is allowed no more
    for (int trial = 0;; trial++, step /= 3.0) {
        want = (4.0 * slope_along(c, x, kept, g, length, step / 2, n) -
                slope_along(c, x, kept, g, length, step, n)) / 3.0;
        if (fabs(want - by * length) <= 0.05 * fabs(want) + allowed)
            break;
        if (trial == 2)
            check_fail("%s %s: slope %g, gradient %g", name, p->name, want, by * length);
    }
    free(kept);
}

static void check_slopes(const char *name, int block_frames, int left, int64_t n, float drop,
                         int projection)
{
    struct slope_case *c = calloc(1, sizeof(*c));
    int frames = (int)blocks_frames(n), per = frames / block_frames + 1;
    struct reach reach = {.block_frames = block_frames, .left_frames = left, .n_blocks = 2 * per,
                          .n_rows = 2 * frames, .stream_frames = frames, .keep = KEEP_ALL};
    struct random rng;
    double total = 0.0;

    random_init(&rng, check_seed());
    subject_open(&c->s, name, &reach);
    const struct model_config *config = &c->s.model.config;
    c->s.model.config.readout.activation = OUTPUT_LINEAR; // a ReLU's kinks have no slope
    c->s.training.layer_drop = drop;
    c->s.training.dropout = drop > 0.0f;
    c->s.training.seed = 7;
    if (projection) { // of vectors that read it, too
        model_acts_close(&c->s.acts);
        c->s.model.config.readout.embedding_projection = 1;
        assert_int_equal(model_acts_open(&c->s.acts, &c->s.model, NULL), 0);
        c->s.acts.training = &c->s.training;
    }
    plan(&c->s, 2, n, block_frames);
    c->samples = malloc(2 * (size_t)n * sizeof(float));
    check_fill(c->samples, 2 * (size_t)n, &rng);
    c->n_last = (size_t)(2 * frames * config->wavlm.embed);
    c->by_last = malloc(c->n_last * sizeof(float));
    check_fill(c->by_last, c->n_last, &rng);
    c->by_projection = malloc(c->n_last * sizeof(float));
    check_fill(c->by_projection, c->n_last, &rng);
    if (config->readout.present) {
        c->n_scores = (size_t)(2 * frames * config->readout.n_classes);
        c->by_scores = malloc(c->n_scores * sizeof(float));
        check_fill(c->by_scores, c->n_scores, &rng);
        c->n_traits = (size_t)(2 * frames * config_traits(config));
        c->by_traits = malloc(c->n_traits * sizeof(float));
        check_fill(c->by_traits, c->n_traits, &rng);
    }
    forward_loss(c);
    c->noise = rounding(c->s.acts.encoder.rep[config_layers_used(config)], c->by_last, c->n_last);
    c->noise += rounding(c->s.acts.encoder.projection, c->by_projection, c->n_last);
    if (c->by_scores)
        c->noise += rounding(c->s.acts.readout.scores, c->by_scores, c->n_scores) +
                    rounding(c->s.acts.readout.traits, c->by_traits, c->n_traits);
    const float *rep[MAX_LAYERS + 1] = {0};
    rep[config_layers_used(config)] = c->by_last;
    struct loss_slopes slopes = {.scores = c->by_scores, .projection = c->by_projection,
                                 .traits = c->by_traits, .rep = rep};
    walk_backward(&c->s.gradients, &c->s.acts, &c->s.state, &c->s.model, &slopes, left,
                  c->s.blocks, c->s.n_blocks);
    gradients_fold(&c->s.gradients, &c->s.model);
    for (int i = 0; i < c->s.model.n_params; i++) {
        const float *g = param_values(&c->s.gradients.params, &c->s.model.list[i]);
        for (size_t k = 0; k < param_count(&c->s.model.list[i]); k++)
            total += (double)g[k] * g[k];
    }
    total = sqrt(total);
    assert_true(total > 0.0 && isfinite(total));
    for (int i = 0; i < c->s.model.n_params; i++)
        check_tensor(c, &c->s.model.list[i], name, total);
    subject_close(&c->s);
    free(c->samples);
    free(c->by_last);
    free(c->by_projection);
    free(c->by_scores);
    free(c->by_traits);
    free(c);
}

static void test_slopes_block_causal(void **state)
{
    check_slopes("wavlm_group_norm_tiny", 8, 20, 10007, 0.0f, 0);
    check_slopes("wavlm_pruned_large_tiny", 5, 7, 9331, 0.0f, 0);
    check_slopes("wavlm_oddkernel_bias_tiny", 11, 3, 9000, 0.0f, 0);
    check_slopes("diarizen_tiny", 7, 12, 10007, 0.0f, 0);
    check_slopes("diarizen_pruned_posi_tiny", 16, 400, 12345, 0.0f, 0);
    check_slopes("diarizen_tiny", 7, 12, 10007, 0.0f, 1);
}

static void test_slopes_dropout(void **state)
{
    check_slopes("diarizen_tiny", 50, 0, 10007, 0.3f, 0);
    check_slopes("diarizen_pruned_posi_tiny", 8, 9, 9000, 0.3f, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segmentation),
        cmocka_unit_test(test_recompute),
        cmocka_unit_test(test_distill),
        cmocka_unit_test(test_slopes_block_causal),
        cmocka_unit_test(test_slopes_dropout),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
