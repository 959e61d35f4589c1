// SPDX-License-Identifier: MIT
#include "model/conformer.h"

#include "model/kernels.h"
#include "model/op.h"

#include <math.h>

void conformer_weights_place(struct conformer_weights *w, const struct readout_config *r,
                             struct arena *arena)
{
    w->depthwise = arena_floats(arena, (size_t)r->kernel * (size_t)r->width);
    w->scale = arena_floats(arena, (size_t)r->width);
    w->shift = arena_floats(arena, (size_t)r->width);
}

void conformer_weights_fill(struct conformer_weights *w, const struct readout_config *r,
                            const struct conformer_params *p)
{
    for (int c = 0; c < r->width; c++) {
        for (int k = 0; k < r->kernel; k++)
            w->depthwise[(size_t)k * (size_t)r->width + (size_t)c] =
                p->conv.depthwise.weight[(size_t)c * (size_t)r->kernel + (size_t)k];
        double scale = p->conv.batch_norm.weight[c] / sqrt(p->conv.running_var[c] + 1e-5);
        w->scale[c] = (float)scale;
        w->shift[c] = (float)(p->conv.batch_norm.bias[c] - p->conv.running_mean[c] * scale);
    }
}

void conformer_weights_backward(struct conformer_params *d, const struct conformer_weights *dw,
                                const struct readout_config *r)
{
    for (int c = 0; c < r->width; c++) {
        for (int k = 0; k < r->kernel; k++)
            d->conv.depthwise.weight[(size_t)c * (size_t)r->kernel + (size_t)k] +=
                dw->depthwise[(size_t)k * (size_t)r->width + (size_t)c];
    }
}

void conformer_state_place(struct conformer_state *s, const struct readout_config *r, int left,
                           int n_rows, struct arena *arena)
{
    history_place(&s->conv, r->kernel / 2, r->width, arena);
    window_place(&s->window, r->width, left, n_rows, arena);
}

void conformer_state_reset(struct conformer_state *s)
{
    history_reset(&s->conv);
    window_reset(&s->window);
}

struct attention_shape conformer_attention(const struct readout_config *r, int left, int max_rows)
{
    int D = r->width / r->n_heads;

    return (struct attention_shape){
        .n_heads = r->n_heads,
        .head_width = D,
        .scale = (float)(1.0 / sqrt(D)),
        .max_rows = max_rows,
        .left = left,
        .max_keys = window_max_keys(left, max_rows),
    };
}

static void ffn_acts_place(struct ffn_acts *a, size_t T, size_t R, size_t F, struct arena *arena)
{
    a->normed = arena_floats(arena, T * R);
    a->mean = arena_floats(arena, T);
    a->rstd = arena_floats(arena, T);
    a->up = arena_floats(arena, T * F);
    a->act = arena_floats(arena, T * F);
    a->out = arena_floats(arena, T * R);
}

static void batch_norm_place(struct batch_norm *b, size_t R, struct arena *arena)
{
    float **const columns[] = {&b->mean, &b->rstd, &b->var, &b->scale, &b->shift};

    b->sums = arena_doubles(arena, 2 * R + 1);
    for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
        *columns[i] = arena_floats(arena, R);
}

void conformer_acts_place(struct conformer_acts *a, const struct readout_config *r,
                          const struct call_size *call, struct arena *arena)
{
    struct attention_shape s = conformer_attention(r, call->left, call->max_rows);
    size_t T = (size_t)call->n_rows, R = (size_t)r->width;
    float **const rows[] = {&a->x1, &a->x2, &a->x3, &a->x4, &a->mha_normed, &a->q, &a->k, &a->v,
                            &a->attention.ctx, &a->mha_out, &a->conv_normed, &a->glu, &a->deep,
                            &a->normed, &a->act, &a->conv_out};
    float **const scalars[] = {&a->mha_mean, &a->mha_rstd, &a->conv_mean, &a->conv_rstd, &a->mean,
                               &a->rstd};

    s.max_keys = call->max_keys;
    ffn_acts_place(&a->ffn1, T, R, (size_t)r->ff, arena);
    ffn_acts_place(&a->ffn2, T, R, (size_t)r->ff, arena);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        *rows[i] = arena_floats(arena, T * R);
    for (size_t i = 0; i < sizeof(scalars) / sizeof(*scalars); i++)
        *scalars[i] = arena_floats(arena, T);
    a->wide = arena_floats(arena, T * 2 * R);
    a->region = arena_floats(arena, (size_t)(call->max_rows + r->kernel) * R);
    a->attention.probs =
        arena_floats(arena, attention_probs_floats(&s, call->n_rows, call->keep));
    a->attention.keep = call->keep != KEEP_NOTHING;
    if (r->use_posi)
        a->positions =
            arena_floats(arena, T * (size_t)r->n_heads * (size_t)attention_distances(&s));
    if (call->keep) {
        a->attention.dropped =
            arena_floats(arena, (size_t)call->max_rows * (size_t)call->max_keys);
        batch_norm_place(&a->batch_norm, R, arena);
    }
}

