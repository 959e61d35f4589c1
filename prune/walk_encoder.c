// SPDX-License-Identifier: MIT
/* walk_encoder.c - the reverse of one encoder layer (encoder.h). */
#include "model/kernels.h"
#include "model/op.h"
#include "prune/walk.h"

#include <math.h>
#include <string.h>

void columns_dot(float *restrict slopes, const float *restrict d, const float *restrict x, int T,
                 int C)
{
    for (int t = 0; t < T; t++) {
        const float *a = d + (size_t)t * (size_t)C, *b = x + (size_t)t * (size_t)C;
        for (int c = 0; c < C; c++)
            slopes[c] += a[c] * b[c];
    }
}

/* One layer's walk. */
struct layer_walk {
    struct gradients *g;
    struct layer_acts *a;
    const struct training *training;
    const struct model *m;
    const struct layer_params *p;
    struct layer_params *d;
    int index, T, C, left;
    const struct block *blocks;
    int n_blocks;
};

/* The reverse of encoder.c's gate_forward: dx is added to. */
static void gate_backward(const struct layer_walk *w, float *dx, const float *x)
{
    const struct kernels *kernels = kernels_get();
    const struct layer_shape *layer = &w->m->config.wavlm.layer[w->index];
    const struct encoder_weights *weights = &w->m->encoder;
    struct encoder_weights *slopes = &w->g->encoder;
    const float *taps = weights->gate[w->index], *slope = w->g->gate;
    int D = w->C / layer->total_heads;
    size_t width = (size_t)D;

    for (int t = 0; t < w->T; t++) {
        for (int k = 0; k < layer->n_heads; k++) {
            int h = layer->heads[k];
            size_t at = (size_t)t * (size_t)w->C + (size_t)(h * D);
            float constant = w->p->attention.gate_const[h], d = *slope++;
            float s0 = kernels->dot(x + at, taps, width) + weights->gate_bias[w->index][0];
            float s1 = kernels->dot(x + at, taps + D, width) + weights->gate_bias[w->index][1];
            float a = 1.0f / (1.0f + expf(-s0)), b = 1.0f / (1.0f + expf(-s1));
            float d0 = d * (b * constant - 1.0f) * a * (1.0f - a);
            float d1 = d * a * constant * b * (1.0f - b);
            float *tap_slopes = slopes->gate[w->index];

            w->d->attention.gate_const[h] += d * a * b;
            slopes->gate_bias[w->index][0] += d0;
            slopes->gate_bias[w->index][1] += d1;
            for (int i = 0; i < D; i++) {
                tap_slopes[i] += d0 * x[at + (size_t)i];
                tap_slopes[D + i] += d1 * x[at + (size_t)i];
                dx[at + (size_t)i] += d0 * taps[i] + d1 * taps[D + i];
            }
        }
    }
}

/* d [T,C], the slope by what a part adds, through the gate of the whole part and
 * the dropout in front of it. `out` is made again for the gate's own slope. */
static void part_backward(const struct layer_walk *w, float *d, float *const *gate_slopes,
                          float *const *gates, enum dropout_site site,
                          const struct linear_params *p, const float *in, int width)
{
    float rate = w->m->config.wavlm.dropout;
    size_t n = (size_t)w->T * (size_t)w->C;

    if (gates[w->index]) {
        if (gate_slopes[w->index]) {
            float *out = w->a->out;
            linear_forward(out, in, p->weight, p->bias, w->T, width, w->C);
            dropout_apply(out, w->training, rate, site, w->index, n);
            columns_dot(gate_slopes[w->index], d, out, w->T, w->C);
        }
        kernels_get()->scale_columns(d, d, gates[w->index], w->T, w->C);
    }
    dropout_apply(d, w->training, rate, site, w->index, n);
}

/* dx = beta dx + slope by attention's input x; d, by its result, is spent. */
static void attention_part_backward(const struct layer_walk *w, float *dx, float beta, float *d,
                                    const float *x)
{
    struct gradients *g = w->g;
    const struct model_config *c = &w->m->config;
    const struct encoder_weights *weights = &w->m->encoder;
    const struct attention_params *p = &w->p->attention;
    struct attention_params *dp = &w->d->attention;
    const struct masks *masks = training_masks(w->training);
    struct attention_shape s =
        encoder_attention(&c->wavlm, w->index, weights->left, weights->max_rows);
    struct attention_dropout drop = encoder_attention_dropout(w->training, &c->wavlm, w->index);
    struct attention_bias bias = {0};
    int A = s.n_heads * s.head_width, T = w->T, C = w->C;
    const float *gated = masks->ctx[w->index] ? w->a->ctx : w->a->attention.ctx;
    float *ctx = g->head[0];
    struct attention_slopes slopes = {g->head[1], g->head[2], g->head[3], NULL, NULL, g->scores};

    part_backward(w, d, g->masks.attention, masks->attention, DROP_ATTENTION, &p->out, gated, A);
    linear_backward(ctx, 0.0f, dp->out.weight, dp->out.bias, d, gated, p->out.weight, T, A, C);
    if (masks->ctx[w->index]) {
        if (g->masks.ctx[w->index])
            columns_dot(g->masks.ctx[w->index], ctx, w->a->attention.ctx, T, A);
        kernels_get()->scale_columns(ctx, ctx, masks->ctx[w->index], T, A);
    }
    if (weights->position) {
        bias.table = weights->layer_position[w->index];
        bias.gate = w->a->gate;
        slopes.table = g->encoder.layer_position[w->index];
        slopes.gate = g->gate;
    }
    memset(slopes.k, 0, (size_t)T * (size_t)A * sizeof(float));
    memset(slopes.v, 0, (size_t)T * (size_t)A * sizeof(float));
    attention_backward(&slopes, ctx, &w->a->attention, w->a->q, w->a->k, w->a->v, &bias, &s, &drop,
                       w->left, w->blocks, w->n_blocks);
    linear_backward(dx, beta, dp->q.weight, dp->q.bias, slopes.q, x, p->q.weight, T, C, A);
    linear_backward(dx, 1.0f, dp->k.weight, dp->k.bias, slopes.k, x, p->k.weight, T, C, A);
    linear_backward(dx, 1.0f, dp->v.weight, dp->v.bias, slopes.v, x, p->v.weight, T, C, A);
    if (weights->position)
        gate_backward(w, dx, x);
}

