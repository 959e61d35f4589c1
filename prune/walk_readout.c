// SPDX-License-Identifier: MIT
/* walk_readout.c - the reverse of the readout (readout.h, conformer.h). */
#include "model/kernels.h"
#include "model/op.h"
#include "prune/walk.h"

#include <string.h>

/* One conformer block's walk. */
struct block_walk {
    struct gradients *g;
    struct conformer_acts *a;
    const struct model *m;
    const struct readout_config *r;
    const struct conformer_params *p;
    struct conformer_params *d;
    int T, R, left;
    size_t n; // T R
    const struct block *blocks;
    int n_blocks;
};

static void norm_backward(const struct block_walk *w, float *d, struct norm_params *slopes,
                          const float *x, const float *mean, const float *rstd,
                          const struct norm_params *p)
{
    kernels_get()->layer_norm_backward(d, slopes->weight, slopes->bias, d, x, mean, rstd,
                                       p->weight, w->T, w->R);
}

static void add(float *dx, const float *d, size_t n)
{
    kernels_get()->add_scaled(dx, dx, d, 1.0f, n);
}

/* dx [T,R]: by y = x + ffn(LN x) / 2, becomes that by x. */
static void ffn_backward(const struct block_walk *w, float *dx, struct ffn_acts *a,
                         struct feed_forward_params *d, const struct feed_forward_params *p,
                         const float *x)
{
    const struct kernels *kernels = kernels_get();
    const struct training *t = w->a->training;
    int F = w->r->ff, second = a == &w->a->ffn2;
    size_t wide = (size_t)w->T * (size_t)F;
    float *out = w->g->x[0], *act = w->g->wide[0];

    memset(out, 0, w->n * sizeof(float));
    kernels->add_scaled(out, out, dx, 0.5f, w->n);
    dropout_apply(out, t, w->r->dropout, second ? DROP_FFN2 : DROP_FFN1, w->a->index, w->n);
    linear_backward(act, 0.0f, d->down.weight, d->down.bias, out, a->act, p->down.weight, w->T, F,
                    w->R);
    dropout_apply(act, t, w->r->dropout, second ? DROP_FFN2_ACT : DROP_FFN1_ACT, w->a->index,
                  wide);
    kernels->swish_backward(act, act, a->up, wide);
    linear_backward(out, 0.0f, d->up.weight, d->up.bias, act, a->normed, p->up.weight, w->T, w->R,
                    F);
    norm_backward(w, out, &d->norm, x, a->mean, a->rstd, &p->norm);
    add(dx, out, w->n);
}

/* dx: by y = x + mha(LN x). */
static void mha_backward(const struct block_walk *w, float *dx, const float *x)
{
    struct gradients *g = w->g;
    struct conformer_acts *a = w->a;
    struct attention_shape s =
        conformer_attention(w->r, w->m->readout.left, w->m->readout.max_rows);
    struct attention_dropout drop =
        conformer_attention_dropout(a->training, w->r, a->index);
    struct attention_bias bias = {0};
    struct attention_slopes slopes = {g->head[1], g->head[2], g->head[3], NULL, NULL, g->scores};
    int T = w->T, R = w->R, rows = T * s.n_heads, D = s.head_width;
    int distances = attention_distances(&s);
    float *out = g->x[0];

    memcpy(out, dx, w->n * sizeof(float));
    dropout_apply(out, a->training, w->r->dropout, DROP_MHA, a->index, w->n);
    linear_backward(g->head[0], 0.0f, w->d->mha.out.weight, w->d->mha.out.bias, out,
                    a->attention.ctx, w->p->mha.out.weight, T, R, R);
    if (w->m->readout.posi) {
        bias.table = a->positions;
        bias.per_row = 1;
        slopes.table = g->positions;
        memset(g->positions, 0, (size_t)rows * (size_t)distances * sizeof(float));
    }
    memset(slopes.k, 0, w->n * sizeof(float));
    memset(slopes.v, 0, w->n * sizeof(float));
    attention_backward(&slopes, g->head[0], &a->attention, a->q, a->k, a->v, &bias, &s, &drop,
                       w->left, w->blocks, w->n_blocks);
    if (w->m->readout.posi) {
        gemm_nn(slopes.q, D, g->positions, distances, w->m->readout.posi, D, rows, D, distances,
                s.scale, 1.0f);
        gemm_tn(g->readout.posi, D, g->positions, distances, a->q, D, distances, D, rows, s.scale,
                1.0f);
    }
    linear_backward(out, 0.0f, w->d->mha.q.weight, w->d->mha.q.bias, slopes.q, a->mha_normed,
                    w->p->mha.q.weight, T, R, R);
    linear_backward(out, 1.0f, w->d->mha.k.weight, w->d->mha.k.bias, slopes.k, a->mha_normed,
                    w->p->mha.k.weight, T, R, R);
    linear_backward(out, 1.0f, w->d->mha.v.weight, w->d->mha.v.bias, slopes.v, a->mha_normed,
                    w->p->mha.v.weight, T, R, R);
    norm_backward(w, out, &w->d->mha.norm, x, a->mha_mean, a->mha_rstd, &w->p->mha.norm);
    add(dx, out, w->n);
}

