// SPDX-License-Identifier: MIT
#include "stream/aggregate.h"

#include <math.h>
#include <stdlib.h>

static const float EPSILON = 1e-12f; // the least weight that is divided by, upstream's

int aggregate_open(struct aggregate *a, const struct windows *w, int64_t n_windows, int n_columns,
                   const double *weights, struct error *err)
{
    *a = (struct aggregate){.windows = *w, .n_columns = n_columns, .weights = weights};
    a->n_frames = windows_grid(w, n_windows);
    int64_t last = windows_frame(w, n_windows - 1) + w->n_frames;
    if (a->n_frames < last) // of windows longer than the grid says
        a->n_frames = last;
    size_t n = (size_t)a->n_frames * (size_t)n_columns;
    a->sum = calloc(n + 1, sizeof(float));
    a->weight = calloc(n + 1, sizeof(float));
    a->some = calloc(n + 1, 1);
    if (!a->sum || !a->weight || !a->some) {
        aggregate_close(a);
        return fail(err, "out of memory: %lld frames of %d speakers; cut the recording",
                    (long long)a->n_frames, n_columns);
    }
    return 0;
}

void aggregate_add(struct aggregate *a, int64_t c, const float *values)
{
    size_t columns = (size_t)a->n_columns;
    size_t at = (size_t)windows_frame(&a->windows, c) * columns;

    for (int t = 0; t < a->windows.n_frames; t++) {
        double weight = a->weights ? a->weights[t] : 1.0;
        for (size_t k = 0; k < columns; k++, at++) {
            float value = values[(size_t)t * columns + k];
            if (isnan(value))
                continue;
            a->sum[at] = (float)((double)a->sum[at] + (double)value * weight);
            a->weight[at] = (float)((double)a->weight[at] + weight);
            a->some[at] = 1;
        }
    }
}

void aggregate_mean(struct aggregate *a, float missing)
{
    size_t n = (size_t)a->n_frames * (size_t)a->n_columns;

    for (size_t i = 0; i < n; i++)
        a->sum[i] /= a->weight[i] > EPSILON ? a->weight[i] : EPSILON;
    aggregate_sum(a, missing);
}

void aggregate_sum(struct aggregate *a, float missing)
{
    size_t n = (size_t)a->n_frames * (size_t)a->n_columns;

    for (size_t i = 0; i < n; i++)
        a->sum[i] = a->some[i] ? a->sum[i] : missing;
}

void aggregate_close(struct aggregate *a)
{
    free(a->sum);
    free(a->weight);
    free(a->some);
    *a = (struct aggregate){0};
}

int aggregate_count(uint8_t **count, int64_t *n_frames, const struct heard *h,
                    const struct windows *w, double trim, const double *weights,
                    struct error *err)
{
    struct windows inner = windows_trim(w, trim, trim);
    int skip = (int)rint(w->n_frames * trim);
    float *speaking = malloc((size_t)h->n_frames * sizeof(*speaking));
    struct aggregate a = {0};

    *count = NULL;
    if (!speaking)
        return fail(err, "out of memory");
    if (aggregate_open(&a, &inner, h->n_windows, 1, weights, err) == 0) {
        for (int c = 0; c < h->n_windows; c++) {
            for (int t = 0; t < inner.n_frames; t++)
                speaking[t] = (float)__builtin_popcount(heard_window(h, c)[skip + t]);
            aggregate_add(&a, c, speaking);
        }
        aggregate_mean(&a, 0.0f);
        *n_frames = a.n_frames;
        *count = malloc((size_t)a.n_frames);
        for (int64_t t = 0; *count && t < a.n_frames; t++)
            (*count)[t] = (uint8_t)rintf(a.sum[t]);
        if (!*count)
            fail(err, "out of memory");
        aggregate_close(&a);
    }
    free(speaking);
    return *count ? 0 : -1;
}
