// SPDX-License-Identifier: MIT
#include "prune/distill_loss.h"

#include <math.h>

void distill_loss(const struct distill_weights *w, struct distill_sums *sums, float *slopes,
                  const float *s, const float *t, int T, int C, double n_rows)
{
    double each = 1.0 / (n_rows * C);

    for (int row = 0; row < T; row++) {
        const float *a = s + (size_t)row * (size_t)C, *b = t + (size_t)row * (size_t)C;
        float *d = slopes + (size_t)row * (size_t)C;
        double aa = 0.0, bb = 0.0, ab = 0.0, l1 = 0.0, l2 = 0.0;

        for (int c = 0; c < C; c++) {
            double off = (double)a[c] - b[c];
            aa += (double)a[c] * a[c];
            bb += (double)b[c] * b[c];
            ab += (double)a[c] * b[c];
            l1 += fabs(off);
            l2 += off * off;
        }
        double na = fmax(sqrt(aa), 1e-8), nb = fmax(sqrt(bb), 1e-8), cosine = ab / (na * nb);
        double outer = w->log_sigmoid ? 1.0 / (1.0 + exp(cosine)) : 1.0; // d value / d cosine
        sums->l1 += l1;
        sums->l2 += l2;
        sums->cos -= w->log_sigmoid ? -log1p(exp(-cosine)) : cosine;
        double by_b = -w->cos * outer / (n_rows * na * nb);
        double by_a = w->cos * outer * cosine / (n_rows * na * na);
        for (int c = 0; c < C; c++) {
            double off = (double)a[c] - b[c];
            d[c] = (float)(by_b * b[c] + by_a * a[c] + 2.0 * w->l2 * each * off +
                           w->l1 * each * ((off > 0.0) - (off < 0.0)));
        }
    }
}

double distill_total(const struct distill_weights *w, const struct distill_sums *sums,
                     double n_rows, int C)
{
    return w->l2 * sums->l2 / (n_rows * C) + w->l1 * sums->l1 / (n_rows * C) +
           w->cos * sums->cos / n_rows;
}
