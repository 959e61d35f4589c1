// SPDX-License-Identifier: MIT
#include "prune/walk.h"

#include "model/kernels.h"
#include "model/op.h"
#include "model/open_norm.h"

#include <string.h>

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void masks_place(struct masks *k, const struct model_config *c, struct arena *arena)
{
    size_t C = (size_t)c->wavlm.embed;

    for (int i = 0; i < c->wavlm.n_convs; i++)
        k->conv[i] = arena_floats(arena, (size_t)c->wavlm.conv[i].channels);
    for (int i = 0; i < config_layers_used(c); i++) {
        k->ctx[i] = arena_floats(arena, (size_t)axis_size(c, AXIS_A, i));
        k->act[i] = arena_floats(arena, (size_t)c->wavlm.layer[i].ff);
        k->attention[i] = arena_floats(arena, C);
        k->feed_forward[i] = arena_floats(arena, C);
    }
}

static void gradients_place(struct gradients *g, const struct model *m, int gates)
{
    const struct model_config *c = &m->config;
    int max_rows = reach_call(&m->reach).max_rows;

    params_place(&g->params, g->list, g->n_params, &g->arena);
    extractor_weights_place(&g->extractor, c, &g->arena);
    encoder_weights_place(&g->encoder, c, m->reach.left_frames, max_rows, 1, &g->arena);
    if (c->readout.present)
        readout_weights_place(&g->readout, &c->readout, m->reach.left_frames, max_rows, &g->arena);
    if (gates)
        masks_place(&g->masks, c, &g->arena);
    g->heads = arena_floats(&g->arena, g->n_heads);
}

static void scratch_place(struct gradients *g, const struct model *m)
{
    const struct model_config *c = &m->config;
    const struct readout_config *r = &c->readout;
    struct call_size call = reach_call(&m->reach);
    struct pos_conv_shape pos = encoder_pos_conv(&c->wavlm);
    size_t T = (size_t)call.n_rows, R = r->present ? (size_t)r->width : 0;
    size_t C = most(most((size_t)c->wavlm.embed, R), (size_t)axis_size(c, AXIS_FEATURES, 0));
    size_t A = R, F = most(2 * R, r->present ? (size_t)r->ff : 0), heads = 1;
    struct arena *arena = &g->scratch;

    if (r->present)
        F = most(F, (size_t)r->n_classes);
    for (int i = 0; i < config_layers_used(c); i++) {
        A = most(A, (size_t)axis_size(c, AXIS_A, i));
        F = most(F, (size_t)c->wavlm.layer[i].ff);
        heads = most(heads, (size_t)c->wavlm.layer[i].n_heads);
    }
    for (int i = 0; i < 6; i++)
        g->x[i] = arena_floats(arena, T * C);
    for (int i = 0; i < 2; i++)
        g->wide[i] = arena_floats(arena, T * F);
    for (int i = 0; i < 4; i++)
        g->head[i] = arena_floats(arena, T * A);
    g->gate = arena_floats(arena, T * heads);
    g->scores = arena_floats(arena, (size_t)call.max_rows * (size_t)call.max_keys);
    size_t region = pos_conv_region_floats(&pos, call.max_rows);
    if (r->present) {
        struct attention_shape s = conformer_attention(r, call.left, call.max_rows);
        region = most(region, (size_t)(call.max_rows + r->kernel) * R);
        if (r->use_posi)
            g->positions =
                arena_floats(arena, T * (size_t)r->n_heads * (size_t)attention_distances(&s));
    }
    g->region = arena_floats(arena, region);
    g->region_slope = arena_floats(arena, region);
    g->columns = arena_floats(arena, pos_conv_columns_floats(&pos));
    for (int i = 0; i < 3; i++)
        g->extractor_scratch[i] = arena_floats(arena, extractor_scratch_floats(c, &call));
}

int gradients_open(struct gradients *g, const struct model *m, int gates, size_t n_heads,
                   struct error *err)
{
    *g = (struct gradients){
        .list = m->list,
        .n_params = m->n_params,
        .n_heads = n_heads,
        .extractor_scale = 1.0f,
        .train_extractor = 1,
        .train_encoder = 1,
    };
    gradients_place(g, m, gates);
    scratch_place(g, m);
    if (arena_commit(&g->arena, err) || arena_commit(&g->scratch, err)) {
        gradients_close(g);
        return -1;
    }
    gradients_place(g, m, gates);
    scratch_place(g, m);
    return 0;
}

void gradients_close(struct gradients *g)
{
    arena_release(&g->arena);
    arena_release(&g->scratch);
    *g = (struct gradients){0};
}

void gradients_clear(struct gradients *g)
{
    memset(g->arena.base, 0, g->arena.size);
}

void gradients_fold(struct gradients *g, const struct model *m)
{
    const struct model_config *c = &m->config;

    if (g->train_extractor && !c->wavlm.fbank)
        extractor_weights_backward(&g->params, &g->extractor, c);
    encoder_weights_backward(&g->params, &g->encoder, c, &m->params);
    if (c->readout.present)
        readout_weights_backward(&g->params, &g->readout, &c->readout);
}

static void add(float *dx, const float *x, float scale, size_t n)
{
    kernels_get()->add_scaled(dx, dx, x, scale, n);
}

