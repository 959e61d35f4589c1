// SPDX-License-Identifier: MIT
#include "model/open_norm.h"

#include <math.h>
#include <stddef.h>

static double count_open(const float *mask, int C)
{
    double n = 0.0;

    for (int c = 0; c < C; c++)
        n += mask[c] != 0.0f;
    return n > 0.0 ? n : 1.0;
}

void open_norm_forward(float *y, float *mean, float *rstd, const float *x, const float *w,
                       const float *b, const float *mask, int T, int C)
{
    double n = count_open(mask, C);

    for (int t = 0; t < T; t++) {
        const float *row = x + (size_t)t * (size_t)C;
        float *out = y + (size_t)t * (size_t)C;
        double sum = 0.0, squares = 0.0;

        for (int c = 0; c < C; c++)
            sum += mask[c] != 0.0f ? (double)row[c] : 0.0;
        double m = sum / n;
        for (int c = 0; c < C; c++) {
            double off = mask[c] != 0.0f ? row[c] - m : 0.0;
            squares += off * off;
        }
        double r = 1.0 / sqrt(squares / n + 1e-5);
        mean[t] = (float)m;
        rstd[t] = (float)r;
        for (int c = 0; c < C; c++)
            out[c] = mask[c] != 0.0f ? (float)((row[c] - m) * r * w[c] + b[c]) : 0.0f;
    }
}

void open_norm_backward(float *dx, float *dw, float *db, const float *dy, const float *x,
                        const float *mean, const float *rstd, const float *w, const float *mask,
                        int T, int C)
{
    double n = count_open(mask, C);

    for (int t = 0; t < T; t++) {
        const float *row = x + (size_t)t * (size_t)C, *d = dy + (size_t)t * (size_t)C;
        float *out = dx + (size_t)t * (size_t)C;
        double m = mean[t], r = rstd[t], along_one = 0.0, along_x = 0.0;

        for (int c = 0; c < C; c++) {
            if (mask[c] == 0.0f)
                continue;
            double unit = (row[c] - m) * r, g = (double)d[c] * w[c];
            along_one += g;
            along_x += g * unit;
            dw[c] += (float)(d[c] * unit);
            db[c] += d[c];
        }
        for (int c = 0; c < C; c++) {
            double unit = (row[c] - m) * r, g = (double)d[c] * w[c];
            out[c] = mask[c] != 0.0f ? (float)(r * (g - along_one / n - unit * along_x / n)) : 0.0f;
        }
    }
}
