// SPDX-License-Identifier: MIT
#include "model/fbank.h"

#include "model/transform.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct fbank {
    struct fbank_shape shape;
    struct transform transform;
    float *window;        // [window]
    float *mel;           // [bins, fft / 2]
    int *first, *count;   // [bins] of the weights that are not zero
};

static double mel_of(double hz)
{
    return 1127.0 * log(1.0 + hz / 700.0);
}

static void fill_mel(struct fbank *f)
{
    const struct fbank_shape *s = &f->shape;
    int half = s->fft / 2;
    double low = mel_of(s->low_hz), step = (mel_of(s->high_hz) - low) / (s->bins + 1);

    for (int b = 0; b < s->bins; b++) {
        double left = low + b * step, centre = left + step, right = centre + step;
        for (int k = 0; k < half; k++) {
            double mel = mel_of(16000.0 / s->fft * k);
            double up = (mel - left) / (centre - left), down = (right - mel) / (right - centre);
            double w = fmax(0.0, fmin(up, down));
            f->mel[(size_t)b * (size_t)half + (size_t)k] = (float)w;
            if (w > 0.0 && f->count[b] == 0)
                f->first[b] = k;
            if (w > 0.0)
                f->count[b] = k + 1 - f->first[b];
        }
    }
}

static void fill_window(struct fbank *f)
{
    int n = f->shape.window;

    for (int i = 0; i < n; i++) {
        double turn = 2.0 * acos(-1.0) * i / (n - 1);
        f->window[i] = (float)(f->shape.kind == FBANK_HAMMING ? 0.54 - 0.46 * cos(turn)
                                                              : 0.5 - 0.5 * cos(turn));
    }
}

static size_t padded(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

size_t fbank_scratch_floats(const struct fbank_shape *shape)
{
    return padded((size_t)shape->fft) + padded((size_t)shape->fft + 2);
}

struct fbank *fbank_open(const struct fbank_shape *shape, struct error *err)
{
    struct fbank *f;

    if (shape->window < 2 || shape->fft < shape->window || shape->fft > 1 << 16 ||
        (shape->fft & (shape->fft - 1)) || shape->bins < 1 || shape->bins > 1024 ||
        !(shape->low_hz >= 0.0 && shape->low_hz < shape->high_hz && shape->high_hz <= 8000.0)) {
        fail(err, "filter banks: %d bins of %d samples by an FFT of %d make no sense",
             shape->bins, shape->window, shape->fft);
        return NULL;
    }
    f = calloc(1, sizeof(*f));
    if (f) {
        size_t bins = (size_t)shape->bins;
        f->shape = *shape;
        f->window = calloc((size_t)shape->window, sizeof(float));
        f->mel = calloc(bins * (size_t)shape->fft / 2, sizeof(float));
        f->first = calloc(bins, sizeof(int));
        f->count = calloc(bins, sizeof(int));
    }
    if (!f || !f->window || !f->mel || !f->first || !f->count ||
        transform_open(&f->transform, shape->fft, err)) {
        fbank_close(f);
        fail(err, "out of memory");
        return NULL;
    }
    fill_window(f);
    fill_mel(f);
    return f;
}

void fbank_close(struct fbank *f)
{
    if (!f)
        return;
    transform_close(&f->transform);
    free(f->window);
    free(f->mel);
    free(f->first);
    free(f->count);
    free(f);
}

void fbank_frame(float *bins, const struct fbank *f, float *scratch, const float *samples)
{
    const struct fbank_shape *s = &f->shape;
    float *x = scratch, *spectrum = scratch + padded((size_t)s->fft), scale = (float)s->scale;
    int n = s->window, half = s->fft / 2;
    double sum = 0.0;

    for (int i = 0; i < n; i++) {
        x[i] = samples[i] * scale;
        sum += x[i];
    }
    float mean = s->remove_dc ? (float)(sum / n) : 0.0f, before = x[0] - mean;
    for (int i = 0; i < n; i++) {
        float here = x[i] - mean;
        x[i] = (here - (float)s->preemphasis * before) * f->window[i];
        before = here;
    }
    memset(x + n, 0, (size_t)(s->fft - n) * sizeof(float));
    transform_forward(&f->transform, spectrum, x);
    for (int k = 0; k < half; k++)
        x[k] = spectrum[2 * k] * spectrum[2 * k] + spectrum[2 * k + 1] * spectrum[2 * k + 1];
    for (int b = 0; b < s->bins; b++) {
        const float *w = f->mel + (size_t)b * (size_t)half;
        float energy = 0.0f;
        for (int k = f->first[b]; k < f->first[b] + f->count[b]; k++)
            energy += w[k] * x[k];
        bins[b] = logf(energy > s->floor ? energy : s->floor);
    }
}

void fbank_tables(const struct fbank *f, float *mel, float *window)
{
    memcpy(mel, f->mel, (size_t)f->shape.bins * (size_t)(f->shape.fft / 2) * sizeof(float));
    memcpy(window, f->window, (size_t)f->shape.window * sizeof(float));
}
