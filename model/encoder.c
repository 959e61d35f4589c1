// SPDX-License-Identifier: MIT
#include "model/encoder.h"

#include "model/kernels.h"
#include "model/op.h"
#include "model/open_norm.h"
#include "model/pos_conv.h"
#include "model/positions.h"

#include <math.h>
#include <string.h>

struct pos_conv_shape encoder_pos_conv(const struct wavlm_config *w)
{
    return (struct pos_conv_shape){w->embed, w->pos_groups, w->pos_kernel};
}

struct attention_shape encoder_attention(const struct wavlm_config *w, int layer, int left,
                                         int max_rows)
{
    int D = config_head_width(w, layer);

    return (struct attention_shape){
        .n_heads = w->layer[layer].n_heads,
        .head_width = D,
        .scale = (float)(1.0 / sqrt(D)),
        .max_rows = max_rows,
        .left = left,
        .max_keys = window_max_keys(left, max_rows),
    };
}

void encoder_weights_place(struct encoder_weights *w, const struct model_config *c, int left,
                           int max_rows, int apart, struct arena *arena)
{
    const struct wavlm_config *shape = &c->wavlm;
    struct attention_shape reach = encoder_attention(shape, 0, left, max_rows);
    size_t C = (size_t)shape->embed, n = (size_t)attention_distances(&reach);
    int has_position = shape->layer[0].has_attention; // rel_embed lives there

    w->left = left;
    w->max_rows = max_rows;
    w->pos_conv = arena_floats(arena, C * C / (size_t)shape->pos_groups *
                                          (size_t)shape->pos_kernel);
    w->position = NULL;
    if (has_position)
        w->position = arena_floats(arena, (size_t)shape->layer[0].total_heads * n);
    for (int i = 0; i < config_layers_used(c); i++) {
        const struct layer_shape *layer = &shape->layer[i];
        if (!layer->has_attention)
            continue;
        w->gate[i] = arena_floats(arena, 2 * (size_t)config_head_width(shape, i));
        w->gate_bias[i] = arena_floats(arena, 2);
        w->layer_position[i] = w->position;
        if (has_position && (apart || layer->n_heads < layer->total_heads))
            w->layer_position[i] = arena_floats(arena, (size_t)layer->n_heads * n);
    }
}

static void position_fill(struct encoder_weights *w, const struct wavlm_config *shape,
                          const struct model_params *p)
{
    struct attention_shape reach = encoder_attention(shape, 0, w->left, w->max_rows);
    int n = attention_distances(&reach), heads = shape->layer[0].total_heads;

    for (int i = 0; i < n; i++) {
        int bucket = position_bucket(i - (w->left + w->max_rows - 1), shape->n_buckets,
                                     shape->max_distance);
        for (int h = 0; h < heads; h++)
            w->position[(size_t)h * (size_t)n + (size_t)i] =
                p->layer[0].attention.rel_embed[(size_t)bucket * (size_t)heads + (size_t)h];
    }
}

/* a = sigmoid(sum of p[0..3]): the four rows of each half are always added. */
static void gate_fill(struct encoder_weights *w, int layer, const struct linear_params *p, int D)
{
    for (int half = 0; half < 2; half++) {
        const float *rows = p->weight + (size_t)half * 4 * (size_t)D, *bias = p->bias + half * 4;
        for (int d = 0; d < D; d++)
            w->gate[layer][half * D + d] =
                rows[d] + rows[D + d] + rows[2 * D + d] + rows[3 * D + d];
        w->gate_bias[layer][half] = bias[0] + bias[1] + bias[2] + bias[3];
    }
}

void encoder_weights_fill(struct encoder_weights *w, const struct model_config *c,
                          const struct model_params *p)
{
    const struct wavlm_config *shape = &c->wavlm;
    struct pos_conv_shape pos = encoder_pos_conv(shape);
    struct attention_shape reach = encoder_attention(shape, 0, w->left, w->max_rows);
    size_t n = (size_t)attention_distances(&reach);

    pos_conv_weight(w->pos_conv, p->pos_g, p->pos_v, &pos);
    if (w->position)
        position_fill(w, shape, p);
    for (int i = 0; i < config_layers_used(c); i++) {
        const struct layer_shape *layer = &shape->layer[i];
        if (!layer->has_attention)
            continue;
        gate_fill(w, i, &p->layer[i].attention.gate, config_head_width(shape, i));
        for (int h = 0; h < layer->n_heads && w->layer_position[i] != w->position; h++)
            memcpy(w->layer_position[i] + (size_t)h * n, w->position + (size_t)layer->heads[h] * n,
                   n * sizeof(float));
    }
}

