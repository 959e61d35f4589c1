// SPDX-License-Identifier: MIT
#include "model/statistics.h"

#include "model/kernels.h"

#include <string.h>

void statistics_place(struct statistics *s, int width, double horizon_rows, struct arena *arena)
{
    s->width = width;
    s->horizon = horizon_rows;
    s->mean = arena_doubles(arena, (size_t)width);
    s->m2 = arena_doubles(arena, (size_t)width);
    s->sum = arena_doubles(arena, (size_t)width);
    s->squares = arena_doubles(arena, (size_t)width);
}

void statistics_reset(struct statistics *s)
{
    s->count = 0.0;
    for (int c = 0; c < s->width; c++)
        s->mean[c] = s->m2[c] = 0.0;
}

void statistics_add(struct statistics *s, const float *x, int n)
{
    if (n == 0)
        return;
    memset(s->sum, 0, (size_t)s->width * sizeof(double));
    memset(s->squares, 0, (size_t)s->width * sizeof(double));
    kernels_get()->moments(s->sum, s->squares, x, n, s->width);

    double total = s->count + n;
    for (int c = 0; c < s->width; c++) {
        double mean = s->sum[c] / n, m2 = s->squares[c] - s->sum[c] * mean;
        double delta = mean - s->mean[c];
        s->mean[c] += delta * n / total;
        s->m2[c] += (m2 > 0.0 ? m2 : 0.0) + delta * delta * s->count * n / total;
    }
    s->count = total;
    if (s->horizon > 0.0 && s->count > s->horizon) {
        for (int c = 0; c < s->width; c++)
            s->m2[c] *= s->horizon / s->count;
        s->count = s->horizon;
    }
}
