// SPDX-License-Identifier: MIT
#include "prune/mels.h"

#include "model/op.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 400, STRIDE = 320, HALF = WINDOW / 2, CLIPS = 32 };

static struct fbank_shape shape_of(int window, int fft, int bins)
{
    return (struct fbank_shape){.window = window, .fft = fft, .bins = bins, .low_hz = 20.0,
                                .high_hz = 7600.0, .kind = FBANK_HANN, .scale = 1.0,
                                .remove_dc = 1, .floor = 1e-7f};
}

size_t mels_scratch_floats(void)
{
    struct fbank_shape whole = shape_of(WINDOW, 1024, MELS_WHOLE);

    return fbank_scratch_floats(&whole);
}

void mels_targets(float *targets, const struct mels *m, const struct clip *clip, float *scratch)
{
    for (int t = 0; t < clip->n_frames; t++) {
        const float *x = clip->samples + (size_t)t * STRIDE;
        float *row = targets + (size_t)t * MELS;
        fbank_frame(row, m->whole, scratch, x);
        fbank_frame(row + MELS_WHOLE, m->half, scratch, x);
        fbank_frame(row + MELS_WHOLE + MELS_HALF, m->half, scratch, x + HALF);
        for (int k = 0; k < MELS; k++)
            row[k] = (row[k] - m->mean[k]) * m->rstd[k];
    }
}

static int measure(struct mels *m, const struct clip_source *source, struct clip *clip,
                   float *targets, float *scratch, struct error *err)
{
    double sum[MELS] = {0.0}, squares[MELS] = {0.0}, n = (double)CLIPS * clip->n_frames;

    for (int i = 0; i < CLIPS; i++) {
        if (source->get(clip, source, (uint64_t)i, err))
            return -1;
        mels_targets(targets, m, clip, scratch);
        for (size_t j = 0; j < (size_t)clip->n_frames * MELS; j++) {
            sum[j % MELS] += targets[j];
            squares[j % MELS] += (double)targets[j] * targets[j];
        }
    }
    for (int k = 0; k < MELS; k++) {
        double mean = sum[k] / n, variance = squares[k] / n - mean * mean;
        m->mean[k] = (float)mean;
        m->rstd[k] = (float)(1.0 / sqrt((variance > 0.0 ? variance : 0.0) + 1e-3));
    }
    return 0;
}

int mels_open(struct mels *m, const struct clip_source *source, struct error *err)
{
    struct fbank_shape whole = shape_of(WINDOW, 1024, MELS_WHOLE);
    struct fbank_shape half = shape_of(HALF, 512, MELS_HALF);
    struct clip clip = {0};
    float *targets, *scratch;
    int status = -1;

    *m = (struct mels){0};
    for (int k = 0; k < MELS; k++)
        m->rstd[k] = 1.0f;
    m->whole = fbank_open(&whole, err);
    m->half = m->whole ? fbank_open(&half, err) : NULL;
    if (!m->half || clip_init(&clip, source->n_samples, err)) {
        mels_close(m);
        return -1;
    }
    targets = malloc((size_t)clip.n_frames * MELS * sizeof(float));
    scratch = aligned_alloc(64, (mels_scratch_floats() * sizeof(float) + 63) / 64 * 64);
    if (targets && scratch)
        status = measure(m, source, &clip, targets, scratch, err);
    else
        fail(err, "out of memory for %d frames", clip.n_frames);
    free(targets);
    free(scratch);
    clip_release(&clip);
    if (status)
        mels_close(m);
    return status;
}

void mels_close(struct mels *m)
{
    fbank_close(m->whole);
    fbank_close(m->half);
    *m = (struct mels){0};
}

void mels_loss(struct objective_sums *sums, float *by_projection, float *dw, float *db,
               float *guess, const float *projection, const float *targets, const float *w,
               const float *b, int T, int C, float weight)
{
    double total = 0.0;

    linear_forward(guess, projection, w, b, T, C, MELS);
    for (size_t i = 0; i < (size_t)T * MELS; i++) {
        float d = guess[i] - targets[i], size = fabsf(d);
        total += size < 1.0f ? 0.5f * d * d : size - 0.5f;
        guess[i] = weight / MELS * (size < 1.0f ? d : d > 0.0f ? 1.0f : -1.0f);
    }
    sums->mels += total / MELS;
    linear_backward(by_projection, 0.0f, dw, db, guess, projection, w, T, C, MELS);
}
