// SPDX-License-Identifier: MIT
#include "model/model.h"

#include "model/resnet_params.h"
#include "model/clock.h"
#include "model/op.h"
#include "model/random.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const stage_names[N_STAGES] = {"extractor", "input", "layers", "readout"};

struct reach reach_defaults(void)
{
    return (struct reach){
        .block_frames = 16,
        .left_frames = 400,
        .right_frames = 0,
        .horizon_seconds = 60.0,
        .n_blocks = 1,
        .keep = 0,
    };
}

struct reach reach_offline(int64_t n_samples)
{
    int64_t frames = blocks_frames(n_samples) + 1; // never full: it covers all there is

    return (struct reach){
        .block_frames = frames > INT_MAX / 4 ? INT_MAX / 4 : (int)frames,
        .n_blocks = 1,
    };
}

enum { STRIDE = 320 }; // samples from frame to frame

static int max_rows(const struct reach *reach)
{
    return reach->window_frames ? reach->window_frames
                                : reach->block_frames + reach->right_frames;
}

int reach_window_ms(const struct reach *reach)
{
    return reach->window_frames ? (reach->window_frames + 1) * 20 : 0;
}

struct call_size reach_call(const struct reach *r)
{
    struct call_size call = {
        .n_blocks = r->n_blocks,
        .n_rows = r->n_rows ? r->n_rows : r->n_blocks * max_rows(r),
        .max_rows = max_rows(r),
        .left = r->left_frames,
        .max_keys = window_max_keys(r->left_frames, max_rows(r)),
        .keep = r->keep,
    };

    if (r->stream_frames && r->stream_frames < call.max_keys)
        call.max_keys = r->stream_frames;
    /* 320 samples a row, and for each block the rest of its last window and what
     * a last block covers besides. */
    int64_t besides = block_max_samples(1, 0) - STRIDE;
    call.n_samples = (int64_t)call.n_rows * STRIDE + (int64_t)r->n_blocks * besides;
    return call;
}

static void model_place(struct model *m)
{
    const struct reach *r = &m->reach;

    extractor_weights_place(&m->extractor, &m->config, &m->arena);
    encoder_weights_place(&m->encoder, &m->config, r->left_frames, max_rows(r), 0, &m->arena);
    if (m->config.readout.present)
        readout_weights_place(&m->readout, &m->config.readout, r->left_frames, max_rows(r),
                              &m->arena);
}

const struct param *model_find_param(const struct model *m, const char *name)
{
    for (int i = 0; i < m->n_params; i++) {
        if (!strcmp(m->list[i].name, name))
            return &m->list[i];
    }
    return NULL;
}

void model_derive(struct model *m)
{
    extractor_weights_fill(&m->extractor, &m->config, &m->params);
    encoder_weights_fill(&m->encoder, &m->config, &m->params);
    if (m->config.readout.present)
        readout_weights_fill(&m->readout, &m->config.readout, &m->params);
}

/* Weights that are finite may make ones that are not: a direction of length 0 under
 * weight norm, a variance below 0. */
static int check_derived(const struct model *m, struct error *err)
{
    const struct wavlm_config *w = &m->config.wavlm;
    const struct readout_config *r = &m->config.readout;
    size_t C = (size_t)w->embed;
    size_t n = w->pos_kernel ? C * C / (size_t)w->pos_groups * (size_t)w->pos_kernel : 0;

    for (size_t i = 0; i < n; i++) {
        if (!isfinite(m->encoder.pos_conv[i]))
            return fail(err, "the positional convolution's weight norm (weight_g, weight_v) gives "
                             "no finite weights; the file is damaged or its training diverged");
    }
    for (int i = 0; r->present && i < r->n_layers; i++) {
        const struct conformer_weights *c = &m->readout.conformer[i];
        for (int k = 0; k < r->width; k++) {
            if (!isfinite(c->scale[k]) || !isfinite(c->shift[k]))
                return fail(err, "the BatchNorm of conformer block %d (running_var, weight) gives "
                                 "no finite scale; the file is damaged or its training diverged",
                            i);
        }
    }
    return 0;
}

static int model_list(struct model *m, const char *json, const struct reach *reach,
                      struct error *err)
{
    if (config_parse(&m->config, json, err))
        return -1;
    m->reach = *reach;
    if (reach->left_frames == REACH_OWN)
        m->reach.left_frames = m->config.left_frames;
    if (reach->horizon_seconds == REACH_OWN)
        m->reach.horizon_seconds = m->config.horizon_seconds;
    m->list = params_list(&m->config, &m->n_params);
    if (!m->list)
        return fail(err, "out of memory");
    return extractor_weights_open(&m->extractor, &m->config, err);
}

