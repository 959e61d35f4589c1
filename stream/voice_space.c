// SPDX-License-Identifier: MIT
#include "stream/voice_space.h"

#include "model/kernels.h"
#include "model/op.h"

#include <math.h>
#include <string.h>

static const double FIRST = 250.0, MOST_STEP = 6000.0, HOUR = 180000.0; // frames

void voice_space_place(struct voice_space *s, int width, struct arena *arena)
{
    size_t n = (size_t)width;

    s->width = width;
    s->scatter = arena_doubles(arena, n * n);
    s->mean = arena_floats(arena, n);
    s->shift = arena_floats(arena, n);
    s->scale = arena_floats(arena, n * n);
    s->factor = arena_doubles(arena, n * n);
    s->inverse = arena_doubles(arena, n * n);
    s->product = arena_floats(arena, n * n);
}

void voice_space_reset(struct voice_space *s)
{
    size_t n = (size_t)s->width;

    s->n = 0.0;
    s->fitted = 0;
    s->next = FIRST;
    memset(s->scatter, 0, n * n * sizeof(double));
    memset(s->mean, 0, n * sizeof(float));
    memset(s->shift, 0, n * sizeof(float));
    memset(s->scale, 0, n * n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        s->scale[i * n + i] = 1.0f;
}

void voice_space_add(struct voice_space *s, const float *deviations, int n)
{
    int width = s->width;

    gemm_tn(s->product, width, deviations, width, deviations, width, width, width, n, 1.0f, 0.0f);
    for (int i = 0; i < width * width; i++)
        s->scatter[i] += s->product[i];
    s->n += n;
}

int voice_space_due(const struct voice_space *s)
{
    return s->n >= s->next;
}

/* W with a ridge that is wide while there are few frames; its lower factor. */
static int factorize(struct voice_space *s)
{
    int n = s->width;
    double trace = 0.0, *l = s->factor;

    for (int i = 0; i < n; i++)
        trace += s->scatter[i * n + i] / s->n;
    double ridge = (0.015 + n / s->n) * trace / n + 1e-30;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = s->scatter[i * n + j] / s->n + (i == j ? ridge : 0.0);
            for (int k = 0; k < j; k++)
                sum -= l[i * n + k] * l[j * n + k];
            if (i == j && !(sum > 0.0))
                return -1;
            l[i * n + j] = i == j ? sqrt(sum) : sum / l[j * n + j];
        }
    }
    return 0;
}

void voice_space_fit(struct voice_space *s)
{
    int n = s->width;
    double *l = s->factor, *inverse = s->inverse;

    s->next = s->n + (s->n < MOST_STEP ? s->n : MOST_STEP);
    if (factorize(s))
        return; // all frames the same: keep what was
    s->fitted = 1;
    memset(inverse, 0, (size_t)n * (size_t)n * sizeof(double));
    for (int j = 0; j < n; j++) {
        inverse[j * n + j] = 1.0 / l[j * n + j];
        for (int i = j + 1; i < n; i++) {
            double sum = 0.0;
            for (int k = j; k < i; k++)
                sum += l[i * n + k] * inverse[k * n + j];
            inverse[i * n + j] = -sum / l[i * n + i];
        }
    }
    for (int i = 0; i < n * n; i++)
        s->scale[i] = (float)inverse[i];
    if (s->n > HOUR) {
        for (int i = 0; i < n * n; i++)
            s->scatter[i] *= 0.5;
        s->n *= 0.5;
        s->next *= 0.5;
    }
}

void voice_space_centre(struct voice_space *s, const float *mean)
{
    memcpy(s->mean, mean, (size_t)s->width * sizeof(float));
    linear_forward(s->shift, mean, s->scale, NULL, 1, s->width, s->width);
    for (int e = 0; e < s->width; e++)
        s->shift[e] = -s->shift[e];
}

void voice_space_map(float *at, const struct voice_space *s, const float *x, int n)
{
    linear_forward(at, x, s->scale, s->shift, n, s->width, s->width);
}

float voice_space_cosine(const struct voice_space *s, const float *a, const float *b)
{
    const struct kernels *k = kernels_get();
    size_t n = (size_t)s->width;
    float squares = k->dot(a, a, n) * k->dot(b, b, n);

    return squares > 1e-20f ? k->dot(a, b, n) / sqrtf(squares) : 0.0f;
}

float voice_space_distance(const struct voice_space *s, const float *a, const float *b)
{
    const struct kernels *k = kernels_get();
    size_t n = (size_t)s->width;
    float squares = k->dot(a, a, n) + k->dot(b, b, n) - 2.0f * k->dot(a, b, n);

    return fmaxf(squares, 0.0f) / (float)s->width;
}
