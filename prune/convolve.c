// SPDX-License-Identifier: MIT
#include "prune/convolve.h"

#include <fftw3.h>
#include <string.h>

static const int sizes[CONVOLVE_SIZES] = {4096, 32768};
enum { LARGEST = 32768 };

int convolve_space_open(struct convolve_space *s, struct error *err)
{
    s->block = fftwf_malloc(LARGEST * sizeof(float));
    s->spectrum = fftwf_malloc((LARGEST + 2) * sizeof(float));
    s->response = fftwf_malloc((LARGEST + 2) * sizeof(float));
    if (s->block && s->spectrum && s->response)
        return 0;
    convolve_space_close(s);
    return fail(err, "out of memory for a convolution");
}

void convolve_space_close(struct convolve_space *s)
{
    fftwf_free(s->block);
    fftwf_free(s->spectrum);
    fftwf_free(s->response);
    *s = (struct convolve_space){0};
}

int convolver_open(struct convolver *c, struct error *err)
{
    *c = (struct convolver){0};
    for (int i = 0; i < CONVOLVE_SIZES; i++) {
        if (transform_open(&c->transforms[i], sizes[i], err)) {
            convolver_close(c);
            return -1;
        }
    }
    return 0;
}

void convolver_close(struct convolver *c)
{
    for (int i = 0; i < CONVOLVE_SIZES; i++)
        transform_close(&c->transforms[i]);
}

/* spectrum [n/2 + 1] *= response, complex. */
static void multiply(float *restrict spectrum, const float *restrict response, int n)
{
    for (int i = 0; i < n / 2 + 1; i++) {
        float re = spectrum[2 * i], im = spectrum[2 * i + 1];
        float a = response[2 * i], b = response[2 * i + 1];
        spectrum[2 * i] = re * a - im * b;
        spectrum[2 * i + 1] = re * b + im * a;
    }
}

/* A response this short is cheapest as a plain sum. */
static int is_gain(const struct response *r)
{
    return r->n == 1 && r->delay == 0;
}

void convolve_add(const struct convolver *c, struct convolve_space *s, float *mix, int64_t n,
                  const struct response *r, float gain, convolve_pull *pull, void *context)
{
    const struct transform *t = &c->transforms[r->n <= sizes[0] / 4 ? 0 : 1];
    int fft = t->n, step = fft - r->n + 1;
    float factor = is_gain(r) ? gain * r->taps[0] : gain / (float)fft;

    if (!is_gain(r)) {
        memcpy(s->block, r->taps, (size_t)r->n * sizeof(float));
        memset(s->block + r->n, 0, (size_t)(fft - r->n) * sizeof(float));
        transform_forward(t, s->response, s->block);
    }
    for (int64_t at = 0; at < n; at += step) {
        int take = n - at < step ? (int)(n - at) : step, room = fft;
        if (!pull(context, s->block, at, take))
            continue;
        if (is_gain(r)) {
            room = take;
        } else {
            memset(s->block + take, 0, (size_t)(fft - take) * sizeof(float));
            transform_forward(t, s->spectrum, s->block);
            multiply(s->spectrum, s->response, fft);
            transform_backward(t, s->block, s->spectrum);
        }
        int64_t to = at - r->delay;
        int first = to < 0 ? (int)-to : 0, last = n - to < room ? (int)(n - to) : room;
        for (int i = first; i < last; i++)
            mix[to + i] += factor * s->block[i];
    }
}
