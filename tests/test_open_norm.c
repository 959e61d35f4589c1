// SPDX-License-Identifier: MIT
/* test_open_norm.c - norms over open columns: the op against a norm of what is open,
 * its slopes, and a gated model with them against its cut. */
#include "check.h"

#include "model/kernels.h"
#include "model/model.h"
#include "model/open_norm.h"
#include "prune/gates.h"
#include "prune/shrink.h"
#include "prune/walk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 5, C = 23 };

struct rows {
    float x[T * C], w[C], b[C], mask[C], r[T * C];
};

static void draw(struct rows *s, struct random *rng)
{
    check_fill(s->x, T * C, rng);
    check_fill(s->w, C, rng);
    check_fill(s->b, C, rng);
    check_fill(s->r, T * C, rng);
    check_fill(s->mask, C, rng);
    for (int c = 0; c < C; c++)
        s->mask[c] = s->mask[c] < -0.2f ? 0.0f : 1.0f + s->mask[c];
    s->mask[3] = 0.0f;
    s->mask[7] = 0.5f;
}

static void test_norm_of_what_is_open(void **state)
{
    struct rows s;
    struct random rng;
    float y[T * C], mean[T], rstd[T], x[T * C], w[C], b[C], want[T * C], m2[T], r2[T];
    int n = 0;

    random_init(&rng, check_seed());
    draw(&s, &rng);
    for (int c = 0; c < C; c++) {
        if (s.mask[c] == 0.0f)
            continue;
        w[n] = s.w[c];
        b[n++] = s.b[c];
    }
    for (int t = 0; t < T; t++)
        for (int c = 0, k = 0; c < C; c++)
            if (s.mask[c] != 0.0f)
                x[t * n + k++] = s.x[t * C + c];
    kernels_get()->layer_norm(want, m2, r2, x, w, b, T, n);
    open_norm_forward(y, mean, rstd, s.x, s.w, s.b, s.mask, T, C);
    for (int t = 0; t < T; t++) {
        assert_true(fabsf(mean[t] - m2[t]) < 1e-6f && fabsf(rstd[t] - r2[t]) < 1e-5f * r2[t]);
        for (int c = 0, k = 0; c < C; c++) {
            float expected = s.mask[c] != 0.0f ? want[t * n + k++] : 0.0f;
            assert_true(fabsf(y[t * C + c] - expected) < 2e-6f);
        }
    }
}

static double loss(const struct rows *s, const float *x, const float *w, const float *b)
{
    float y[T * C], mean[T], rstd[T];
    double sum = 0.0;

    open_norm_forward(y, mean, rstd, x, w, b, s->mask, T, C);
    for (int i = 0; i < T * C; i++)
        sum += (double)y[i] * s->r[i];
    return sum;
}

static void test_slopes_of_the_op(void **state)
{
    struct rows s;
    struct random rng;
    float y[T * C], mean[T], rstd[T], dx[T * C], dw[C] = {0}, db[C] = {0};
    float u[T * C], uw[C], ub[C], up[T * C], down[T * C], wu[C], wd[C], bu[C], bd[C];
    const float h = 3e-3f;
    double promised = 0.0;

    random_init(&rng, check_seed());
    draw(&s, &rng);
    check_fill(u, T * C, &rng);
    check_fill(uw, C, &rng);
    check_fill(ub, C, &rng);
    open_norm_forward(y, mean, rstd, s.x, s.w, s.b, s.mask, T, C);
    open_norm_backward(dx, dw, db, s.r, s.x, mean, rstd, s.w, s.mask, T, C);
    for (int i = 0; i < T * C; i++) {
        up[i] = s.x[i] + h * u[i];
        down[i] = s.x[i] - h * u[i];
        promised += (double)dx[i] * u[i];
        if (s.mask[i % C] == 0.0f)
            assert_true(dx[i] == 0.0f);
    }
    for (int c = 0; c < C; c++) {
        wu[c] = s.w[c] + h * uw[c];
        wd[c] = s.w[c] - h * uw[c];
        bu[c] = s.b[c] + h * ub[c];
        bd[c] = s.b[c] - h * ub[c];
        promised += (double)dw[c] * uw[c] + (double)db[c] * ub[c];
    }
    double measured = (loss(&s, up, wu, bu) - loss(&s, down, wd, bd)) / (2.0 * h);
    if (!(fabs(measured - promised) < 1e-3 * fmax(1.0, fabs(promised))))
        check_fail("the slope is %g, promised %g", measured, promised);
    memcpy(y, s.r, sizeof(y));
    open_norm_backward(y, dw, db, y, s.x, mean, rstd, s.w, s.mask, T, C); // in place
    assert_memory_equal(y, dx, sizeof(y));
}

