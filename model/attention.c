// SPDX-License-Identifier: MIT
#include "model/attention.h"

#include "model/kernels.h"
#include "model/op.h"

int attention_distances(const struct attention_shape *s)
{
    return s->left + 2 * s->max_rows - 1;
}

size_t attention_probs_floats(const struct attention_shape *s, int n_blocks, int keep)
{
    size_t one = (size_t)s->max_rows * (size_t)window_max_keys(s->left, s->max_rows);

    return keep ? one * (size_t)n_blocks * (size_t)s->n_heads : one;
}

/* The part of a position table that stands for the keys of one query. */
static const float *bias_row(const struct attention_bias *bias, const struct attention_shape *s,
                             int row, int head, int first_distance)
{
    size_t n = (size_t)attention_distances(s), H = (size_t)s->n_heads;
    size_t which = bias->per_row ? (size_t)row * H + (size_t)head : (size_t)head;

    return bias->table + which * n + (size_t)(first_distance + s->left + s->max_rows - 1);
}

/* One head of one block: probs [T,K], then ctx rows. row: the block's first row of the call. */
static void attend_head(float *ctx, float *probs, const float *q, const float *k, const float *v,
                        const struct attention_bias *bias, const struct attention_shape *s,
                        int head, int row, int T, int n_keys, int past)
{
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
    gemm_nn(ctx, width, probs, n_keys, v, width, T, D, n_keys);
}

void attention_forward(struct attention_acts *acts, struct window *window, const float *q,
                       const float *k, const float *v, const struct attention_bias *bias,
                       const struct attention_shape *s, const struct block *blocks, int n_blocks)
{
    size_t width = (size_t)(s->n_heads * s->head_width);
    float *probs = acts->probs;

    for (int i = 0; i < n_blocks; i++) {
        const struct block *b = &blocks[i];
        int n_keys, past, T = block_rows(b);
        size_t row = (size_t)b->row;
        int first = window_append(window, k + row * width, v + row * width, b, &n_keys, &past);

        for (int h = 0; h < s->n_heads; h++) {
            size_t column = (size_t)(h * s->head_width);
            size_t seen = (size_t)first * width + column;
            attend_head(acts->ctx + row * width + column, probs, q + row * width + column,
                        window->k + seen, window->v + seen, bias, s, h, b->row, T, n_keys, past);
            if (acts->keep)
                probs += (size_t)T * (size_t)n_keys;
        }
    }
}