/* The slopes of what position_fill spread: by bucket and head. */
static void position_backward(struct model_params *d, const struct encoder_weights *dw,
                              const struct wavlm_config *shape, int n_layers)
{
    struct attention_shape reach = encoder_attention(shape, 0, dw->left, dw->max_rows);
    int n = attention_distances(&reach), heads = shape->layer[0].total_heads;
    float *embed = d->layer[0].attention.rel_embed;

    for (int layer = 0; layer < n_layers; layer++) {
        const struct layer_shape *l = &shape->layer[layer];
        for (int k = 0; l->has_attention && k < l->n_heads; k++) {
            const float *slope = dw->layer_position[layer] + (size_t)k * (size_t)n;
            for (int i = 0; i < n; i++) {
                int bucket = position_bucket(i - (dw->left + dw->max_rows - 1), shape->n_buckets,
                                             shape->max_distance);
                embed[(size_t)bucket * (size_t)heads + (size_t)l->heads[k]] += slope[i];
            }
        }
    }
}

void encoder_weights_backward(struct model_params *d, const struct encoder_weights *dw,
                              const struct model_config *c, const struct model_params *p)
{
    const struct wavlm_config *shape = &c->wavlm;
    struct pos_conv_shape pos = encoder_pos_conv(shape);

    pos_conv_weight_backward(d->pos_g, d->pos_v, dw->pos_conv, p->pos_g, p->pos_v, &pos);
    if (dw->position)
        position_backward(d, dw, shape, config_layers_used(c));
    for (int i = 0; i < config_layers_used(c); i++) {
        struct linear_params *gate = &d->layer[i].attention.gate;
        int D = config_head_width(shape, i);
        if (!shape->layer[i].has_attention)
            continue;
        for (int row = 0; row < GATE_WIDTH; row++) {
            int half = row / (GATE_WIDTH / 2);
            for (int k = 0; k < D; k++)
                gate->weight[row * D + k] += dw->gate[i][half * D + k];
            gate->bias[row] += dw->gate_bias[i][half];
        }
    }
}

void encoder_state_place(struct encoder_state *s, const struct model_config *c, int left,
                         int n_rows, struct arena *arena)
{
    const struct wavlm_config *w = &c->wavlm;

    history_place(&s->pos_conv, w->pos_kernel / 2, w->embed, arena);
    for (int i = 0; i < config_layers_used(c); i++) {
        if (w->layer[i].has_attention)
            window_place(&s->window[i], (int)axis_size(c, AXIS_A, i), left, n_rows, arena);
    }
}

void encoder_state_reset(struct encoder_state *s, const struct model_config *c)
{
    history_reset(&s->pos_conv);
    for (int i = 0; i < config_layers_used(c); i++)
        window_reset(&s->window[i]);
}

/* The largest of the layers that share one place. */
struct layer_size {
    size_t A, F, heads, probs;
};