/* A small Large-like model: LayerNorm behind every convolution. */
static const char config[] =
    "{\"wavlm\":{\"extractor_mode\":\"layer_norm\",\"extractor_conv_layer_config\":[[12,10,5],[14,3,2],"
    "[12,3,2],[13,3,2],[11,3,2],[12,2,2],[15,2,2]],\"extractor_conv_bias\":false,"
    "\"encoder_embed_dim\":16,\"encoder_pos_conv_kernel\":16,\"encoder_pos_conv_groups\":4,"
    "\"encoder_num_layers\":2,\"encoder_use_attention\":[true,true],"
    "\"encoder_use_feed_forward\":[true,true],\"encoder_total_num_heads\":[2,2],"
    "\"encoder_remaining_heads\":[[0,1],[0,1]],\"encoder_ff_interm_features\":[20,24],"
    "\"encoder_num_buckets\":32,\"encoder_max_distance\":64,\"encoder_layer_norm_first\":true,"
    "\"normalize_waveform\":true}}";

enum { FRAMES = 12, SAMPLES = 320 * FRAMES + 80, EMBED = 16 };

struct subject {
    struct model model;
    struct model_state state;
    struct model_acts acts;
    struct gradients gradients;
    struct gates gates;
    struct training training;
    struct block block;
    float *samples, r[FRAMES * EMBED];
};

static void subject_open(struct subject *s, struct random *rng)
{
    struct reach reach = {.block_frames = FRAMES + 1, .n_blocks = 1, .keep = KEEP_ALL,
                          .n_rows = FRAMES, .stream_frames = FRAMES};
    struct error err;

    *s = (struct subject){.block = {.own = FRAMES, .own_samples = SAMPLES}};
    if (model_open_config(&s->model, config, &reach, &err))
        check_fail("%s", err.text);
    params_randomize(&s->model.params, s->model.list, s->model.n_params, random_bits(rng));
    model_derive(&s->model);
    if (model_state_open(&s->state, &s->model, &err) ||
        model_acts_open(&s->acts, &s->model, &err) ||
        gradients_open(&s->gradients, &s->model, 1, 0, &err) ||
        gates_open(&s->gates, &s->model.config, 7, 1, &err))
        check_fail("%s", err.text);
    s->gradients.extractor_scale = 1.0f;
    s->gradients.train_extractor = s->gradients.train_encoder = 1;
    s->training = (struct training){.masks = &s->gates.masks, .open_norms = 1};
    s->acts.training = &s->training;
    s->samples = malloc(SAMPLES * sizeof(float));
    check_fill(s->samples, SAMPLES, rng);
    check_fill(s->r, FRAMES * EMBED, rng);
    for (int k = 0; k < s->gates.n; k++) { // about a third closed
        struct gate *g = &s->gates.list[k];
        check_fill(g->log_alpha, (size_t)g->n, rng);
        for (int i = 0; i < g->n; i++)
            g->log_alpha[i] = 4.0f * g->log_alpha[i] + 0.6f;
        g->log_alpha[0] = 3.0f;
    }
}

static void subject_close(struct subject *s)
{
    free(s->samples);
    gates_close(&s->gates);
    gradients_close(&s->gradients);
    model_acts_close(&s->acts);
    model_state_close(&s->state);
    model_close(&s->model);
}

static double forward(struct subject *s)
{
    double sum = 0.0;

    model_derive(&s->model);
    model_forward(&s->acts, &s->state, &s->model, s->samples, &s->block, 1);
    for (int i = 0; i < FRAMES * EMBED; i++)
        sum += (double)s->acts.encoder.rep[2][i] * s->r[i];
    return sum;
}

/* Values closed, open, or between, none so near a limit that a small step comes to it. */
static void sample_gates(struct gates *g, struct random *rng)
{
    for (int k = 0; k < g->n; k++) {
        struct gate *gate = &g->list[k];
        for (int i = 0; i < gate->n; i++) {
            float kind = random_uniform(rng), v = 0.2f + 0.6f * random_uniform(rng);
            double s = (v + 0.1) / 1.2, between = log(s / (1.0 - s)) * 2.0 / 3.0;
            double at = kind < 0.25f && i ? -6.0 : kind < 0.5f ? 6.0 : between;
            gate->u[i] = (float)(1.0 / (1.0 + exp(gate->log_alpha[i] - at)));
        }
    }
    gates_sample(g, 0, -1);
}

