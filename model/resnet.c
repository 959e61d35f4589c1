// SPDX-License-Identifier: MIT
#include "model/resnet.h"

#include "model/op.h"
#include "model/params.h"
#include "model/resnet_params.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Samples of a frame of the filter banks, and from one to the next. */
enum { WINDOW = RESNET_MIN_SAMPLES, STEP = 160 };

/* --- opening ---------------------------------------------------------- */

/* As torchaudio's kaldi.fbank, with what WeSpeaker asks of it; the floor is
 * float32's epsilon. */
static struct fbank_shape bank_shape(int bands)
{
    return (struct fbank_shape){.window = WINDOW, .fft = 512, .bins = bands, .low_hz = 20.0,
                                .high_hz = 8000.0, .preemphasis = 0.97, .kind = FBANK_HAMMING,
                                .scale = 32768.0, .remove_dc = 1, .floor = 0x1p-23f};
}

static void place_block(struct resnet_block *b, int in, int out, struct arena *arena)
{
    int stride = in == out ? 1 : 2;

    conv2d_place(&b->first, &(struct conv2d_shape){in, out, 3, stride}, arena);
    conv2d_place(&b->second, &(struct conv2d_shape){out, out, 3, 1}, arena);
    if (in != out)
        conv2d_place(&b->shortcut, &(struct conv2d_shape){in, out, 1, stride}, arena);
}

static void resnet_place(struct resnet *r)
{
    int width = r->shape.width, in = width, n = 0;
    size_t stats = 2 * (size_t)width * (size_t)r->shape.bands;

    conv2d_place(&r->stem, &(struct conv2d_shape){1, width, 3, 1}, &r->arena);
    for (int stage = 0; stage < RESNET_STAGES; stage++) {
        for (int b = 0; b < resnet_blocks[stage]; b++, in = width << stage)
            place_block(&r->block[n++], in, width << stage, &r->arena);
    }
    r->linear = arena_floats(&r->arena, (size_t)r->shape.embedding * stats);
    r->bias = arena_floats(&r->arena, (size_t)r->shape.embedding);
}

/* The floats of a tensor that was checked; finite, or -1. */
static int read_floats(float *x, const struct checkpoint *c, const char *module, const char *name,
                       struct error *err)
{
    char full[128];

    snprintf(full, sizeof(full), "resnet.%s%s", module, name);
    const struct tensor *t = resnet_find(c, full);
    tensor_to_floats(x, t);
    return params_check_finite(t->name, x, tensor_count(t), err);
}

/* What is read of one convolution and the norm behind it; the widest of all. */
struct loader {
    float *kernel, *norm[4]; // weight, bias, running_mean, running_var
    double *scale, *shift;
    struct arena arena;
};

static void loader_place(struct loader *l, const struct resnet_shape *shape)
{
    size_t widest = (size_t)shape->width << (RESNET_STAGES - 1);

    l->kernel = arena_floats(&l->arena, 9 * widest * widest);
    for (int i = 0; i < 4; i++)
        l->norm[i] = arena_floats(&l->arena, widest);
    l->scale = arena_doubles(&l->arena, widest);
    l->shift = arena_doubles(&l->arena, widest);
}

static int load_conv(struct conv2d *conv, struct loader *l, const struct checkpoint *c,
                     const char *module, const char *kernel, const char *norm, struct error *err)
{
    static const char *const parts[4] = {".weight", ".bias", ".running_mean", ".running_var"};
    char name[64];

    snprintf(name, sizeof(name), "%s.weight", kernel);
    if (read_floats(l->kernel, c, module, name, err))
        return -1;
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "%s%s", norm, parts[i]);
        if (read_floats(l->norm[i], c, module, name, err))
            return -1;
    }
    for (int o = 0; o < conv->shape.out; o++) {
        double variance = (double)l->norm[3][o];
        if (variance < 0.0)
            return fail(err, "tensor resnet.%s%s.running_var: element %d is negative; the file is "
                        "damaged", module, norm, o);
        l->scale[o] = (double)l->norm[0][o] / sqrt(variance + 1e-5);
        l->shift[o] = (double)l->norm[1][o] - l->scale[o] * (double)l->norm[2][o];
        if (!isfinite((float)l->shift[o]))
            return fail(err, "tensor resnet.%s%s.weight: element %d is beyond all measure; the "
                        "file is damaged", module, norm, o);
    }
    conv2d_fill(conv, l->kernel, l->scale, l->shift);
    for (size_t i = 0; i < conv2d_weights(&conv->shape); i++) {
        if (!isfinite(conv->weight[i]))
            return fail(err, "tensor resnet.%s%s.weight is beyond all measure; the file is damaged",
                        module, kernel);
    }
    return 0;
}

static int load_block(struct resnet_block *b, struct loader *l, const struct checkpoint *c,
                      const char *module, struct error *err)
{
    if (load_conv(&b->first, l, c, module, "conv1", "bn1", err) ||
        load_conv(&b->second, l, c, module, "conv2", "bn2", err))
        return -1;
    return b->shortcut.shape.out ?
        load_conv(&b->shortcut, l, c, module, "shortcut.0", "shortcut.1", err) : 0;
}

