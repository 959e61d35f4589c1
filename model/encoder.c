// SPDX-License-Identifier: MIT
#include "model/encoder.h"

#include "model/kernels.h"
#include "model/op.h"
#include "model/pos_conv.h"
#include "model/positions.h"

#include <math.h>
#include <string.h>

static struct pos_conv_shape pos_conv_shape(const struct wavlm_config *w)
{
    return (struct pos_conv_shape){w->embed, w->pos_groups, w->pos_kernel};
}

static struct attention_shape layer_attention(const struct wavlm_config *w, int layer, int left,
                                              int max_rows)
{
    int D = config_head_width(w, layer);

    return (struct attention_shape){
        .n_heads = w->layer[layer].n_heads,
        .head_width = D,
        .scale = (float)(1.0 / sqrt(D)),
        .max_rows = max_rows,
        .left = left,
    };
}

void encoder_weights_place(struct encoder_weights *w, const struct model_config *c, int left,
                           int max_rows, struct arena *arena)
{
    const struct wavlm_config *shape = &c->wavlm;
    struct attention_shape reach = layer_attention(shape, 0, left, max_rows);
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
        w->layer_position[i] = w->position;
        if (has_position && layer->n_heads < layer->total_heads)
            w->layer_position[i] = arena_floats(arena, (size_t)layer->n_heads * n);
    }
}

