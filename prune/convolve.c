// SPDX-License-Identifier: MIT
#include "prune/convolve.h"

#include <fftw3.h>
#include <pthread.h>
#include <string.h>

static const int sizes[CONVOLVE_SIZES] = {4096, 32768};
enum { LARGEST = 32768 };

/* FFTW's planner is one for the whole program. */
static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

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
    struct convolve_space s;
    int status = 0;

    *c = (struct convolver){0};
    if (convolve_space_open(&s, err))
        return -1;
    pthread_mutex_lock(&planner);
    for (int i = 0; i < CONVOLVE_SIZES; i++) { // ESTIMATE: the plan must not depend on a clock
        c->forward[i] = fftwf_plan_dft_r2c_1d(sizes[i], s.block, (fftwf_complex *)s.spectrum,
                                              FFTW_ESTIMATE);
        c->backward[i] = fftwf_plan_dft_c2r_1d(sizes[i], (fftwf_complex *)s.spectrum, s.block,
                                               FFTW_ESTIMATE);
        status |= !c->forward[i] || !c->backward[i];
    }
    pthread_mutex_unlock(&planner);
    convolve_space_close(&s);
    if (!status)
        return 0;
    convolver_close(c);
    return fail(err, "out of memory for a convolution");
}

void convolver_close(struct convolver *c)
{
    pthread_mutex_lock(&planner);
    for (int i = 0; i < CONVOLVE_SIZES; i++) {
        if (c->forward[i])
            fftwf_destroy_plan(c->forward[i]);
        if (c->backward[i])
            fftwf_destroy_plan(c->backward[i]);
    }
    pthread_mutex_unlock(&planner);
    *c = (struct convolver){0};
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
    int size = r->n <= sizes[0] / 4 ? 0 : 1, fft = sizes[size], step = fft - r->n + 1;
    float factor = is_gain(r) ? gain * r->taps[0] : gain / (float)fft;

    if (!is_gain(r)) {
        memcpy(s->block, r->taps, (size_t)r->n * sizeof(float));
        memset(s->block + r->n, 0, (size_t)(fft - r->n) * sizeof(float));
        fftwf_execute_dft_r2c(c->forward[size], s->block, (fftwf_complex *)s->response);
    }
    for (int64_t at = 0; at < n; at += step) {
        int take = n - at < step ? (int)(n - at) : step, room = fft;
        if (!pull(context, s->block, at, take))
            continue;
        if (is_gain(r)) {
            room = take;
        } else {
            memset(s->block + take, 0, (size_t)(fft - take) * sizeof(float));
            fftwf_execute_dft_r2c(c->forward[size], s->block, (fftwf_complex *)s->spectrum);
            multiply(s->spectrum, s->response, fft);
            fftwf_execute_dft_c2r(c->backward[size], (fftwf_complex *)s->spectrum, s->block);
        }
        int64_t to = at - r->delay;
        int first = to < 0 ? (int)-to : 0, last = n - to < room ? (int)(n - to) : room;
        for (int i = first; i < last; i++)
            mix[to + i] += factor * s->block[i];
    }
}
