// SPDX-License-Identifier: MIT
/* extractor_backward.c - the extractor's reverse walk. Blocks are walked from the
 * last to the first: the statistics that a block was normalised with are those
 * of its own rows and of all before, so what it says of them is owed by all
 * earlier rows, and is collected on the way. Samples get no slopes, so neither
 * does the waveform's normalisation. */
#include "model/extractor.h"

#include "model/kernels.h"
#include "model/op.h"
#include "model/open_norm.h"

#include <string.h>

/* Where one block's rows lie in each layer: x of layer i at row[i], y at row[i+1]. */
struct place {
    size_t row[MAX_CONVS + 1];
    int seen[MAX_CONVS + 1], n[MAX_CONVS + 1]; // rows counted by earlier blocks; all
};

static int outputs(int inputs, const struct conv_shape *conv)
{
    return inputs < conv->kernel ? 0 : (inputs - conv->kernel) / conv->stride + 1;
}

static void place_block(struct place *p, const struct wavlm_config *w, const struct block *b)
{
    p->seen[0] = b->frame ? EXTRACTOR_TRAIL : 0;
    p->n[0] = p->seen[0] + b->own_samples;
    for (int i = 0; i < w->n_convs; i++) {
        p->seen[i + 1] = outputs(p->seen[i], &w->conv[i]);
        p->n[i + 1] = outputs(p->n[i], &w->conv[i]);
    }
}

size_t extractor_scratch_floats(const struct model_config *c, const struct call_size *call)
{
    const struct wavlm_config *w = &c->wavlm;
    size_t rows = (size_t)call->n_samples + EXTRACTOR_TRAIL, most = 0;

    /* One block at a time, but it may be the whole call. */
    for (int i = 0; i < w->n_convs; i++) {
        rows = rows / (size_t)w->conv[i].stride + 1;
        if (rows * (size_t)w->conv[i].channels > most)
            most = rows * (size_t)w->conv[i].channels;
    }
    return most;
}

/* What later blocks say of the statistics, by channel: a row x that they count
 * owes them constant + slope x. */
struct group_debt {
    float constant[MAX_WIDTH], slope[MAX_WIDTH];
};

enum { TILE = 256 }; // columns at a time

/* d [n,C], slopes by the norm's result, becomes those by its input x, for one
 * tile of columns. The rows are normalised by (x - mean) rstd w; those from
 * `seen` on count in the statistics and pay what this and later blocks say of
 * them; the others were counted, and pay, in their own block. */
static void group_tile_backward(float *d, struct norm_params *slopes, struct group_debt *debt,
                                const struct extractor_acts *a, const struct norm_params *p,
                                const float *x, int block, int seen, int n, int C, int from)
{
    const struct kernels *kernels = kernels_get();
    int width = C - from < TILE ? C - from : TILE;
    size_t at = (size_t)block * (size_t)C + (size_t)from, row = (size_t)C;
    double sum[TILE] = {0}, product[TILE] = {0};
    float zero[TILE] = {0};

    for (int t = 0; t < n; t++)
        kernels->cross_moments(sum, product, d + (size_t)t * row + from,
                               x + (size_t)t * row + from, 1, width);
    for (int c = 0; c < width; c++) {
        double w = p->weight[from + c], rstd = a->group_rstd[at + (size_t)c];
        double mean = a->group_mean[at + (size_t)c], count = a->group_count[block];
        double centred = product[c] - mean * sum[c]; // sum of d (x - mean)
        double by_var = -0.5 * centred * w * rstd * rstd * rstd;
        double by_mean = -sum[c] * w * rstd;

        slopes->weight[from + c] += (float)(centred * rstd);
        slopes->bias[from + c] += (float)sum[c];
        debt->constant[from + c] += (float)((by_mean - 2.0 * by_var * mean) / count);
        debt->slope[from + c] += (float)(2.0 * by_var / count);
    }
    for (int t = 0; t < n; t++) {
        float *out = d + (size_t)t * row + from;
        int pays = t >= seen;
        kernels->affine(out, out, x + (size_t)t * row + from, a->scale + at,
                        pays ? debt->slope + from : zero, pays ? debt->constant + from : zero, 1,
                        width);
    }
}

/* slopes[c] += sum_t d[t,c] gelu(z[t,c]) */
static void mask_backward(float *slopes, const float *d, const float *z, int n, int C)
{
    float act[TILE];

    for (size_t i = 0, end = (size_t)n * (size_t)C; i < end; i++) {
        size_t tile = i % TILE;
        if (tile == 0)
            kernels_get()->gelu(act, z + i, end - i < TILE ? end - i : TILE);
        slopes[i % (size_t)C] += d[i] * act[tile];
    }
}

/* The slopes in d by layer's result (what the next layer takes) become those by
 * its convolution's outputs; z is scratch. */