/* y = x + scale ffn(LN x) */
static void ffn_forward(float *y, struct conformer_acts *acts, struct ffn_acts *a,
                        const struct readout_config *r, const struct feed_forward_params *p,
                        const float *x, int T)
{
    int R = r->width, F = r->ff, second = a == &acts->ffn2;
    const struct kernels *kernels = kernels_get();

    kernels->layer_norm(a->normed, a->mean, a->rstd, x, p->norm.weight, p->norm.bias, T, R);
    linear_forward(a->up, a->normed, p->up.weight, p->up.bias, T, R, F);
    kernels->swish(a->act, a->up, (size_t)T * (size_t)F);
    dropout_apply(a->act, acts->training, r->dropout, second ? DROP_FFN2_ACT : DROP_FFN1_ACT,
                  acts->index, (size_t)T * (size_t)F);
    linear_forward(a->out, a->act, p->down.weight, p->down.bias, T, F, R);
    dropout_apply(a->out, acts->training, r->dropout, second ? DROP_FFN2 : DROP_FFN1, acts->index,
                  (size_t)T * (size_t)R);
    kernels->add_scaled(y, x, a->out, 0.5f, (size_t)T * (size_t)R);
}

struct attention_dropout conformer_attention_dropout(const struct training *t,
                                                     const struct readout_config *r, int index)
{
    struct attention_dropout none = {0};

    if (!t || !t->dropout || r->dropout <= 0.0f)
        return none;
    return (struct attention_dropout){r->dropout, dropout_key(t, DROP_MHA_PROBS, index)};
}

static void mha_forward(float *y, struct conformer_acts *a, struct window *window,
                        const struct readout_config *r, const struct conformer_params *p, const float *posi_table,
                        const struct attention_shape *s, const float *x, int T,
                        const struct block *blocks, int n_blocks)
{
    const struct kernels *kernels = kernels_get();
    struct attention_dropout drop = conformer_attention_dropout(a->training, r, a->index);
    struct attention_bias bias = {0};
    int H = s->n_heads, D = s->head_width, R = H * D, distances = attention_distances(s);

    kernels->layer_norm(a->mha_normed, a->mha_mean, a->mha_rstd, x, p->mha.norm.weight,
                        p->mha.norm.bias, T, R);
    linear_forward(a->q, a->mha_normed, p->mha.q.weight, p->mha.q.bias, T, R, R);
    linear_forward(a->k, a->mha_normed, p->mha.k.weight, p->mha.k.bias, T, R, R);
    linear_forward(a->v, a->mha_normed, p->mha.v.weight, p->mha.v.bias, T, R, R);
    if (posi_table) { // rows of q, head by head, are [T H, D] as they lie
        gemm_nt(a->positions, distances, a->q, D, posi_table, D, T * H, distances, D, s->scale,
                0.0f);
        bias.table = a->positions;
        bias.per_row = 1;
    }
    attention_forward(&a->attention, window, a->q, a->k, a->v, &bias, s, &drop, blocks,
                      n_blocks);
    linear_forward(a->mha_out, a->attention.ctx, p->mha.out.weight, p->mha.out.bias, T, R, R);
    dropout_apply(a->mha_out, a->training, r->dropout, DROP_MHA, a->index, (size_t)T * (size_t)R);
    kernels->add_scaled(y, x, a->mha_out, 1.0f, (size_t)T * (size_t)R);
}