static int model_bind(struct model *m, const struct checkpoint *c, const struct reach *reach,
                      struct error *err)
{
    if (resnet_refuse(c, err))
        return -1;
    if (!c->config)
        return fail(err, "no config in the file: not a model of antiphon's or upstream's");
    if (model_list(m, c->config, reach, err) ||
        params_bind(&m->params, m->list, m->n_params, c, &m->arena, err))
        return -1;
    model_place(m);
    if (arena_commit(&m->arena, err) ||
        params_bind(&m->params, m->list, m->n_params, c, &m->arena, err))
        return -1;
    model_place(m);
    model_derive(m);
    return check_derived(m, err);
}

int model_open(struct model *m, const struct checkpoint *c, const struct reach *reach,
               struct error *err)
{
    *m = (struct model){0};
    if (model_bind(m, c, reach, err)) {
        model_close(m);
        return -1;
    }
    return 0;
}

int model_open_config(struct model *m, const char *json, const struct reach *reach,
                      struct error *err)
{
    *m = (struct model){0};
    if (model_list(m, json, reach, err) == 0) {
        params_place(&m->params, m->list, m->n_params, &m->arena);
        model_place(m);
        if (arena_commit(&m->arena, err) == 0) {
            params_place(&m->params, m->list, m->n_params, &m->arena);
            model_place(m);
            return 0;
        }
    }
    model_close(m);
    return -1;
}

int model_open_arch(struct model *m, const char *arch, uint64_t seed, const struct reach *reach,
                    struct error *err)
{
    char *json = config_arch_json(arch, err);
    int status;

    *m = (struct model){0};
    if (!json)
        return -1;
    status = model_open_config(m, json, reach, err);
    free(json);
    if (status)
        return -1;
    params_randomize(&m->params, m->list, m->n_params, seed);
    model_derive(m);
    return 0;
}

void model_close(struct model *m)
{
    free(m->list);
    extractor_weights_close(&m->extractor);
    arena_release(&m->arena);
    *m = (struct model){0};
}

static void state_place(struct model_state *s, const struct model *m)
{
    const struct reach *r = &m->reach;
    int rows = reach_call(r).n_rows;

    extractor_state_place(&s->extractor, &m->config, r->horizon_seconds, &s->arena);
    encoder_state_place(&s->encoder, &m->config, r->left_frames, rows, &s->arena);
    if (m->config.readout.present)
        readout_state_place(&s->readout, &m->config.readout, r->left_frames, rows, &s->arena);
}

int model_state_open(struct model_state *s, const struct model *m, struct error *err)
{
    *s = (struct model_state){0};
    state_place(s, m);
    if (arena_commit(&s->arena, err))
        return -1;
    state_place(s, m);
    model_state_reset(s, m);
    return 0;
}

void model_state_reset(struct model_state *s, const struct model *m)
{
    s->at = (struct position){0};
    extractor_state_reset(&s->extractor, &m->config);
    encoder_state_reset(&s->encoder, &m->config);
    if (m->config.readout.present)
        readout_state_reset(&s->readout, &m->config.readout);
}

void model_state_set_left(struct model_state *s, const struct model *m, int left)
{
    const struct model_config *c = &m->config;

    assert(left <= m->reach.left_frames);
    for (int i = 0; i < config_layers_used(c); i++)
        s->encoder.window[i].left = left;
    for (int i = 0; c->readout.present && i < c->readout.n_layers; i++)
        s->readout.conformer[i].window.left = left;
}

void model_state_close(struct model_state *s)
{
    arena_release(&s->arena);
    *s = (struct model_state){0};
}

static void acts_place(struct model_acts *a, const struct model *m)
{
    struct call_size call = reach_call(&m->reach);
    size_t T = (size_t)call.n_rows;

    extractor_acts_place(&a->extractor, &m->config, &call, &a->arena);
    a->features = arena_floats(&a->arena, T * (size_t)axis_size(&m->config, AXIS_FEATURES, 0));
    encoder_acts_place(&a->encoder, &m->config, &call, &a->arena);
    if (m->config.readout.present)
        readout_acts_place(&a->readout, &m->config, &call, &a->arena);
}