static void layer_acts_place(struct layer_acts *a, const struct call_size *call, size_t C,
                             const struct layer_size *size, struct arena *arena)
{
    size_t T = (size_t)call->n_rows, n = T * C;
    float **const rows[] = {&a->a, &a->h, &a->sum, &a->sum2, &a->f, &a->out};
    float **const scalars[] = {&a->norm_mean, &a->norm_rstd, &a->final_mean, &a->final_rstd};
    float **const heads[] = {&a->q, &a->k, &a->v, &a->attention.ctx, &a->ctx};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        *rows[i] = arena_floats(arena, n);
    for (size_t i = 0; i < sizeof(scalars) / sizeof(*scalars); i++)
        *scalars[i] = arena_floats(arena, T);
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads) - (call->keep ? 0 : 1); i++)
        *heads[i] = arena_floats(arena, T * size->A);
    a->gate = arena_floats(arena, T * size->heads);
    a->attention.probs = arena_floats(arena, size->probs);
    a->attention.keep = call->keep != KEEP_NOTHING;
    a->attention.dropped = NULL;
    if (call->keep)
        a->attention.dropped =
            arena_floats(arena, (size_t)call->max_rows * (size_t)call->max_keys);
    a->up = arena_floats(arena, T * size->F);
    a->act = arena_floats(arena, T * size->F);
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void layers_acts_place(struct encoder_acts *a, const struct model_config *c,
                              const struct call_size *call, struct arena *arena)
{
    const struct wavlm_config *w = &c->wavlm;
    size_t C = (size_t)w->embed;
    struct layer_size largest = {0};
    struct layer_acts shared = {0};

    for (int i = 0; i < config_layers_used(c); i++) {
        struct attention_shape s = encoder_attention(w, i, call->left, call->max_rows);
        s.max_keys = call->max_keys;
        struct layer_size size = {(size_t)axis_size(c, AXIS_A, i), (size_t)w->layer[i].ff,
                                  (size_t)s.n_heads,
                                  attention_probs_floats(&s, call->n_rows, call->keep)};
        if (call->keep == KEEP_ALL)
            layer_acts_place(&a->layer[i], call, C, &size, arena);
        largest = (struct layer_size){most(largest.A, size.A), most(largest.F, size.F),
                                      most(largest.heads, size.heads),
                                      most(largest.probs, size.probs)};
    }
    if (call->keep == KEEP_ALL)
        return;
    layer_acts_place(&shared, call, C, &largest, arena);
    for (int i = 0; i < config_layers_used(c); i++)
        a->layer[i] = shared;
}

void encoder_acts_place(struct encoder_acts *a, const struct model_config *c,
                        const struct call_size *call, struct arena *arena)
{
    struct pos_conv_shape pos = encoder_pos_conv(&c->wavlm);
    size_t T = (size_t)call->n_rows, C = (size_t)c->wavlm.embed;

    a->features_mean = arena_floats(arena, T);
    a->features_rstd = arena_floats(arena, T);
    a->features_normed = arena_floats(arena, T * (size_t)axis_size(c, AXIS_FEATURES, 0));
    a->projection = arena_floats(arena, T * C);
    a->region = arena_floats(arena, pos_conv_region_floats(&pos, call->max_rows));
    a->columns = arena_floats(arena, pos_conv_columns_floats(&pos));
    a->pos = arena_floats(arena, T * C);
    a->pos_act = arena_floats(arena, T * C);
    a->sum = arena_floats(arena, T * C);
    a->encoder_mean = arena_floats(arena, T);
    a->encoder_rstd = arena_floats(arena, T);
    for (int i = 0; i <= config_layers_used(c); i++)
        a->rep[i] = arena_floats(arena, T * C);
    layers_acts_place(a, c, call, arena);
}

void encoder_input_forward(struct encoder_acts *a, struct encoder_state *s,
                           const struct encoder_weights *w, const struct model_config *c,
                           const struct model_params *p, const float *features,
                           const struct block *blocks, int n_blocks)
{
    const struct kernels *kernels = kernels_get();
    struct pos_conv_shape pos = encoder_pos_conv(&c->wavlm);
    int T = blocks_rows(blocks, n_blocks), C = c->wavlm.embed;
    int width = (int)axis_size(c, AXIS_FEATURES, 0);
    const float *open = training_open(a->training, c->wavlm.n_convs - 1);
    size_t n = (size_t)T * (size_t)C;

    if (c->wavlm.fbank) // whose statistics were taken before
        kernels->scale_shift(a->features_normed, features, p->features_norm.weight,
                             p->features_norm.bias, T, width);
    else if (open)
        open_norm_forward(a->features_normed, a->features_mean, a->features_rstd, features,
                          p->features_norm.weight, p->features_norm.bias, open, T, width);
    else
        kernels->layer_norm(a->features_normed, a->features_mean, a->features_rstd, features,
                            p->features_norm.weight, p->features_norm.bias, T, width);
    linear_forward(a->projection, a->features_normed, p->projection.weight, p->projection.bias, T,
                   width, C);
    dropout_apply(a->projection, a->training, c->wavlm.projection_dropout, DROP_PROJECTION, 0, n);
    float *sum = c->wavlm.norm_first ? a->rep[0] : a->sum;
    if (pos.kernel > 0) {
        pos_conv_forward(a->pos, a->region, a->columns, &s->pos_conv, a->projection, w->pos_conv,
                         p->pos_bias, &pos, blocks, n_blocks);
        kernels->gelu(a->pos_act, a->pos, n);
        kernels->add_scaled(sum, a->projection, a->pos_act, 1.0f, n);
    } else {
        memcpy(sum, a->projection, n * sizeof(float));
    }
    if (!c->wavlm.norm_first)
        kernels->layer_norm(a->rep[0], a->encoder_mean, a->encoder_rstd, a->sum,
                            p->encoder_norm.weight, p->encoder_norm.bias, T, C);
    dropout_apply(a->rep[0], a->training, c->wavlm.dropout, DROP_INPUT, 0, n);
}

