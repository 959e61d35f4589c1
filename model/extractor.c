// SPDX-License-Identifier: MIT
#include "model/extractor.h"

#include "model/kernels.h"
#include "model/op.h"
#include "model/open_norm.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const double EPSILON = 1e-5; // of all norms, upstream

void extractor_weights_place(struct extractor_weights *w, const struct model_config *c,
                             struct arena *arena)
{
    for (int i = 0; i < c->wavlm.n_convs; i++)
        w->conv[i] = arena_floats(arena, (size_t)c->wavlm.conv[i].channels *
                                             (size_t)axis_size(c, AXIS_CONV_IN, i) *
                                             (size_t)c->wavlm.conv[i].kernel);
}

void extractor_weights_fill(struct extractor_weights *w, const struct model_config *c,
                            const struct model_params *p)
{
    for (int n = 0; n < c->wavlm.n_convs; n++) {
        size_t O = (size_t)c->wavlm.conv[n].channels, K = (size_t)c->wavlm.conv[n].kernel;
        size_t I = (size_t)axis_size(c, AXIS_CONV_IN, n);
        for (size_t o = 0; o < O; o++)
            for (size_t k = 0; k < K; k++)
                for (size_t i = 0; i < I; i++)
                    w->conv[n][(o * K + k) * I + i] = p->conv[n].weight[(o * I + i) * K + k];
    }
}

void extractor_state_place(struct extractor_state *s, const struct model_config *c,
                           double horizon_seconds, struct arena *arena)
{
    const struct wavlm_config *w = &c->wavlm;

    s->trail = arena_floats(arena, EXTRACTOR_TRAIL);
    if (w->normalize_waveform)
        statistics_place(&s->wave, 1, horizon_seconds * 16000.0, arena);
    if (w->fbank)
        statistics_place(&s->group, (int)axis_size(c, AXIS_FEATURES, 0), horizon_seconds * 50.0,
                         arena);
    if (w->group_norm)
        statistics_place(&s->group, w->conv[0].channels,
                         horizon_seconds * 16000.0 / w->conv[0].stride, arena);
}

void extractor_state_reset(struct extractor_state *s, const struct model_config *c)
{
    s->n_trail = 0;
    if (c->wavlm.normalize_waveform)
        statistics_reset(&s->wave);
    if (c->wavlm.group_norm || c->wavlm.fbank)
        statistics_reset(&s->group);
}

/* Rows that layer i's outputs have at most in a call, from those of its inputs. */
static size_t outputs_at_most(size_t inputs, const struct conv_shape *conv, int n_blocks)
{
    return inputs / (size_t)conv->stride + (size_t)n_blocks;
}

void extractor_acts_place(struct extractor_acts *a, const struct model_config *c,
                          const struct call_size *call, struct arena *arena)
{
    const struct wavlm_config *w = &c->wavlm;
    int keep = call->keep != KEEP_NOTHING, channels = w->conv[0].channels;
    size_t blocks = (size_t)call->n_blocks, shared = 0;
    size_t in = (size_t)call->n_samples + blocks * EXTRACTOR_TRAIL;

    a->keep = keep;
    if (w->fbank) {
        fbank_acts_place(a, c, arena);
        return;
    }
    for (int i = 0; i < w->n_convs; i++) {
        size_t out = outputs_at_most(in, &w->conv[i], call->n_blocks);
        size_t floats = out * (size_t)w->conv[i].channels;

        a->x[i] = arena_floats(arena, in * (size_t)axis_size(c, AXIS_CONV_IN, i));
        a->mean[i] = arena_floats(arena, out);
        a->rstd[i] = arena_floats(arena, out);
        if (keep)
            a->y[i] = arena_floats(arena, floats);
        if (floats > shared)
            shared = floats;
        in = out;
    }
    if (!keep) {
        float *y = arena_floats(arena, shared);
        for (int i = 0; i < w->n_convs; i++)
            a->y[i] = y;
    }
    a->scale = arena_floats(arena, (keep ? blocks : 1) * (size_t)channels);
    a->shift = arena_floats(arena, (keep ? blocks : 1) * (size_t)channels);
    if (keep && w->group_norm) {
        a->group_mean = arena_doubles(arena, blocks * (size_t)channels);
        a->group_rstd = arena_doubles(arena, blocks * (size_t)channels);
        a->group_count = arena_doubles(arena, blocks);
    }
}

/* What a block's samples make in each layer. */
struct rows {
    int seen; // counted by earlier blocks
    int own;  // from the trail and the block's own samples
    int all;  // and from its look-ahead
};

static int conv_outputs(int inputs, const struct conv_shape *conv)
{
    return inputs < conv->kernel ? 0 : (inputs - conv->kernel) / conv->stride + 1;
}

static struct rows conv_rows(struct rows in, const struct conv_shape *conv)
{
    return (struct rows){conv_outputs(in.seen, conv), conv_outputs(in.own, conv),
                         conv_outputs(in.all, conv)};
}

/* x = (x - mean) / sqrt(var + eps) with the statistics of all own samples so far. */
static void normalize_waveform(float *x, struct statistics *s, struct rows n)
{
    statistics_add(s, x + n.seen, n.own - n.seen);
    double scale = 1.0 / sqrt(s->m2[0] / s->count + EPSILON);
    for (int i = 0; i < n.all; i++)
        x[i] = (float)((x[i] - s->mean[0]) * scale);
}

static void group_norm_forward(float *y, struct extractor_acts *a, struct statistics *s,
                               const float *x, const struct norm_params *p, int block,
                               struct rows n)
{
    size_t at = a->keep ? (size_t)block * (size_t)s->width : 0;
    float *scale = a->scale + at, *shift = a->shift + at;