/* d [T,R], by BatchNorm's result, becomes that by its input:
 * w rstd (d - mean d - hat mean(d hat)), the means over the batch. */
static void batch_norm_backward(const struct block_walk *w, float *d)
{
    const struct training *t = w->a->training;
    const struct batch_norm *b = &w->a->batch_norm;
    const struct kernels *kernels = kernels_get();
    double *sums = b->sums;
    int R = w->R;
    float *by_x = w->g->region, *constant = w->g->region + R;

    for (int i = 0; i < 2 * R; i++)
        sums[i] = 0.0;
    kernels->cross_moments(sums, sums + R, d, w->a->deep, w->T, R);
    for (int c = 0; c < R; c++) {
        w->d->conv.batch_norm.weight[c] +=
            (float)((sums[R + c] - b->mean[c] * sums[c]) * b->rstd[c]);
        w->d->conv.batch_norm.bias[c] += (float)sums[c];
        by_x[c] = constant[c] = 0.0f;
    }
    if (t->batch_statistics) {
        if (t->sum)
            t->sum(t->user, sums, 2 * (size_t)R);
        for (int c = 0; c < R; c++) {
            double mean_d = sums[c] / b->rows;
            double mean_hat = (sums[R + c] - b->mean[c] * sums[c]) * b->rstd[c] / b->rows;
            by_x[c] = (float)(-b->scale[c] * b->rstd[c] * mean_hat);
            constant[c] = (float)(-b->scale[c] * (mean_d - b->mean[c] * b->rstd[c] * mean_hat));
        }
    }
    kernels->affine(d, d, w->a->deep, b->scale, by_x, constant, w->T, R);
}

/* glu_slope += what the depthwise convolution owes its input. */
static void depthwise_backward(const struct block_walk *w, float *glu_slope, const float *d)
{
    const struct kernels *kernels = kernels_get();
    struct gradients *g = w->g;
    const struct conformer_weights *weights = &w->m->readout.conformer[w->a->index];
    int keep = w->r->kernel / 2;
    size_t R = (size_t)w->R;

    for (int i = 0; i < w->n_blocks; i++) {
        const struct block *b = &w->blocks[i];
        int T = block_rows(b), past = b->frame < keep ? (int)b->frame : keep;
        size_t zeros = (size_t)(keep - past) * R, rows = (size_t)(past + T) * R;
        size_t from = (size_t)(b->row - past) * R, all = (size_t)(T + 2 * keep) * R;

        memset(g->region, 0, all * sizeof(float));
        memset(g->region_slope, 0, all * sizeof(float));
        memcpy(g->region + zeros, w->a->glu + from, rows * sizeof(float));
        kernels->depthwise_backward(g->region_slope, g->readout.conformer[w->a->index].depthwise,
                                    w->d->conv.depthwise.bias, d + (size_t)b->row * R, g->region,
                                    weights->depthwise, T, w->R, w->r->kernel);
        add(glu_slope + from, g->region_slope + zeros, rows);
    }
}