static int resnet_load(struct resnet *r, struct loader *l, const struct checkpoint *c,
                       struct error *err)
{
    struct resnet_block *block = r->block;

    if (load_conv(&r->stem, l, c, "", "conv1", "bn1", err))
        return -1;
    for (int stage = 0; stage < RESNET_STAGES; stage++) {
        for (int b = 0; b < resnet_blocks[stage]; b++) {
            char module[32];
            snprintf(module, sizeof(module), "layer%d.%d.", stage + 1, b);
            if (load_block(block++, l, c, module, err))
                return -1;
        }
    }
    return read_floats(r->linear, c, "", "seg_1.weight", err) ||
           read_floats(r->bias, c, "", "seg_1.bias", err) ? -1 : 0;
}

static int open_with(struct resnet *r, struct loader *l, const struct checkpoint *c,
                     struct error *err)
{
    struct fbank_shape bank;

    if (resnet_params_check(&r->shape, c, err))
        return -1;
    bank = bank_shape(r->shape.bands);
    r->fbank = fbank_open(&bank, err);
    if (!r->fbank)
        return -1;
    resnet_place(r);
    loader_place(l, &r->shape);
    if (arena_commit(&r->arena, err) || arena_commit(&l->arena, err))
        return -1;
    resnet_place(r);
    loader_place(l, &r->shape);
    return resnet_load(r, l, c, err);
}

int resnet_open(struct resnet *r, const struct checkpoint *c, struct error *err)
{
    struct loader l = {0};

    *r = (struct resnet){0};
    int status = open_with(r, &l, c, err);
    arena_release(&l.arena);
    if (status)
        resnet_close(r);
    return status;
}

void resnet_close(struct resnet *r)
{
    fbank_close(r->fbank);
    arena_release(&r->arena);
    *r = (struct resnet){0};
}

/* --- room ------------------------------------------------------------- */

int resnet_frames(size_t n_samples)
{
    return n_samples < WINDOW ? 0 : (int)((n_samples - WINDOW) / STEP) + 1;
}

static void need_scratch(struct resnet_acts *a, const struct resnet *r)
{
    const struct resnet_block *block = r->block;
    int H = r->shape.bands;

    conv2d_scratch_need(&a->scratch, &r->stem.shape, H);
    for (int i = 0; i < RESNET_BLOCKS; i++, block++) {
        conv2d_scratch_need(&a->scratch, &block->first.shape, H);
        if (block->shortcut.shape.out)
            conv2d_scratch_need(&a->scratch, &block->shortcut.shape, H);
        H /= block->first.shape.stride;
        conv2d_scratch_need(&a->scratch, &block->second.shape, H);
    }
}

static void acts_place(struct resnet_acts *a, const struct resnet *r)
{
    struct fbank_shape bank = bank_shape(r->shape.bands);
    size_t T = (size_t)resnet_frames(a->max_samples), bands = (size_t)r->shape.bands;
    size_t F = (size_t)r->shape.width * bands;

    /* A later map has half the frames, half the bands and twice the channels. */
    for (int i = 0; i < 3; i++)
        a->areas[i] = arena_floats(&a->arena, (T + 1) * F);
    a->features = arena_floats(&a->arena, T * bands);
    a->band_mean = arena_doubles(&a->arena, bands);
    a->bank_scratch = arena_floats(&a->arena, fbank_scratch_floats(&bank));
    a->weights = arena_floats(&a->arena, T);
    a->mean = arena_doubles(&a->arena, F);
    a->square = arena_doubles(&a->arena, F);
    a->stats = arena_floats(&a->arena, 2 * F);
    conv2d_scratch_place(&a->scratch, &a->arena);
}

int resnet_acts_open(struct resnet_acts *a, const struct resnet *r, size_t max_samples,
                     struct error *err)
{
    *a = (struct resnet_acts){.max_samples = max_samples};
    if (max_samples < WINDOW || max_samples > (size_t)1 << 28)
        return fail(err, "speaker vectors of %zu samples: should be %d or more, and below five "
                    "hours", max_samples, WINDOW);
    need_scratch(a, r);
    acts_place(a, r);
    if (arena_commit(&a->arena, err))
        return -1;
    acts_place(a, r);
    return 0;
}

void resnet_acts_close(struct resnet_acts *a)
{
    arena_release(&a->arena);
    *a = (struct resnet_acts){0};
}

/* --- computing -------------------------------------------------------- */

void resnet_features(struct resnet_acts *a, const struct resnet *r, const float *samples,
                     size_t n_samples)
{
    int T = resnet_frames(n_samples), bands = r->shape.bands;

    assert(n_samples >= WINDOW && n_samples <= a->max_samples);
    memset(a->band_mean, 0, (size_t)bands * sizeof(double));
    for (int t = 0; t < T; t++) {
        float *row = a->features + (size_t)t * (size_t)bands;
        fbank_frame(row, r->fbank, a->bank_scratch, samples + (size_t)t * STEP);
        for (int b = 0; b < bands; b++)
            a->band_mean[b] += (double)row[b];
    }
    for (int t = 0; t < T; t++) {
        float *row = a->features + (size_t)t * (size_t)bands;
        for (int b = 0; b < bands; b++)
            row[b] = (float)((double)row[b] - a->band_mean[b] / T);
    }
}