/* The statistics that this training call normalises with, as scale and shift. */
static void batch_norm_measure(struct batch_norm *b, const struct training *t,
                               const struct conformer_params *p, const float *x, int T, int R)
{
    b->rows = T;
    if (t->batch_statistics) {
        for (int i = 0; i < 2 * R; i++)
            b->sums[i] = 0.0;
        b->sums[2 * R] = T;
        kernels_get()->moments(b->sums, b->sums + R, x, T, R);
        if (t->sum)
            t->sum(t->user, b->sums, 2 * (size_t)R + 1);
        b->rows = b->sums[2 * R];
    }
    for (int c = 0; c < R; c++) {
        double mean = p->conv.running_mean[c], var = p->conv.running_var[c];
        if (t->batch_statistics) {
            mean = b->sums[c] / b->rows;
            var = b->sums[R + c] / b->rows - mean * mean;
            var = var > 0.0 ? var : 0.0;
        }
        double rstd = 1.0 / sqrt(var + 1e-5), scale = rstd * p->conv.batch_norm.weight[c];
        b->mean[c] = (float)mean;
        b->var[c] = (float)var;
        b->rstd[c] = (float)rstd;
        b->scale[c] = (float)scale;
        b->shift[c] = (float)(p->conv.batch_norm.bias[c] - mean * scale);
    }
}

void conformer_update_running(struct conformer_params *p, const struct readout_config *r,
                              const struct conformer_acts *a)
{
    const struct batch_norm *b = &a->batch_norm;
    double unbias = b->rows > 1.0 ? b->rows / (b->rows - 1.0) : 1.0;

    for (int c = 0; c < r->width; c++) {
        double var = (double)b->var[c] * unbias;
        p->conv.running_mean[c] = (float)(0.9 * p->conv.running_mean[c] + 0.1 * b->mean[c]);
        p->conv.running_var[c] = (float)(0.9 * p->conv.running_var[c] + 0.1 * var);
    }
    if (p->conv.batches)
        p->conv.batches[0] += 1.0f;
}

static void conv_part_forward(float *y, struct conformer_acts *a, struct history *h,
                              const struct conformer_weights *w, const struct readout_config *r,
                              const struct conformer_params *p, const float *x, int T,
                              const struct block *blocks, int n_blocks)
{
    const struct kernels *kernels = kernels_get();
    int R = r->width;
    size_t n = (size_t)T * (size_t)R;

    kernels->layer_norm(a->conv_normed, a->conv_mean, a->conv_rstd, x, p->conv.norm.weight,
                        p->conv.norm.bias, T, R);
    linear_forward(a->wide, a->conv_normed, p->conv.pointwise1.weight, p->conv.pointwise1.bias, T,
                   R, 2 * R);
    kernels->glu(a->glu, a->wide, T, R);
    for (int i = 0; i < n_blocks; i++) {
        int rows = block_rows(&blocks[i]);
        size_t at = (size_t)blocks[i].row * (size_t)R;
        float *end = a->region + (size_t)(h->keep + rows) * (size_t)R;

        history_gather(a->region, h, a->glu + at, &blocks[i]);
        for (int k = 0; k < h->keep * R; k++)
            end[k] = 0.0f; // nothing is seen beyond the block
        kernels->depthwise(a->deep + at, a->region, w->depthwise, p->conv.depthwise.bias, rows, R,
                           r->kernel);
        op_count(rows, R, r->kernel);
    }
    if (a->training)
        batch_norm_measure(&a->batch_norm, a->training, p, a->deep, T, R);
    kernels->scale_shift(a->normed, a->deep, a->training ? a->batch_norm.scale : w->scale,
                         a->training ? a->batch_norm.shift : w->shift, T, R);
    kernels->swish(a->act, a->normed, n);
    linear_forward(a->conv_out, a->act, p->conv.pointwise2.weight, p->conv.pointwise2.bias, T, R,
                   R);
    dropout_apply(a->conv_out, a->training, r->conv_dropout, DROP_CONV, a->index, n);
    kernels->add_scaled(y, x, a->conv_out, 1.0f, n);
}

void conformer_forward(float *y, struct conformer_acts *a, struct conformer_state *s,
                       const struct conformer_weights *w, const struct readout_config *r,
                       const struct conformer_params *p, const float *posi_table,
                       const struct attention_shape *shape, const float *x, int T,
                       const struct block *blocks, int n_blocks)
{
    ffn_forward(a->x1, a, &a->ffn1, r, &p->ffn1, x, T);
    mha_forward(a->x2, a, &s->window, r, p, posi_table, shape, a->x1, T, blocks, n_blocks);
    conv_part_forward(a->x3, a, &s->conv, w, r, p, a->x2, T, blocks, n_blocks);
    ffn_forward(a->x4, a, &a->ffn2, r, &p->ffn2, a->x3, T);
    kernels_get()->layer_norm(y, a->mean, a->rstd, a->x4, p->norm.weight, p->norm.bias, T,
                              r->width);
}