    statistics_add(s, x + (size_t)n.seen * (size_t)s->width, n.own - n.seen);
    for (int c = 0; c < s->width; c++) {
        double rstd = 1.0 / sqrt(s->m2[c] / s->count + EPSILON);
        scale[c] = (float)(rstd * p->weight[c]);
        shift[c] = (float)(p->bias[c] - s->mean[c] * rstd * p->weight[c]);
        if (a->keep) {
            a->group_mean[at + (size_t)c] = s->mean[c];
            a->group_rstd[at + (size_t)c] = rstd;
        }
    }
    if (a->keep)
        a->group_count[block] = s->count;
    kernels_get()->scale_shift(y, x, scale, shift, n.all, s->width);
}

void extractor_norm(float *dst, float *mean, float *rstd, const struct training *t, int layer,
                    const float *y, const struct norm_params *p, int T, int C)
{
    const float *open = training_open(t, layer);

    if (open)
        open_norm_forward(dst, mean, rstd, y, p->weight, p->bias, open, T, C);
    else
        kernels_get()->layer_norm(dst, mean, rstd, y, p->weight, p->bias, T, C);
}

/* Norm and GELU of one layer's outputs, into the next layer's inputs. */
static void activate(float *dst, struct extractor_acts *a, struct extractor_state *s,
                     const struct model_config *c, const struct model_params *p, int layer,
                     const float *y, size_t row, int block, struct rows n)
{
    const struct kernels *kernels = kernels_get();
    const float *mask = training_masks(a->training)->conv[layer];
    int channels = c->wavlm.conv[layer].channels;
    const struct norm_params *norm = &p->conv[layer].norm;
    size_t floats = (size_t)n.all * (size_t)channels;

    if (c->wavlm.group_norm && layer == 0)
        group_norm_forward(dst, a, &s->group, y, norm, block, n);
    if (!c->wavlm.group_norm)
        extractor_norm(dst, a->mean[layer] + row, a->rstd[layer] + row, a->training, layer, y, norm,
                       n.all, channels);
    kernels->gelu(dst, c->wavlm.group_norm && layer > 0 ? y : dst, floats);
    if (mask)
        kernels->scale_columns(dst, dst, mask, n.all, channels);
}

/* The block's samples behind the trail; the trail moves on. */
static struct rows join_trail(float *x, struct extractor_state *s, const float *samples,
                              const struct block *b)
{
    struct rows n = {s->n_trail, s->n_trail + b->own_samples,
                     s->n_trail + b->own_samples + b->right_samples};

    memcpy(x, s->trail, (size_t)n.seen * sizeof(float));
    memcpy(x + n.seen, samples, (size_t)(n.all - n.seen) * sizeof(float));
    s->n_trail = n.own < EXTRACTOR_TRAIL ? n.own : EXTRACTOR_TRAIL;
    memcpy(s->trail, x + n.own - s->n_trail, (size_t)s->n_trail * sizeof(float));
    return n;
}

/* at: rows of each layer's inputs and outputs that earlier blocks of the call took. */
static void block_forward(float *features, struct extractor_acts *a, struct extractor_state *s,
                          const struct extractor_weights *w, const struct model_config *c,
                          const struct model_params *p, const float *samples,
                          const struct block *b, int block, size_t *at)
{
    const struct wavlm_config *shape = &c->wavlm;
    float *x = a->x[0] + at[0];

    if (b->frame == 0)
        extractor_state_reset(s, c);
    struct rows in = join_trail(x, s, samples, b);

    if (shape->normalize_waveform)
        normalize_waveform(x, &s->wave, in);
    at[0] += (size_t)in.all;
    for (int i = 0; i < shape->n_convs; i++) {
        const struct conv_shape *conv = &shape->conv[i];
        struct rows out = conv_rows(in, conv);
        size_t row = at[i + 1], floats = row * (size_t)conv->channels;
        float *y = a->y[i] + (a->keep ? floats : 0);
        float *next = i + 1 < shape->n_convs ? a->x[i + 1] + floats : features;

        conv_forward(y, x, w->conv[i], p->conv[i].bias, out.all,
                     (int)axis_size(c, AXIS_CONV_IN, i), conv->channels, conv->kernel,
                     conv->stride);
        activate(next, a, s, c, p, i, y, row, block, out);
        at[i + 1] += (size_t)out.all;
        x = next;
        in = out;
    }
    assert(in.all == block_rows(b));
}

void extractor_forward(float *features, struct extractor_acts *a, struct extractor_state *s,
                       const struct extractor_weights *w, const struct model_config *c,
                       const struct model_params *p, const float *samples,
                       const struct block *blocks, int n_blocks)
{
    int channels = (int)axis_size(c, AXIS_FEATURES, 0);
    size_t at[MAX_CONVS + 1] = {0};
    int rows = 0;

    for (int i = 0; i < n_blocks; i++) {
        float *here = features + (size_t)blocks[i].row * (size_t)channels;
        if (c->wavlm.fbank)
            fbank_block_forward(here, a, s, w, c, samples, &blocks[i]);
        else
            block_forward(here, a, s, w, c, p, samples, &blocks[i], i, at);
        samples += blocks[i].own_samples;
        rows += block_rows(&blocks[i]);
    }
    for (int t = 0; t < rows; t++) {
        for (int k = 0; k < channels; k++)
            features[(size_t)t * (size_t)channels + (size_t)k] *= p->dummy_weight[k];
    }
}