void resnet_stem(struct resnet_acts *a, const struct resnet *r, int T)
{
    struct map features = {a->features, T, r->shape.bands, 1};

    a->map.data = a->areas[0];
    conv2d_forward(&a->map, &a->scratch, &r->stem, &features, CONV2D_RELU);
}

/* x becomes relu(second(relu(first(x))) + shortcut(x)). */
static void block_forward(struct map *x, struct resnet_acts *a, const struct resnet_block *b)
{
    int at = x->data == a->areas[0] ? 0 : x->data == a->areas[1] ? 1 : 2;
    struct map inner = {.data = a->areas[(at + 1) % 3]};
    struct map sum = *x;

    conv2d_forward(&inner, &a->scratch, &b->first, x, CONV2D_RELU);
    if (b->shortcut.shape.out) {
        sum.data = a->areas[(at + 2) % 3];
        conv2d_forward(&sum, &a->scratch, &b->shortcut, x, 0);
    }
    conv2d_forward(&sum, &a->scratch, &b->second, &inner, CONV2D_ADD | CONV2D_RELU);
    *x = sum;
}

void resnet_stage(struct resnet_acts *a, const struct resnet *r, int stage)
{
    const struct resnet_block *block = r->block;

    for (int i = 0; i < stage; i++)
        block += resnet_blocks[i];
    for (int b = 0; b < resnet_blocks[stage]; b++)
        block_forward(&a->map, a, &block[b]);
}

int resnet_nearest(int i, int n_in, int n_out)
{
    float at = floorf((float)i * ((float)n_in / (float)n_out));

    return at < (float)(n_in - 1) ? (int)at : n_in - 1;
}

/* mean[f] = sum_t w x / v and square[f] = sum_t w (x - mean)^2, in the map's order. */
static void weigh(struct resnet_acts *a, const float *w, double v)
{
    size_t F = (size_t)a->map.H * (size_t)a->map.C;

    memset(a->mean, 0, F * sizeof(double));
    memset(a->square, 0, F * sizeof(double));
    for (int t = 0; t < a->map.T; t++) {
        const float *x = a->map.data + (size_t)t * F;
        double weight = (double)w[t];
        for (size_t f = 0; f < F && weight != 0.0; f++)
            a->mean[f] += weight * (double)x[f];
    }
    for (size_t f = 0; f < F; f++)
        a->mean[f] /= v;
    for (int t = 0; t < a->map.T; t++) {
        const float *x = a->map.data + (size_t)t * F;
        double weight = (double)w[t];
        for (size_t f = 0; f < F && weight != 0.0; f++) {
            double d = (double)x[f] - a->mean[f];
            a->square[f] += weight * d * d;
        }
    }
}

/* Upstream's formulas: with weights a guard against none at all, without them
 * torch's mean and unbiased deviation. */
static void statistics(struct resnet_acts *a, int weighted)
{
    int H = a->map.H, C = a->map.C, F = H * C;
    double v1 = 0.0, v2 = 0.0, guard = weighted ? 1e-8 : 0.0;

    for (int t = 0; t < a->map.T; t++) {
        v1 += (double)a->weights[t];
        v2 += (double)a->weights[t] * (double)a->weights[t];
    }
    v1 += guard;
    weigh(a, a->weights, v1);
    for (int h = 0; h < H; h++) {
        for (int c = 0; c < C; c++) {
            a->stats[c * H + h] = (float)a->mean[h * C + c];
            a->stats[F + c * H + h] = (float)sqrt(a->square[h * C + c] / (v1 - v2 / v1 + guard));
        }
    }
}

void resnet_pool(float *vector, struct resnet_acts *a, const struct resnet *r,
                 const float *weights, int n_frames)
{
    int T = a->map.T;

    for (int t = 0; t < T; t++)
        a->weights[t] = weights ? weights[resnet_nearest(t, n_frames, T)] : 1.0f;
    statistics(a, weights != NULL);
    linear_forward(vector, a->stats, r->linear, r->bias, 1, 2 * a->map.H * a->map.C,
                   r->shape.embedding);
}

void resnet_vectors(float *vectors, struct resnet_acts *a, const struct resnet *r,
                    const float *samples, size_t n_samples, const float *weights, int n_speakers,
                    int n_frames)
{
    assert(weights ? n_frames >= 1 : n_speakers == 1);
    resnet_features(a, r, samples, n_samples);
    resnet_stem(a, r, resnet_frames(n_samples));
    for (int stage = 0; stage < RESNET_STAGES; stage++)
        resnet_stage(a, r, stage);
    for (int s = 0; s < n_speakers; s++)
        resnet_pool(vectors + (size_t)s * (size_t)r->shape.embedding, a, r,
                    weights ? weights + (size_t)s * (size_t)n_frames : NULL, n_frames);
}