void walk_add_traits(float *dx, const struct loss_slopes *slopes, int part, int T, const struct model_config *c)
{
    size_t C = (size_t)c->wavlm.embed, width = (size_t)config_traits(c);

    for (size_t t = 0; t < (size_t)T && slopes->traits && part * C < width; t++)
        add(dx + t * C, slopes->traits + t * width + part * C, 1.0f, C);
}

/* dx: by rep 0; it becomes the slope by the projection, and on to the samples. */
static void walk_input(struct gradients *g, float *dx, struct model_acts *a, const struct model *m,
                       const float *by_projection, const struct block *blocks, int n_blocks)
{
    const struct model_config *c = &m->config;
    const struct model_params *p = &m->params;
    const struct kernels *kernels = kernels_get();
    struct encoder_acts *e = &a->encoder;
    struct pos_conv_shape pos = encoder_pos_conv(&c->wavlm);
    int T = blocks_rows(blocks, n_blocks), C = c->wavlm.embed;
    int width = (int)axis_size(c, AXIS_FEATURES, 0);
    size_t n = (size_t)T * (size_t)C;
    float *features = g->x[1];

    dropout_apply(dx, a->training, c->wavlm.dropout, DROP_INPUT, 0, n);
    if (!c->wavlm.norm_first)
        kernels->layer_norm_backward(dx, g->params.encoder_norm.weight, g->params.encoder_norm.bias,
                                     dx, e->sum, e->encoder_mean, e->encoder_rstd,
                                     p->encoder_norm.weight, T, C);
    if (pos.kernel > 0) {
        kernels->gelu_backward(g->x[1], dx, e->pos, n);
        pos_conv_backward(dx, g->encoder.pos_conv, g->params.pos_bias, g->x[1], g->region,
                          g->region_slope, g->columns, e->projection, m->encoder.pos_conv, &pos,
                          blocks, n_blocks);
    }
    if (by_projection)
        add(dx, by_projection, 1.0f, n);
    dropout_apply(dx, a->training, c->wavlm.projection_dropout, DROP_PROJECTION, 0, n);
    linear_backward(features, 0.0f, g->params.projection.weight, g->params.projection.bias, dx,
                    e->features_normed, p->projection.weight, T, width, C);
    if (c->wavlm.fbank) { // nothing to learn in front of its affine part
        columns_dot(g->params.features_norm.weight, features, a->features, T, width);
        kernels->columns_add(g->params.features_norm.bias, features, T, width);
        return;
    }
    struct norm_params *by = &g->params.features_norm;
    const float *open = training_open(a->training, c->wavlm.n_convs - 1);
    if (open)
        open_norm_backward(features, by->weight, by->bias, features, a->features, e->features_mean,
                           e->features_rstd, p->features_norm.weight, open, T, width);
    else
        kernels->layer_norm_backward(features, by->weight, by->bias, features, a->features,
                                     e->features_mean, e->features_rstd, p->features_norm.weight,
                                     T, width);
    if (!g->train_extractor)
        return;
    for (size_t i = 0; i < (size_t)T * (size_t)width; i++)
        features[i] *= g->extractor_scale;
    extractor_backward(&g->params, &g->extractor, g->masks.conv[0] ? &g->masks : NULL, features,
                       &a->extractor, g->extractor_scratch, &m->extractor, c, p, blocks, n_blocks);
}

static void tell(const struct gradients *g, int part)
{
    if (g->done)
        g->done(g->user, part);
}

void walk_backward(struct gradients *g, struct model_acts *a, struct model_state *s,
                   const struct model *m, const struct loss_slopes *slopes, int left,
                   const struct block *blocks, int n_blocks)
{
    const struct model_config *c = &m->config;
    int T = blocks_rows(blocks, n_blocks), layers = config_layers_used(c);
    size_t n = (size_t)T * (size_t)c->wavlm.embed;
    float *sum = g->x[4], *dx = g->x[5];

    if (c->readout.present)
        walk_readout(g, a, m, slopes, sum, left, blocks, n_blocks);
    tell(g, 0);
    if (!g->train_encoder) {
        for (int part = 1; part <= layers + 1; part++)
            tell(g, part);
        return;
    }
    memset(dx, 0, n * sizeof(float));
    for (int i = layers; i >= 0; i--) {
        if (c->readout.present)
            add(dx, sum, m->params.layer_weights[i], n);
        if (slopes->rep && slopes->rep[i])
            add(dx, slopes->rep[i], 1.0f, n);
        if (i == 0)
            break;
        if (layer_dropped(a->training, i - 1)) {
            tell(g, layers - i + 1);
            continue;
        }
        if (m->reach.keep == KEEP_INPUTS)
            encoder_layer_forward(a->encoder.rep[i], &a->encoder, &s->encoder, &m->encoder, c,
                                  &m->params.layer[i - 1], i - 1, a->encoder.rep[i - 1], blocks,
                                  n_blocks);
        walk_layer(g, dx, a, m, i - 1, left, blocks, n_blocks);
        tell(g, layers - i + 1);
    }
    walk_add_traits(dx, slopes, 1, T, c);
    walk_input(g, dx, a, m, slopes->projection, blocks, n_blocks);
    tell(g, layers + 1);
}