/* gate[t,h] = a (b const[h] - 1) + 2, a and b the sigmoids of the gate's halves
 * of the head's slice of the attention input; sliced by all heads, kept or not. */
static void gate_forward(float *gate, const float *x, const struct encoder_weights *w, int index,
                         const struct layer_shape *layer, const float *gate_const, int T, int C)
{
    const struct kernels *kernels = kernels_get();
    int D = C / layer->total_heads;

    for (int t = 0; t < T; t++) {
        for (int k = 0; k < layer->n_heads; k++) {
            int h = layer->heads[k];
            const float *slice = x + (size_t)t * (size_t)C + (size_t)(h * D);
            float s0 = kernels->dot(slice, w->gate[index], (size_t)D) + w->gate_bias[index][0];
            float s1 = kernels->dot(slice, w->gate[index] + D, (size_t)D) + w->gate_bias[index][1];
            float a = 1.0f / (1.0f + expf(-s0)), b = 1.0f / (1.0f + expf(-s1));
            *gate++ = a * (b * gate_const[h] - 1.0f) + 2.0f;
        }
    }
    op_count(T * layer->n_heads, 2, D);
}

struct attention_dropout encoder_attention_dropout(const struct training *t,
                                                   const struct wavlm_config *w, int layer)
{
    struct attention_dropout none = {0};

    if (!t || !t->dropout || w->attention_dropout <= 0.0f)
        return none;
    return (struct attention_dropout){w->attention_dropout, dropout_key(t, DROP_PROBS, layer)};
}

/* out = what attention adds to the residual stream; x is its input. */
static void attention_part(struct layer_acts *a, const struct training *training,
                           struct window *window, const struct encoder_weights *w,
                           const struct model_config *c, const struct attention_params *p,
                           int index, const float *x, int T, const struct block *blocks,
                           int n_blocks)
{
    struct attention_dropout drop = encoder_attention_dropout(training, &c->wavlm, index);
    struct attention_shape s = encoder_attention(&c->wavlm, index, w->left, w->max_rows);
    struct attention_bias bias = {0};
    int C = c->wavlm.embed, A = s.n_heads * s.head_width;
    const struct masks *masks = training_masks(training);
    const float *ctx = a->attention.ctx;

    linear_forward(a->q, x, p->q.weight, p->q.bias, T, C, A);
    linear_forward(a->k, x, p->k.weight, p->k.bias, T, C, A);
    linear_forward(a->v, x, p->v.weight, p->v.bias, T, C, A);
    if (w->position) {
        gate_forward(a->gate, x, w, index, &c->wavlm.layer[index], p->gate_const, T, C);
        bias.table = w->layer_position[index];
        bias.gate = a->gate;
    }
    attention_forward(&a->attention, window, a->q, a->k, a->v, &bias, &s, &drop, blocks, n_blocks);
    if (masks->ctx[index]) {
        kernels_get()->scale_columns(a->ctx, ctx, masks->ctx[index], T, A);
        ctx = a->ctx;
    }
    linear_forward(a->out, ctx, p->out.weight, p->out.bias, T, A, C);
    dropout_apply(a->out, training, c->wavlm.dropout, DROP_ATTENTION, index,
                  (size_t)T * (size_t)C);
    if (masks->attention[index])
        kernels_get()->scale_columns(a->out, a->out, masks->attention[index], T, C);
}

