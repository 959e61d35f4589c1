// SPDX-License-Identifier: MIT
#include "model/model.h"

#include "model/clock.h"
#include "model/op.h"

#include <assert.h>
#include <limits.h>
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

static int max_rows(const struct reach *reach)
{
    return reach->block_frames + reach->right_frames;
}

static void model_place(struct model *m)
{
    const struct reach *r = &m->reach;

    extractor_weights_place(&m->extractor, &m->config, &m->arena);
    encoder_weights_place(&m->encoder, &m->config, r->left_frames, max_rows(r), &m->arena);
    if (m->config.readout.present)
        readout_weights_place(&m->readout, &m->config.readout, r->left_frames, max_rows(r),
                              &m->arena);
}

void model_derive(struct model *m)
{
    extractor_weights_fill(&m->extractor, &m->config, &m->params);
    encoder_weights_fill(&m->encoder, &m->config, &m->params);
    if (m->config.readout.present)
        readout_weights_fill(&m->readout, &m->config.readout, &m->params);
}

static int model_list(struct model *m, const char *json, const struct reach *reach,
                      struct error *err)
{
    if (config_parse(&m->config, json, err))
        return -1;
    m->reach = *reach;
    m->list = params_list(&m->config, &m->n_params);
    return m->list ? 0 : fail(err, "out of memory");
}

static int model_bind(struct model *m, const struct checkpoint *c, const struct reach *reach,
                      struct error *err)
{
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
    return 0;
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

int model_open_arch(struct model *m, const char *arch, uint64_t seed, const struct reach *reach,
                    struct error *err)
{
    char *json = config_arch_json(arch, err);
    int status;

    *m = (struct model){0};
    if (!json)
        return -1;
    status = model_list(m, json, reach, err);
    free(json);
    if (status == 0) {
        params_place(&m->params, m->list, m->n_params, &m->arena);
        model_place(m);
        status = arena_commit(&m->arena, err);
    }
    if (status) {
        model_close(m);
        return -1;
    }
    params_place(&m->params, m->list, m->n_params, &m->arena);
    model_place(m);
    params_randomize(&m->params, m->list, m->n_params, seed);
    model_derive(m);
    return 0;
}

void model_close(struct model *m)
{
    free(m->list);
    arena_release(&m->arena);
    *m = (struct model){0};
}

static void state_place(struct model_state *s, const struct model *m)
{
    const struct reach *r = &m->reach;
    int rows = r->n_blocks * max_rows(r);

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

void model_state_close(struct model_state *s)
{
    arena_release(&s->arena);
    *s = (struct model_state){0};
}

static void acts_place(struct model_acts *a, const struct model *m)
{
    const struct reach *r = &m->reach;
    size_t T = (size_t)r->n_blocks * (size_t)max_rows(r);

    extractor_acts_place(&a->extractor, &m->config, r->n_blocks,
                         block_max_samples(r->block_frames, r->right_frames), r->keep, &a->arena);
    a->features = arena_floats(&a->arena, T * (size_t)axis_size(&m->config, AXIS_FEATURES, 0));
    encoder_acts_place(&a->encoder, &m->config, r->left_frames, r->n_blocks, max_rows(r), r->keep,
                       &a->arena);
    if (m->config.readout.present)
        readout_acts_place(&a->readout, &m->config, r->left_frames, r->n_blocks, max_rows(r),
                           r->keep, &a->arena);
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

    assert(n_blocks <= m->reach.n_blocks && blocks[0].frame == s->at.frames);
    for (int i = 0; i < n_blocks; i++) {
        assert(blocks[i].row == T && block_rows(&blocks[i]) <= max_rows(&m->reach));
        T += block_rows(&blocks[i]);
        position_advance(&s->at, &blocks[i]);
    }
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
