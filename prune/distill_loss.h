// SPDX-License-Identifier: MIT
/* distill_loss.h - how far a student's representations are from its teacher's.
 *
 *   l2 mean (s-t)^2 + l1 mean |s-t| + cosine part, over frames, channels, layers
 *   cosine part: - cos mean cos(s, t), or - cos mean ln sigmoid(cos(s, t))
 *
 * The cosine is over a frame's channels (eps 1e-8 as torch); at s = t the slope
 * of |s-t| is 0. */
#ifndef DISTILL_LOSS_H
#define DISTILL_LOSS_H

#include <stddef.h>

struct distill_weights {
    double l2, l1, cos;
    int log_sigmoid;
};

struct distill_sums {
    double l2, l1, cos; // sums over elements, and over frames of what is averaged
};

/* One layer's rows: s, t [T,C]. slopes [T,C] are overwritten with the slope of
 * the loss when n_rows rows make the means, all layers together. Adds to sums. */
void distill_loss(const struct distill_weights *w, struct distill_sums *sums, float *slopes,
                  const float *s, const float *t, int T, int C, double n_rows);

/* The loss of sums over n_rows rows of C. */
double distill_total(const struct distill_weights *w, const struct distill_sums *sums,
                     double n_rows, int C);

#endif