static void activation_backward(float *d, float *z, struct model_params *slopes,
                                struct masks *masks, struct group_debt *debt,
                                struct extractor_acts *a, const struct wavlm_config *w,
                                const struct model_params *p, int layer, int block,
                                const struct place *at)
{
    const struct kernels *kernels = kernels_get();
    int C = w->conv[layer].channels, n = at->n[layer + 1];
    size_t row = at->row[layer + 1], floats = (size_t)n * (size_t)C;
    const float *y = a->y[layer] + row * (size_t)C;
    const float *mask = training_masks(a->training)->conv[layer];
    const struct norm_params *norm = &p->conv[layer].norm;
    int grouped = w->group_norm && layer == 0;

    if (grouped)
        kernels->scale_shift(z, y, a->scale + (size_t)block * (size_t)C,
                             a->shift + (size_t)block * (size_t)C, n, C);
    else if (!w->group_norm)
        extractor_norm(z, a->mean[layer] + row, a->rstd[layer] + row, a->training, layer, y, norm, n,
                       C);
    else
        memcpy(z, y, floats * sizeof(float));
    if (mask) {
        if (masks)
            mask_backward(masks->conv[layer], d, z, n, C);
        kernels->scale_columns(d, d, mask, n, C);
    }
    kernels->gelu_backward(d, d, z, floats);
    for (int from = 0; grouped && from < C; from += TILE)
        group_tile_backward(d, &slopes->conv[0].norm, debt, a, norm, y, block,
                            at->seen[layer + 1], n, C, from);
    struct norm_params *by = &slopes->conv[layer].norm;
    const float *open = training_open(a->training, layer);
    float *mean = a->mean[layer] + row, *rstd = a->rstd[layer] + row;
    if (!w->group_norm && open)
        open_norm_backward(d, by->weight, by->bias, d, y, mean, rstd, norm->weight, open, n, C);
    else if (!w->group_norm)
        kernels->layer_norm_backward(d, by->weight, by->bias, d, y, mean, rstd, norm->weight, n, C);
}

static void block_backward(struct model_params *d, struct extractor_weights *dw,
                           struct masks *masks, struct group_debt *debt,
                           const float *features_slope, struct extractor_acts *a,
                           float *const scratch[3], const struct extractor_weights *w,
                           const struct model_config *c, const struct model_params *p, int block,
                           const struct place *at)
{
    const struct wavlm_config *shape = &c->wavlm;
    int last = shape->n_convs - 1, C = shape->conv[last].channels;
    float *dy = scratch[0], *dx = scratch[1];

    kernels_get()->scale_columns(dy, features_slope, p->dummy_weight, at->n[last + 1], C);
    for (int i = last; i >= 0; i--) {
        int in = (int)axis_size(c, AXIS_CONV_IN, i);
        float *swap = dy;

        activation_backward(dy, scratch[2], d, masks, debt, a, shape, p, i, block, at);
        if (i > 0)
            memset(dx, 0, (size_t)at->n[i] * (size_t)in * sizeof(float));
        conv_backward(i > 0 ? dx : NULL, dw->conv[i], d->conv[i].bias, dy,
                      a->x[i] + at->row[i] * (size_t)in, w->conv[i], at->n[i + 1], in,
                      shape->conv[i].channels, shape->conv[i].kernel, shape->conv[i].stride);
        dy = dx;
        dx = swap;
    }
}

void extractor_backward(struct model_params *d, struct extractor_weights *dw,
                        struct masks *masks, const float *features_slope,
                        struct extractor_acts *acts, float *const scratch[3],
                        const struct extractor_weights *w, const struct model_config *c,
                        const struct model_params *p, const struct block *blocks, int n_blocks)
{
    const struct wavlm_config *shape = &c->wavlm;
    int channels = (int)axis_size(c, AXIS_FEATURES, 0);
    struct group_debt debt;
    struct place at = {0};

    for (int i = 0; i < n_blocks; i++) { // where the call's rows end
        place_block(&at, shape, &blocks[i]);
        for (int k = 0; k <= shape->n_convs; k++)
            at.row[k] += (size_t)at.n[k];
    }
    memset(&debt, 0, sizeof(debt));
    for (int i = n_blocks - 1; i >= 0; i--) {
        place_block(&at, shape, &blocks[i]);
        for (int k = 0; k <= shape->n_convs; k++)
            at.row[k] -= (size_t)at.n[k];
        block_backward(d, dw, masks, &debt,
                       features_slope + (size_t)blocks[i].row * (size_t)channels, acts, scratch, w,
                       c, p, i, &at);
        if (blocks[i].frame == 0) // what comes before is another stream
            memset(&debt, 0, sizeof(debt));
    }
}

void extractor_weights_backward(struct model_params *d, const struct extractor_weights *dw,
                                const struct model_config *c)
{
    for (int n = 0; n < c->wavlm.n_convs; n++) {
        size_t O = (size_t)c->wavlm.conv[n].channels, K = (size_t)c->wavlm.conv[n].kernel;
        size_t I = (size_t)axis_size(c, AXIS_CONV_IN, n);
        for (size_t o = 0; o < O; o++)
            for (size_t k = 0; k < K; k++)
                for (size_t i = 0; i < I; i++)
                    d->conv[n].weight[(o * I + i) * K + k] += dw->conv[n][(o * K + k) * I + i];
    }
}