static void feed_forward_part(struct layer_acts *a, const struct training *training,
                              const struct model_config *c, const struct layer_params *p,
                              int index, const float *x, int T)
{
    const struct kernels *kernels = kernels_get();
    const struct masks *masks = training_masks(training);
    int C = c->wavlm.embed, F = c->wavlm.layer[index].ff;

    linear_forward(a->up, x, p->up.weight, p->up.bias, T, C, F);
    kernels->gelu(a->act, a->up, (size_t)T * (size_t)F);
    dropout_apply(a->act, training, c->wavlm.ff_dropout, DROP_ACT, index, (size_t)T * (size_t)F);
    if (masks->act[index])
        kernels->scale_columns(a->act, a->act, masks->act[index], T, F);
    linear_forward(a->out, a->act, p->down.weight, p->down.bias, T, F, C);
    dropout_apply(a->out, training, c->wavlm.dropout, DROP_FEED_FORWARD, index,
                  (size_t)T * (size_t)C);
    if (masks->feed_forward[index])
        kernels->scale_columns(a->out, a->out, masks->feed_forward[index], T, C);
}

static void norm(float *y, float *mean, float *rstd, const float *x, const struct norm_params *p,
                 int T, int C)
{
    kernels_get()->layer_norm(y, mean, rstd, x, p->weight, p->bias, T, C);
}

/* y = x + out where the part is there, else x. */
static void residual(float *y, const float *x, const float *out, int present, size_t n)
{
    if (present)
        kernels_get()->add_scaled(y, x, out, 1.0f, n);
    else
        memcpy(y, x, n * sizeof(float));
}

void encoder_layer_forward(float *y, struct encoder_acts *acts, struct encoder_state *s,
                           const struct encoder_weights *w, const struct model_config *c,
                           const struct layer_params *p, int index, const float *x,
                           const struct block *blocks, int n_blocks)
{
    struct layer_acts *a = &acts->layer[index];
    const struct layer_shape *layer = &c->wavlm.layer[index];
    int T = blocks_rows(blocks, n_blocks), C = c->wavlm.embed, pre = c->wavlm.norm_first;
    size_t n = (size_t)T * (size_t)C;
    const float *to_attention = pre ? a->a : x, *to_feed_forward = pre ? a->f : a->h;

    if (pre)
        norm(a->a, a->norm_mean, a->norm_rstd, x, &p->norm, T, C);
    if (layer->has_attention)
        attention_part(a, acts->training, &s->window[index], w, c, &p->attention, index,
                       to_attention, T, blocks, n_blocks);
    residual(pre ? a->h : a->sum, x, a->out, layer->has_attention, n);
    if (pre)
        norm(a->f, a->final_mean, a->final_rstd, a->h, &p->final_norm, T, C);
    else
        norm(a->h, a->norm_mean, a->norm_rstd, a->sum, &p->norm, T, C);
    if (layer->has_feed_forward)
        feed_forward_part(a, acts->training, c, p, index, to_feed_forward, T);
    residual(pre ? y : a->sum2, a->h, a->out, layer->has_feed_forward, n);
    if (!pre)
        norm(y, a->final_mean, a->final_rstd, a->sum2, &p->final_norm, T, C);
}

void encoder_layers_forward(struct encoder_acts *a, struct encoder_state *s,
                            const struct encoder_weights *w, const struct model_config *c,
                            const struct model_params *p, const struct block *blocks, int n_blocks)
{
    size_t n = (size_t)blocks_rows(blocks, n_blocks) * (size_t)c->wavlm.embed;

    for (int i = 0; i < config_layers_used(c); i++) {
        if (layer_dropped(a->training, i))
            memcpy(a->rep[i + 1], a->rep[i], n * sizeof(float));
        else
            encoder_layer_forward(a->rep[i + 1], a, s, w, c, &p->layer[i], i, a->rep[i], blocks,
                                  n_blocks);
    }
}
