// SPDX-License-Identifier: MIT
#include "model/readout.h"

#include "model/kernels.h"
#include "model/op.h"

#include <math.h>
#include <string.h>

void readout_weights_place(struct readout_weights *w, const struct readout_config *r, int left,
                           int max_rows, struct arena *arena)
{
    struct attention_shape s = conformer_attention(r, left, max_rows);

    w->left = left;
    w->max_rows = max_rows;
    for (int i = 0; i < r->n_layers; i++)
        conformer_weights_place(&w->conformer[i], r, arena);
    w->posi = NULL;
    if (r->use_posi)
        w->posi = arena_floats(arena, (size_t)attention_distances(&s) * (size_t)s.head_width);
}

/* Row of posi for the i-th distance: query - key, clamped. */
static int posi_index(const struct readout_weights *w, int i)
{
    int index = -(i - (w->left + w->max_rows - 1)) + POSI_RANGE;

    index = index < 0 ? 0 : index;
    return index > 2 * POSI_RANGE - 1 ? 2 * POSI_RANGE - 1 : index;
}

void readout_weights_backward(struct model_params *d, const struct readout_weights *dw,
                              const struct readout_config *r)
{
    struct attention_shape s = conformer_attention(r, dw->left, dw->max_rows);

    for (int i = 0; i < r->n_layers; i++)
        conformer_weights_backward(&d->conformer[i], &dw->conformer[i], r);
    for (int i = 0; dw->posi && i < attention_distances(&s); i++) {
        float *row = d->posi + (size_t)posi_index(dw, i) * (size_t)s.head_width;
        for (int k = 0; k < s.head_width; k++)
            row[k] += dw->posi[(size_t)i * (size_t)s.head_width + (size_t)k];
    }
}

void readout_weights_fill(struct readout_weights *w, const struct readout_config *r,
                          const struct model_params *p)
{
    struct attention_shape s = conformer_attention(r, w->left, w->max_rows);

    for (int i = 0; i < r->n_layers; i++)
        conformer_weights_fill(&w->conformer[i], r, &p->conformer[i]);
    for (int i = 0; w->posi && i < attention_distances(&s); i++) {
        int index = posi_index(w, i);
        memcpy(w->posi + (size_t)i * (size_t)s.head_width,
               p->posi + (size_t)index * (size_t)s.head_width,
               (size_t)s.head_width * sizeof(float));
    }
}

void readout_state_place(struct readout_state *s, const struct readout_config *r, int left,
                         int n_rows, struct arena *arena)
{
    for (int i = 0; i < r->n_layers; i++)
        conformer_state_place(&s->conformer[i], r, left, n_rows, arena);
}

void readout_state_reset(struct readout_state *s, const struct readout_config *r)
{
    for (int i = 0; i < r->n_layers; i++)
        conformer_state_reset(&s->conformer[i]);
}

void readout_update_running(struct model_params *p, const struct readout_config *r,
                            const struct readout_acts *a)
{
    for (int i = 0; i < r->n_layers; i++)
        conformer_update_running(&p->conformer[i], r, &a->conformer[i]);
}

void readout_acts_place(struct readout_acts *a, const struct model_config *c,
                        const struct call_size *call, struct arena *arena)
{
    const struct readout_config *r = &c->readout;
    size_t T = (size_t)call->n_rows, R = (size_t)r->width;

    a->sum = arena_floats(arena, T * (size_t)c->wavlm.embed);
    a->traits = r->embedding_projection ? arena_floats(arena, T * (size_t)config_traits(c)) : a->sum;
    a->projected = arena_floats(arena, T * R);
    a->mean = arena_floats(arena, T);
    a->rstd = arena_floats(arena, T);
    for (int i = 0; i <= r->n_layers; i++)
        a->x[i] = arena_floats(arena, T * R);
    for (int i = 0; i < r->n_layers; i++) {
        if (i == 0 || call->keep)
            conformer_acts_place(&a->conformer[i], r, call, arena);
        else
            a->conformer[i] = a->conformer[0];
        a->conformer[i].index = i;
    }
    a->activated = arena_floats(arena, T * R);
    a->logits = arena_floats(arena, T * (size_t)r->n_classes);
    a->scores = arena_floats(arena, T * (size_t)r->n_classes);
}

/* traits[t] = sum[t], rep 0[t] */
static void join_traits(struct readout_acts *a, const float *projection, int T, int C)
{
    for (int t = 0; t < T && a->traits != a->sum; t++) {
        float *row = a->traits + (size_t)t * (size_t)(2 * C);
        memcpy(row, a->sum + (size_t)t * (size_t)C, (size_t)C * sizeof(float));
        memcpy(row + C, projection + (size_t)t * (size_t)C, (size_t)C * sizeof(float));
    }
}

static void activation_forward(float *y, const float *x, enum output_activation activation,
                               size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (activation == OUTPUT_RELU)
            y[i] = x[i] > 0.0f ? x[i] : 0.0f;
        else
            y[i] = activation == OUTPUT_TANH ? tanhf(x[i]) : x[i];
    }
}

void readout_forward(struct readout_acts *a, struct readout_state *s,
                     const struct readout_weights *w, const struct model_config *c,
                     const struct model_params *p, float *const *reps, int T,
                     const struct block *blocks, int n_blocks)
{
    const struct readout_config *r = &c->readout;
    const struct kernels *kernels = kernels_get();
    struct attention_shape shape = conformer_attention(r, w->left, w->max_rows);
    int C = c->wavlm.embed, R = r->width;
    size_t n = (size_t)T * (size_t)C;

    memset(a->sum, 0, n * sizeof(float));
    for (int l = 0; l < r->n_reps; l++)
        kernels->add_scaled(a->sum, a->sum, reps[l], p->layer_weights[l], n);
    op_count(T, C, r->n_reps);
    join_traits(a, reps[0], T, C);
    linear_forward(a->projected, a->sum, p->readout_projection.weight, p->readout_projection.bias,
                   T, C, R);
    kernels->layer_norm(a->x[0], a->mean, a->rstd, a->projected, p->readout_norm.weight,
                        p->readout_norm.bias, T, R);
    for (int i = 0; i < r->n_layers; i++)
        a->conformer[i].training = a->training;
    for (int i = 0; i < r->n_layers; i++)
        conformer_forward(a->x[i + 1], &a->conformer[i], &s->conformer[i], &w->conformer[i], r,
                          &p->conformer[i], w->posi, &shape, a->x[i], T, blocks, n_blocks);
    activation_forward(a->activated, a->x[r->n_layers], r->activation, (size_t)T * (size_t)R);
    linear_forward(a->logits, a->activated, p->classifier.weight, p->classifier.bias, T, R,
                   r->n_classes);
    log_softmax_forward(a->scores, a->logits, T, r->n_classes);
}