/* dx: by y = x + conv(LN x). */
static void conv_part_backward(const struct block_walk *w, float *dx, const float *x)
{
    const struct kernels *kernels = kernels_get();
    struct conformer_acts *a = w->a;
    struct gradients *g = w->g;
    int T = w->T, R = w->R;
    float *out = g->x[0], *act = g->x[1], *glu = g->x[2];

    memcpy(out, dx, w->n * sizeof(float));
    dropout_apply(out, a->training, w->r->conv_dropout, DROP_CONV, a->index, w->n);
    linear_backward(act, 0.0f, w->d->conv.pointwise2.weight, w->d->conv.pointwise2.bias, out,
                    a->act, w->p->conv.pointwise2.weight, T, R, R);
    kernels->swish_backward(act, act, a->normed, w->n);
    batch_norm_backward(w, act);
    memset(glu, 0, w->n * sizeof(float));
    depthwise_backward(w, glu, act);
    kernels->glu_backward(g->wide[0], glu, a->wide, T, R);
    linear_backward(out, 0.0f, w->d->conv.pointwise1.weight, w->d->conv.pointwise1.bias,
                    g->wide[0], a->conv_normed, w->p->conv.pointwise1.weight, T, R, 2 * R);
    norm_backward(w, out, &w->d->conv.norm, x, a->conv_mean, a->conv_rstd, &w->p->conv.norm);
    add(dx, out, w->n);
}

static void conformer_backward(const struct block_walk *w, float *dx, const float *x)
{
    struct conformer_acts *a = w->a;

    norm_backward(w, dx, &w->d->norm, a->x4, a->mean, a->rstd, &w->p->norm);
    ffn_backward(w, dx, &a->ffn2, &w->d->ffn2, &w->p->ffn2, a->x3);
    conv_part_backward(w, dx, a->x2);
    mha_backward(w, dx, a->x1);
    ffn_backward(w, dx, &a->ffn1, &w->d->ffn1, &w->p->ffn1, x);
}

static void activation_backward(float *d, const float *y, enum output_activation activation,
                                size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (activation == OUTPUT_RELU)
            d[i] = y[i] > 0.0f ? d[i] : 0.0f;
        else if (activation == OUTPUT_TANH)
            d[i] *= 1.0f - y[i] * y[i];
    }
}

/* d layer_weights[l] += <sum_slope, rep l> */
static void weighted_sum_backward(struct gradients *g, const struct model_acts *a,
                                  const struct readout_config *r, const float *sum_slope, size_t n)
{
    enum { RUN = 4096 };

    for (int l = 0; l < r->n_reps; l++) {
        double total = 0.0;
        for (size_t i = 0; i < n; i += RUN)
            total += kernels_get()->dot(sum_slope + i, a->encoder.rep[l] + i,
                                        n - i < RUN ? n - i : RUN);
        g->params.layer_weights[l] += (float)total;
    }
}

void walk_readout(struct gradients *g, struct model_acts *acts, const struct model *m,
                  const struct loss_slopes *slopes, float *sum_slope, int left,
                  const struct block *blocks, int n_blocks)
{
    const struct readout_config *r = &m->config.readout;
    const struct model_params *p = &m->params;
    struct readout_acts *a = &acts->readout;
    int T = blocks_rows(blocks, n_blocks), R = r->width, C = m->config.wavlm.embed;
    size_t n = (size_t)T * (size_t)C;
    float *logits = g->wide[1], *dx = g->x[3];

    memset(sum_slope, 0, n * sizeof(float));
    if (slopes->scores) {
        log_softmax_backward(logits, slopes->scores, a->scores, T, r->n_classes);
        linear_backward(dx, 0.0f, g->params.classifier.weight, g->params.classifier.bias, logits,
                        a->activated, p->classifier.weight, T, R, r->n_classes);
        activation_backward(dx, a->activated, r->activation, (size_t)T * (size_t)R);
        for (int i = r->n_layers - 1; i >= 0; i--) {
            struct block_walk w = {
                .g = g, .a = &a->conformer[i], .m = m, .r = r, .p = &p->conformer[i],
                .d = &g->params.conformer[i], .T = T, .R = R, .left = left,
                .n = (size_t)T * (size_t)R, .blocks = blocks, .n_blocks = n_blocks,
            };
            conformer_backward(&w, dx, a->x[i]);
        }
        kernels_get()->layer_norm_backward(dx, g->params.readout_norm.weight,
                                           g->params.readout_norm.bias, dx, a->projected, a->mean,
                                           a->rstd, p->readout_norm.weight, T, R);
        linear_backward(sum_slope, 0.0f, g->params.readout_projection.weight,
                        g->params.readout_projection.bias, dx, a->sum,
                        p->readout_projection.weight, T, C, R);
    }
    walk_add_traits(sum_slope, slopes, 0, T, &m->config);
    weighted_sum_backward(g, acts, r, sum_slope, n);
}