/* The slope along all weights, and along all gates. */
static void test_slopes_of_a_model(void **state)
{
    struct subject s;
    struct random rng;
    const float *reps[3] = {NULL, NULL, s.r};
    struct loss_slopes by = {.rep = reps};
    double promised = 0.0, sums[2], h = 2e-3;
    float *kept[200], *along[200];

    random_init(&rng, check_seed());
    subject_open(&s, &rng);
    sample_gates(&s.gates, &rng);
    forward(&s);
    gradients_clear(&s.gradients);
    walk_backward(&s.gradients, &s.acts, &s.state, &s.model, &by, 0, &s.block, 1);
    gradients_fold(&s.gradients, &s.model);
    assert_true(s.model.n_params < 200);
    for (int i = 0; i < s.model.n_params; i++) {
        const struct param *p = &s.model.list[i];
        size_t n = param_count(p);
        kept[i] = malloc(n * sizeof(float));
        along[i] = malloc(n * sizeof(float));
        memcpy(kept[i], param_values(&s.model.params, p), n * sizeof(float));
        check_fill(along[i], n, &rng);
        for (size_t k = 0; p->kind == PARAM_WEIGHT && k < n; k++)
            promised += (double)along[i][k] * param_values(&s.gradients.params, p)[k];
    }
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < s.model.n_params; i++) {
            const struct param *p = &s.model.list[i];
            for (size_t k = 0; p->kind == PARAM_WEIGHT && k < param_count(p); k++)
                (*param_slot(&s.model.params, p))[k] =
                    kept[i][k] + (float)((side ? h : -h) * 0.1 * along[i][k]);
        }
        sums[side] = forward(&s);
    }
    double measured = (sums[1] - sums[0]) / (0.2 * h);
    if (!(fabs(measured - promised) < 2e-2 * fmax(1.0, fabs(promised))))
        check_fail("along the weights the slope is %g, promised %g", measured, promised);
    for (int i = 0; i < s.model.n_params; i++) {
        const struct param *p = &s.model.list[i];
        memcpy(*param_slot(&s.model.params, p), kept[i], param_count(p) * sizeof(float));
        free(kept[i]);
        free(along[i]);
    }

    gates_clear_slopes(&s.gates);
    gates_backward(&s.gates, &s.gradients.masks);
    promised = 0.0;
    for (int k = 0; k < s.gates.n; k++)
        for (int i = 0; i < s.gates.list[k].n; i++)
            promised += s.gates.list[k].slope[i];
    h = 1e-3;
    for (int side = 0; side < 2; side++) {
        for (int k = 0; k < s.gates.n; k++)
            for (int i = 0; i < s.gates.list[k].n; i++)
                s.gates.list[k].log_alpha[i] += (float)(side ? 2.0 * h : -h);
        gates_sample(&s.gates, 0, -1);
        sums[side] = forward(&s);
    }
    measured = (sums[1] - sums[0]) / (2.0 * h);
    if (!(fabs(measured - promised) < 3e-2 * fmax(1.0, fabs(promised))))
        check_fail("along the gates the slope is %g, promised %g", measured, promised);
    subject_close(&s);
}

/* The largest difference of masked and cut outputs, to the largest output. */
static double cut_changes(struct subject *s, int open_norms)
{
    struct reach reach = s->model.reach;
    struct model_state state;
    struct model_acts acts;
    struct model cut;
    struct error err;
    char *cut_config;
    double off;

    gates_settle(&s->gates);
    s->training.open_norms = open_norms;
    forward(s);
    if (shrink(&cut, &cut_config, &s->model, config, &s->gates, &reach, &err))
        check_fail("%s", err.text);
    assert_int_equal(model_state_open(&state, &cut, &err), 0);
    assert_int_equal(model_acts_open(&acts, &cut, &err), 0);
    model_forward(&acts, &state, &cut, s->samples, &s->block, 1);
    off = check_error(s->acts.encoder.rep[2], acts.encoder.rep[2], FRAMES * EMBED);
    model_acts_close(&acts);
    model_state_close(&state);
    model_close(&cut);
    free(cut_config);
    return off;
}

static void test_the_cut_changes_nothing(void **state)
{
    struct subject s;
    struct random rng;

    random_init(&rng, check_seed());
    subject_open(&s, &rng);
    double all = cut_changes(&s, 0), open = cut_changes(&s, 1);
    print_message("the cut changes outputs by %.3g of their scale, with open norms by %.2g\n", all,
                  open);
    assert_true(open < 2e-5 && all > 1e-2);
    subject_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_of_what_is_open),
        cmocka_unit_test(test_slopes_of_the_op),
        cmocka_unit_test(test_slopes_of_a_model),
        cmocka_unit_test(test_the_cut_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
