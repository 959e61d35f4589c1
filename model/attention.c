// SPDX-License-Identifier: MIT
#include "model/attention.h"

#include "model/kernels.h"
#include "model/op.h"

int attention_distances(const struct attention_shape *s)
{
    return s->left + 2 * s->max_rows - 1;
}

size_t attention_probs_floats(const struct attention_shape *s, int n_rows, int keep)
{
    if (keep)
        return (size_t)n_rows * (size_t)s->max_keys * (size_t)s->n_heads;
    return (size_t)s->max_rows * (size_t)s->max_keys;
}

/* The part of a position table that stands for the keys of one query. */
static const float *bias_row(const struct attention_bias *bias, const struct attention_shape *s,
                             int row, int head, int first_distance)
{
    size_t n = (size_t)attention_distances(s), H = (size_t)s->n_heads;
    size_t which = bias->per_row ? (size_t)row * H + (size_t)head : (size_t)head;

    return bias->table + which * n + (size_t)(first_distance + s->left + s->max_rows - 1);
}

/* One head of one block. */
struct head {
    int head, row; // row: the block's first of the call
    int T, n_keys, past;
    size_t probs;  // where its probabilities lie among the call's
};

/* The probabilities that weigh the values: after dropout. */
static const float *weights_of(float *dropped, const float *probs,
                               const struct attention_dropout *dropout, const struct head *at)
{
    size_t n = (size_t)at->T * (size_t)at->n_keys;

    if (dropout->rate <= 0.0f)
        return probs;
    kernels_get()->dropout(dropped, probs, dropout->rate, dropout->key + at->probs, n);
    return dropped;
}

/* probs [T,K], then ctx rows. */
static void attend_head(float *ctx, float *probs, float *dropped, const float *q, const float *k,
                        const float *v, const struct attention_bias *bias,
                        const struct attention_shape *s, const struct attention_dropout *dropout,
                        const struct head *at)
{
    int head = at->head, row = at->row, T = at->T, n_keys = at->n_keys, past = at->past;
    const struct kernels *kernels = kernels_get();
    int D = s->head_width, width = s->n_heads * D;

    gemm_nt(probs, n_keys, q, width, k, width, T, n_keys, D, s->scale, 0.0f);
    for (int t = 0; t < T; t++) {
        const float *row_bias = NULL;
        float gate = 1.0f;
        if (bias->table)
            row_bias = bias_row(bias, s, row + t, head, -past - t);
        if (bias->gate)
            gate = bias->gate[(size_t)(row + t) * (size_t)s->n_heads + (size_t)head];
        kernels->softmax(probs + (size_t)t * (size_t)n_keys, row_bias, gate, n_keys);
    }
    gemm_nn(ctx, width, weights_of(dropped, probs, dropout, at), n_keys, v, width, T, D, n_keys,
            1.0f, 0.0f);
}

void attention_forward(struct attention_acts *acts, struct window *window, const float *q,
                       const float *k, const float *v, const struct attention_bias *bias,
                       const struct attention_shape *s, const struct attention_dropout *dropout,
                       const struct block *blocks, int n_blocks)
{
    size_t width = (size_t)(s->n_heads * s->head_width);
    struct head at = {0};

    for (int i = 0; i < n_blocks; i++) {
        const struct block *b = &blocks[i];
        size_t row = (size_t)b->row;

        at.row = b->row;
        at.T = block_rows(b);
        int first = window_append(window, k + row * width, v + row * width, b, &at.n_keys,
                                  &at.past);
        for (at.head = 0; at.head < s->n_heads; at.head++) {
            size_t column = (size_t)(at.head * s->head_width);
            size_t seen = (size_t)first * width + column;
            attend_head(acts->ctx + row * width + column,
                        acts->probs + (acts->keep ? at.probs : 0), acts->dropped,
                        q + row * width + column, window->k + seen, window->v + seen, bias, s,
                        dropout, &at);
            at.probs += (size_t)at.T * (size_t)at.n_keys;
        }
    }
}

/* Slopes by the bias and the gate from those by the scores, d [T,K]. */
static void bias_backward(const struct attention_slopes *slopes, const float *d,
                          const struct attention_bias *bias, const struct attention_shape *s,
                          const struct head *at)
{
    const struct kernels *kernels = kernels_get();
    size_t n = (size_t)at->n_keys;

    for (int t = 0; t < at->T; t++) {
        const float *row_bias = bias_row(bias, s, at->row + t, at->head, -at->past - t);
        float *row_slope = slopes->table + (row_bias - bias->table);
        size_t gate = (size_t)(at->row + t) * (size_t)s->n_heads + (size_t)at->head;

        if (bias->gate)
            slopes->gate[gate] = kernels->dot(d + (size_t)t * n, row_bias, n);
        kernels->add_scaled(row_slope, row_slope, d + (size_t)t * n,
                            bias->gate ? bias->gate[gate] : 1.0f, n);
    }
}

static void head_backward(const struct attention_slopes *slopes, const float *ctx_slope,
                          const struct attention_acts *acts, const float *q, const float *k,
                          const float *v, const struct attention_bias *bias,
                          const struct attention_shape *s, const struct attention_dropout *dropout,
                          const struct head *at)
{
    const struct kernels *kernels = kernels_get();
    int D = s->head_width, width = s->n_heads * D, T = at->T, n_keys = at->n_keys;
    size_t here = (size_t)at->row * (size_t)width + (size_t)(at->head * D);
    size_t seen = here - (size_t)at->past * (size_t)width;
    const float *probs = acts->probs + at->probs;
    const float *weights = weights_of(acts->dropped, probs, dropout, at);
    float *d = slopes->scores;

    gemm_tn(slopes->v + seen, width, weights, n_keys, ctx_slope + here, width, n_keys, D, T, 1.0f,
            1.0f);
    gemm_nt(d, n_keys, ctx_slope + here, width, v + seen, width, T, n_keys, D, 1.0f, 0.0f);
    if (dropout->rate > 0.0f)
        kernels->dropout(d, d, dropout->rate, dropout->key + at->probs,
                         (size_t)T * (size_t)n_keys);
    for (int t = 0; t < T; t++)
        kernels->softmax_backward(d + (size_t)t * (size_t)n_keys,
                                  probs + (size_t)t * (size_t)n_keys, n_keys);
    if (bias->table)
        bias_backward(slopes, d, bias, s, at);
    gemm_nn(slopes->q + here, width, d, n_keys, k + seen, width, T, D, n_keys, s->scale, 0.0f);
    gemm_tn(slopes->k + seen, width, d, n_keys, q + here, width, n_keys, D, T, s->scale, 1.0f);
}

void attention_backward(const struct attention_slopes *d, const float *ctx_slope,
                        const struct attention_acts *acts, const float *q, const float *k,
                        const float *v, const struct attention_bias *bias,
                        const struct attention_shape *s, const struct attention_dropout *dropout,
                        int left, const struct block *blocks, int n_blocks)
{
    struct head at = {0};

    for (int i = 0; i < n_blocks; i++) {
        const struct block *b = &blocks[i];

        at.row = b->row;
        at.T = block_rows(b);
        at.past = b->frame < left ? (int)b->frame : left;
        at.n_keys = at.past + at.T;
        for (at.head = 0; at.head < s->n_heads; at.head++) {
            head_backward(d, ctx_slope, acts, q, k, v, bias, s, dropout, &at);
            at.probs += (size_t)at.T * (size_t)at.n_keys;
        }
    }
}
