// SPDX-License-Identifier: MIT
/* extractor_fbank.c - filter banks in the place of the convolutional extractor. */
#include "model/extractor.h"

#include "model/kernels.h"

#include <math.h>
#include <string.h>

enum { WINDOW = 400, STRIDE = 320, HALF = WINDOW / 2 };

/* Of natural logarithms of energies: what a silent channel's noise may count
 * for. Speech has about 2.5 squared. */
static const double LEAST_VARIANCE = 0.25;

/* samples are +-1; the floor is 90 dB below them. */
static struct fbank_shape shape_of(int window, int fft, int bins)
{
    return (struct fbank_shape){.window = window, .fft = fft, .bins = bins, .low_hz = 20.0,
                                .high_hz = 7600.0, .preemphasis = 0.97, .kind = FBANK_HANN,
                                .scale = 1.0, .remove_dc = 1, .floor = 1e-7f};
}

int extractor_weights_open(struct extractor_weights *w, const struct model_config *c,
                           struct error *err)
{
    struct fbank_shape whole = shape_of(WINDOW, 512, c->wavlm.fbank_bins);
    struct fbank_shape half = shape_of(HALF, 256, c->wavlm.fbank_half_bins);

    if (!c->wavlm.fbank)
        return 0;
    w->whole = fbank_open(&whole, err);
    if (w->whole && c->wavlm.fbank_half_bins)
        w->half = fbank_open(&half, err);
    return w->whole && (w->half || !c->wavlm.fbank_half_bins) ? 0 : -1;
}

void extractor_weights_close(struct extractor_weights *w)
{
    fbank_close(w->whole);
    fbank_close(w->half);
    w->whole = w->half = NULL;
}

void fbank_acts_place(struct extractor_acts *a, const struct model_config *c,
                      struct arena *arena)
{
    struct fbank_shape whole = shape_of(WINDOW, 512, c->wavlm.fbank_bins);
    size_t features = (size_t)axis_size(c, AXIS_FEATURES, 0);

    a->bank = arena_floats(arena, WINDOW); // of a frame that begins in the trail: its samples
    a->scratch = arena_floats(arena, fbank_scratch_floats(&whole));
    a->scale = arena_floats(arena, features);
    a->shift = arena_floats(arena, features);
}

/* The samples of a frame that begins `from` samples into trail and new ones. */
static const float *frame_samples(float *joined, const struct extractor_state *s,
                                  const float *samples, int from)
{
    int kept = s->n_trail - from;

    if (kept <= 0)
        return samples - kept;
    memcpy(joined, s->trail + from, (size_t)kept * sizeof(float));
    memcpy(joined + kept, samples, (size_t)(WINDOW - kept) * sizeof(float));
    return joined;
}

static void keep_trail(struct extractor_state *s, const float *samples, const struct block *b)
{
    int n = b->own_samples;

    if (n >= EXTRACTOR_TRAIL) {
        memcpy(s->trail, samples + n - EXTRACTOR_TRAIL, EXTRACTOR_TRAIL * sizeof(float));
        s->n_trail = EXTRACTOR_TRAIL;
        return;
    }
    int all = s->n_trail + n, gone = all > EXTRACTOR_TRAIL ? all - EXTRACTOR_TRAIL : 0;
    memmove(s->trail, s->trail + gone, (size_t)(s->n_trail - gone) * sizeof(float));
    memcpy(s->trail + s->n_trail - gone, samples, (size_t)n * sizeof(float));
    s->n_trail = all - gone;
}

void fbank_block_forward(float *features, struct extractor_acts *a, struct extractor_state *s,
                         const struct extractor_weights *w, const struct model_config *c,
                         const float *samples, const struct block *b)
{
    int width = (int)axis_size(c, AXIS_FEATURES, 0), bins = c->wavlm.fbank_bins;
    int half = c->wavlm.fbank_half_bins, rows = block_rows(b);

    if (b->frame == 0)
        extractor_state_reset(s, c);
    for (int t = 0; t < rows; t++) {
        float *row = features + (size_t)t * (size_t)width;
        const float *x = frame_samples(a->bank, s, samples, t * STRIDE);
        fbank_frame(row, w->whole, a->scratch, x);
        if (half) {
            fbank_frame(row + bins, w->half, a->scratch, x);
            fbank_frame(row + bins + half, w->half, a->scratch, x + HALF);
        }
    }
    keep_trail(s, samples, b);
    statistics_add(&s->group, features, b->own);
    for (int k = 0; k < width; k++) {
        double variance = s->group.m2[k] / s->group.count;
        double rstd = 1.0 / sqrt(variance + LEAST_VARIANCE);
        a->scale[k] = (float)rstd;
        a->shift[k] = (float)(-s->group.mean[k] * rstd);
    }
    kernels_get()->scale_shift(features, features, a->scale, a->shift, rows, width);
}