/* The same for the feed-forward. */
static void feed_forward_part_backward(const struct layer_walk *w, float *dx, float beta, float *d,
                                       const float *x)
{
    struct gradients *g = w->g;
    const struct model_config *c = &w->m->config;
    const struct masks *masks = training_masks(w->training);
    int F = c->wavlm.layer[w->index].ff, T = w->T, C = w->C;
    size_t n = (size_t)T * (size_t)F;
    float *act = g->wide[0];

    part_backward(w, d, g->masks.feed_forward, masks->feed_forward, DROP_FEED_FORWARD,
                  &w->p->down, w->a->act, F);
    linear_backward(act, 0.0f, w->d->down.weight, w->d->down.bias, d, w->a->act, w->p->down.weight,
                    T, F, C);
    if (masks->act[w->index]) {
        if (g->masks.act[w->index]) {
            kernels_get()->gelu(g->wide[1], w->a->up, n);
            dropout_apply(g->wide[1], w->training, c->wavlm.ff_dropout, DROP_ACT, w->index, n);
            columns_dot(g->masks.act[w->index], act, g->wide[1], T, F);
        }
        kernels_get()->scale_columns(act, act, masks->act[w->index], T, F);
    }
    dropout_apply(act, w->training, c->wavlm.ff_dropout, DROP_ACT, w->index, n);
    kernels_get()->gelu_backward(act, act, w->a->up, n);
    linear_backward(dx, beta, w->d->up.weight, w->d->up.bias, act, x, w->p->up.weight, T, C, F);
}

static void norm_backward(const struct layer_walk *w, float *d, struct norm_params *slopes,
                          const float *x, const float *mean, const float *rstd,
                          const struct norm_params *p)
{
    kernels_get()->layer_norm_backward(d, slopes->weight, slopes->bias, d, x, mean, rstd,
                                       p->weight, w->T, w->C);
}

typedef void part_function(const struct layer_walk *w, float *dx, float beta, float *d,
                           const float *x);

/* Pre-norm: dx += LN backward of the part's slope by its input. */
static void inner_norm_part(const struct layer_walk *w, float *dx, part_function *part,
                            const float *normed, struct norm_params *slopes, const float *x,
                            const float *mean, const float *rstd, const struct norm_params *p)
{
    size_t n = (size_t)w->T * (size_t)w->C;
    float *d = w->g->x[0], *in = w->g->x[1];

    memcpy(d, dx, n * sizeof(float));
    part(w, in, 0.0f, d, normed);
    norm_backward(w, in, slopes, x, mean, rstd, p);
    kernels_get()->add_scaled(dx, dx, in, 1.0f, n);
}

void walk_layer(struct gradients *g, float *dx, struct model_acts *acts, const struct model *m,
                int index, int left, const struct block *blocks, int n_blocks)
{
    const struct layer_shape *layer = &m->config.wavlm.layer[index];
    struct layer_acts *a = &acts->encoder.layer[index];
    const float *x = acts->encoder.rep[index];
    struct layer_walk w = {
        .g = g, .a = a, .training = acts->training, .m = m, .p = &m->params.layer[index],
        .d = &g->params.layer[index], .index = index, .T = blocks_rows(blocks, n_blocks),
        .C = m->config.wavlm.embed, .left = left, .blocks = blocks, .n_blocks = n_blocks,
    };
    size_t bytes = (size_t)w.T * (size_t)w.C * sizeof(float);

    if (m->config.wavlm.norm_first) {
        if (layer->has_feed_forward)
            inner_norm_part(&w, dx, feed_forward_part_backward, a->f, &w.d->final_norm, a->h,
                            a->final_mean, a->final_rstd, &w.p->final_norm);
        if (layer->has_attention)
            inner_norm_part(&w, dx, attention_part_backward, a->a, &w.d->norm, x, a->norm_mean,
                            a->norm_rstd, &w.p->norm);
        return;
    }
    norm_backward(&w, dx, &w.d->final_norm, a->sum2, a->final_mean, a->final_rstd,
                  &w.p->final_norm);
    if (layer->has_feed_forward) {
        memcpy(g->x[0], dx, bytes);
        feed_forward_part_backward(&w, dx, 1.0f, g->x[0], a->h);
    }
    norm_backward(&w, dx, &w.d->norm, a->sum, a->norm_mean, a->norm_rstd, &w.p->norm);
    if (layer->has_attention) {
        memcpy(g->x[0], dx, bytes);
        attention_part_backward(&w, dx, 1.0f, g->x[0], x);
    }
}