static void position_fill(struct encoder_weights *w, const struct wavlm_config *shape,
                          const struct model_params *p)
{
    struct attention_shape reach = layer_attention(shape, 0, w->left, w->max_rows);
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
    struct pos_conv_shape pos = pos_conv_shape(shape);
    struct attention_shape reach = layer_attention(shape, 0, w->left, w->max_rows);
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

static void layer_acts_place(struct layer_acts *a, size_t T, size_t C, size_t A, size_t F,
                             size_t heads, size_t probs, int keep, struct arena *arena)
{
    a->a = arena_floats(arena, T * C);
    a->norm_mean = arena_floats(arena, T);
    a->norm_rstd = arena_floats(arena, T);
    a->final_mean = arena_floats(arena, T);
    a->final_rstd = arena_floats(arena, T);
    a->q = arena_floats(arena, T * A);
    a->k = arena_floats(arena, T * A);
    a->v = arena_floats(arena, T * A);
    a->gate = arena_floats(arena, T * heads);
    a->attention.probs = arena_floats(arena, probs);
    a->attention.keep = keep;
    a->attention.ctx = arena_floats(arena, T * A);
    a->h = arena_floats(arena, T * C);
    a->sum = arena_floats(arena, T * C);
    a->sum2 = arena_floats(arena, T * C);
    a->f = arena_floats(arena, T * C);
    a->up = arena_floats(arena, T * F);
    a->act = arena_floats(arena, T * F);
    a->out = arena_floats(arena, T * C);
}

static void layers_acts_place(struct encoder_acts *a, const struct model_config *c, int left,
                              int n_blocks, int max_rows, int keep, struct arena *arena)
{
    const struct wavlm_config *w = &c->wavlm;
    size_t T = (size_t)n_blocks * (size_t)max_rows, C = (size_t)w->embed;
    size_t most_A = 0, most_F = 0, most_heads = 0, most_probs = 0;

    for (int i = 0; i < config_layers_used(c); i++) {
        struct attention_shape s = layer_attention(w, i, left, max_rows);
        size_t A = (size_t)axis_size(c, AXIS_A, i), F = (size_t)w->layer[i].ff;
        size_t probs = attention_probs_floats(&s, n_blocks, keep), heads = (size_t)s.n_heads;
        if (keep)
            layer_acts_place(&a->layer[i], T, C, A, F, heads, probs, keep, arena);
        most_A = A > most_A ? A : most_A;
        most_F = F > most_F ? F : most_F;
        most_heads = heads > most_heads ? heads : most_heads;
        most_probs = probs > most_probs ? probs : most_probs;
    }
    if (!keep) {
        struct layer_acts one;
        layer_acts_place(&one, T, C, most_A, most_F, most_heads, most_probs, keep, arena);
        for (int i = 0; i < config_layers_used(c); i++)
            a->layer[i] = one;
    }
}

void encoder_acts_place(struct encoder_acts *a, const struct model_config *c, int left,
                        int n_blocks, int max_rows, int keep, struct arena *arena)
{
    struct pos_conv_shape pos = pos_conv_shape(&c->wavlm);
    size_t T = (size_t)n_blocks * (size_t)max_rows, C = (size_t)c->wavlm.embed;

    a->features_mean = arena_floats(arena, T);
    a->features_rstd = arena_floats(arena, T);
    a->features_normed = arena_floats(arena, T * (size_t)axis_size(c, AXIS_FEATURES, 0));
    a->projection = arena_floats(arena, T * C);
    a->region = arena_floats(arena, pos_conv_region_floats(&pos, max_rows));
    a->columns = arena_floats(arena, pos_conv_columns_floats(&pos));
    a->pos = arena_floats(arena, T * C);
    a->pos_act = arena_floats(arena, T * C);
    a->sum = arena_floats(arena, T * C);
    a->encoder_mean = arena_floats(arena, T);
    a->encoder_rstd = arena_floats(arena, T);
    for (int i = 0; i <= config_layers_used(c); i++)
        a->rep[i] = arena_floats(arena, T * C);
    layers_acts_place(a, c, left, n_blocks, max_rows, keep, arena);
}

static int count_rows(const struct block *blocks, int n_blocks)
{
    int T = 0;

    for (int i = 0; i < n_blocks; i++)
        T += block_rows(&blocks[i]);
    return T;
}

void encoder_input_forward(struct encoder_acts *a, struct encoder_state *s,
                           const struct encoder_weights *w, const struct model_config *c,
                           const struct model_params *p, const float *features,
                           const struct block *blocks, int n_blocks)
{
    const struct kernels *kernels = kernels_get();
    struct pos_conv_shape pos = pos_conv_shape(&c->wavlm);
    int T = count_rows(blocks, n_blocks), C = c->wavlm.embed;
    int width = (int)axis_size(c, AXIS_FEATURES, 0);
    size_t n = (size_t)T * (size_t)C;

    kernels->layer_norm(a->features_normed, a->features_mean, a->features_rstd, features,
                        p->features_norm.weight, p->features_norm.bias, T, width);
    linear_forward(a->projection, a->features_normed, p->projection.weight, p->projection.bias, T,
                   width, C);
    pos_conv_forward(a->pos, a->region, a->columns, &s->pos_conv, a->projection, w->pos_conv,
                     p->pos_bias, &pos, blocks, n_blocks);
    kernels->gelu(a->pos_act, a->pos, n);
    if (c->wavlm.norm_first) {
        kernels->add_scaled(a->rep[0], a->projection, a->pos_act, 1.0f, n);
        return;
    }
    kernels->add_scaled(a->sum, a->projection, a->pos_act, 1.0f, n);
    kernels->layer_norm(a->rep[0], a->encoder_mean, a->encoder_rstd, a->sum, p->encoder_norm.weight,
                        p->encoder_norm.bias, T, C);
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
}

/* out = what attention adds to the residual stream; x is its input. */
static void attention_part(struct layer_acts *a, struct window *window,
                           const struct encoder_weights *w, const struct model_config *c,
                           const struct attention_params *p, int index, const float *x, int T,
                           const struct block *blocks, int n_blocks)
{
    struct attention_shape s = layer_attention(&c->wavlm, index, w->left, w->max_rows);
    struct attention_bias bias = {0};
    int C = c->wavlm.embed, A = s.n_heads * s.head_width;

    linear_forward(a->q, x, p->q.weight, p->q.bias, T, C, A);
    linear_forward(a->k, x, p->k.weight, p->k.bias, T, C, A);
    linear_forward(a->v, x, p->v.weight, p->v.bias, T, C, A);
    if (w->position) {
        gate_forward(a->gate, x, w, index, &c->wavlm.layer[index], p->gate_const, T, C);
        bias.table = w->layer_position[index];
        bias.gate = a->gate;
    }
    attention_forward(&a->attention, window, a->q, a->k, a->v, &bias, &s, blocks, n_blocks);
    linear_forward(a->out, a->attention.ctx, p->out.weight, p->out.bias, T, A, C);
}

static void feed_forward_part(struct layer_acts *a, const struct layer_params *p, const float *x,
                              int T, int C, int F)
{
    linear_forward(a->up, x, p->up.weight, p->up.bias, T, C, F);
    kernels_get()->gelu(a->act, a->up, (size_t)T * (size_t)F);
    linear_forward(a->out, a->act, p->down.weight, p->down.bias, T, F, C);
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

static void layer_forward(float *y, struct layer_acts *a, struct window *window,
                          const struct encoder_weights *w, const struct model_config *c,
                          const struct layer_params *p, int index, const float *x, int T,
                          const struct block *blocks, int n_blocks)
{
    const struct layer_shape *layer = &c->wavlm.layer[index];
    int C = c->wavlm.embed, pre = c->wavlm.norm_first;
    size_t n = (size_t)T * (size_t)C;
    const float *to_attention = pre ? a->a : x, *to_feed_forward = pre ? a->f : a->h;

    if (pre)
        norm(a->a, a->norm_mean, a->norm_rstd, x, &p->norm, T, C);
    if (layer->has_attention)
        attention_part(a, window, w, c, &p->attention, index, to_attention, T, blocks, n_blocks);
    residual(pre ? a->h : a->sum, x, a->out, layer->has_attention, n);
    if (pre)
        norm(a->f, a->final_mean, a->final_rstd, a->h, &p->final_norm, T, C);
    else
        norm(a->h, a->norm_mean, a->norm_rstd, a->sum, &p->norm, T, C);
    if (layer->has_feed_forward)
        feed_forward_part(a, p, to_feed_forward, T, C, layer->ff);
    residual(pre ? y : a->sum2, a->h, a->out, layer->has_feed_forward, n);
    if (!pre)
        norm(y, a->final_mean, a->final_rstd, a->sum2, &p->final_norm, T, C);
}

void encoder_layers_forward(struct encoder_acts *a, struct encoder_state *s,
                            const struct encoder_weights *w, const struct model_config *c,
                            const struct model_params *p, const struct block *blocks, int n_blocks)
{
    int T = count_rows(blocks, n_blocks);

    for (int i = 0; i < config_layers_used(c); i++)
        layer_forward(a->rep[i + 1], &a->layer[i], &s->window[i], w, c, &p->layer[i], i, a->rep[i],
                      T, blocks, n_blocks);
}
