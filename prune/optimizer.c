// SPDX-License-Identifier: MIT
#include "prune/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct adamw adamw_defaults(void)
{
    return (struct adamw){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01};
}

void adamw_step(float *restrict w, float *restrict m, float *restrict v, const float *restrict g,
                size_t n, const struct adamw *a, double lr, double scale, long t)
{
    float b1 = (float)a->beta1, b2 = (float)a->beta2, s = (float)scale, eps = (float)a->eps;
    float c1 = (float)(1.0 - a->beta1), c2 = (float)(1.0 - a->beta2);
    float keep = (float)(1.0 - lr * a->decay);
    float step = (float)(lr / (1.0 - pow(a->beta1, (double)t)));
    float unbias = (float)(1.0 / sqrt(1.0 - pow(a->beta2, (double)t)));

    for (size_t i = 0; i < n; i++) {
        float slope = g[i] * s;
        m[i] = b1 * m[i] + c1 * slope;
        v[i] = b2 * v[i] + c2 * slope * slope;
        w[i] = w[i] * keep - step * m[i] / (sqrtf(v[i]) * unbias + eps);
    }
}

double squares_sum(const float *g, size_t n)
{
    enum { LANES = 8 };
    double lane[LANES] = {0}, sum = 0.0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++)
            lane[l] += (double)g[i + (size_t)l] * g[i + (size_t)l];
    }
    for (; i < n; i++)
        sum += (double)g[i] * g[i];
    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double norm_quantile(const double *history, int n, double q, double *scratch)
{
    memcpy(scratch, history, (size_t)n * sizeof(double));
    qsort(scratch, (size_t)n, sizeof(double), by_size);
    double at = q * (n - 1);
    int below = (int)floor(at), above = below + 1 < n ? below + 1 : below;
    return scratch[below] + (at - below) * (scratch[above] - scratch[below]);
}

double schedule_factor(enum schedule s, long step, long steps, long warmup, double floor)
{
    if (step < warmup)
        return (double)(step + 1) / (double)warmup;
    if (s != SCHEDULE_COSINE || steps <= warmup)
        return 1.0;
    double done = (double)(step - warmup) / (double)(steps - warmup);
    done = done < 1.0 ? done : 1.0;
    return floor + (1.0 - floor) * 0.5 * (1.0 + cos(acos(-1.0) * done));
}

void ema_step(float *restrict e, const float *restrict w, size_t n, double d)
{
    float keep = (float)d, take = (float)(1.0 - d);

    for (size_t i = 0; i < n; i++)
        e[i] = keep * e[i] + take * w[i];
}