int model_acts_open(struct model_acts *a, const struct model *m, struct error *err)
{
    *a = (struct model_acts){0};
    acts_place(a, m);
    if (arena_commit(&a->arena, err))
        return -1;
    acts_place(a, m);
    return 0;
}

void model_acts_close(struct model_acts *a)
{
    arena_release(&a->arena);
    *a = (struct model_acts){0};
}

void model_forward(struct model_acts *a, struct model_state *s, const struct model *m,
                   const float *samples, const struct block *blocks, int n_blocks)
{
    const struct model_config *c = &m->config;
    double t0 = clock_monotonic(), t1, t2, t3;
    int T = 0;

    assert(n_blocks <= m->reach.n_blocks);
    for (int i = 0; i < n_blocks; i++) {
        if (blocks[i].frame == 0)
            s->at = (struct position){0};
        assert(blocks[i].frame == s->at.frames);
        assert(blocks[i].row == T && block_rows(&blocks[i]) <= max_rows(&m->reach));
        T += block_rows(&blocks[i]);
        position_advance(&s->at, &blocks[i]);
    }
    a->extractor.training = a->encoder.training = a->readout.training = a->training;
    extractor_forward(a->features, &a->extractor, &s->extractor, &m->extractor, c, &m->params,
                      samples, blocks, n_blocks);
    t1 = clock_monotonic();
    encoder_input_forward(&a->encoder, &s->encoder, &m->encoder, c, &m->params, a->features,
                          blocks, n_blocks);
    t2 = clock_monotonic();
    encoder_layers_forward(&a->encoder, &s->encoder, &m->encoder, c, &m->params, blocks, n_blocks);
    t3 = clock_monotonic();
    if (c->readout.present)
        readout_forward(&a->readout, &s->readout, &m->readout, c, &m->params, a->encoder.rep, T,
                        blocks, n_blocks);
    a->seconds[STAGE_EXTRACTOR] += t1 - t0;
    a->seconds[STAGE_INPUT] += t2 - t1;
    a->seconds[STAGE_LAYERS] += t3 - t2;
    a->seconds[STAGE_READOUT] += clock_monotonic() - t3;
}

void model_vectors(float *vectors, const struct model *m, const float *traits, int n)
{
    assert(m->config.readout.embedding > 0);
    linear_forward(vectors, traits, m->params.embedding.weight, m->params.embedding.bias, n,
                   config_traits(&m->config), m->config.readout.embedding);
}

uint64_t model_fingerprint(const struct model *m)
{
    uint64_t hash = 14695981039346656037u; // FNV-1a

    for (int i = 0; i < m->n_params; i++) {
        const struct param *p = &m->list[i];
        const unsigned char *bytes = (const unsigned char *)param_values(&m->params, p);
        size_t n = param_count(p);
        if (p->kind == PARAM_COUNTER)
            continue;
        hash = (hash ^ n) * 1099511628211u;
        for (size_t k = 0; k < (n < 1024 ? n : 1024) * sizeof(float); k++)
            hash = (hash ^ bytes[k]) * 1099511628211u;
    }
    return hash;
}

int model_try(struct model_acts *a, struct model_state *s, const struct model *m,
              struct error *err)
{
    enum { FRAMES = 8, SAMPLES = 320 * FRAMES + 80 };
    const struct readout_config *r = &m->config.readout;
    float samples[SAMPLES];
    double seconds[N_STAGES];
    struct random rng;
    struct block b;

    random_init(&rng, 1);
    for (int i = 0; i < SAMPLES; i++)
        samples[i] = 0.1f * (2.0f * random_uniform(&rng) - 1.0f);
    memcpy(seconds, a->seconds, sizeof(seconds));
    model_state_reset(s, m);
    block_next(&b, &s->at, SAMPLES, 1, m->reach.block_frames, m->reach.right_frames);
    model_forward(a, s, m, samples, &b, 1);
    model_state_reset(s, m);
    memcpy(a->seconds, seconds, sizeof(seconds));

    const float *x = r->present ? a->readout.scores : a->encoder.rep[m->config.wavlm.n_layers];
    int n = b.own * (r->present ? r->n_classes : m->config.wavlm.embed);
    for (int i = 0; i < n; i++) {
        if (isnan(x[i]))
            return fail(err, "the model computes what is no number: its weights are far too large; "
                             "the file is damaged or its training diverged");
    }
    return 0;
}
