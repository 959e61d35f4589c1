// SPDX-License-Identifier: MIT
/* expected_size.h - how large a gated encoder is expected to be, and what each
 * gate says to that; the Lagrangian that drives it to its target.
 *
 * Parameters and multiply-accumulates are counted as upstream counts them: the
 * relative positions and their gates left out, one second of audio as one
 * window of 49 frames. A gate's open count stands for its axis, so neighbouring
 * convolutions are coupled. Time is a sum of the same terms, each weighed with
 * the nanoseconds it was measured to take (struct size_weights). */
#ifndef EXPECTED_SIZE_H
#define EXPECTED_SIZE_H

#include "prune/gates.h"

enum size_target { TARGET_PARAMS, TARGET_MACS, TARGET_TIME };

/* Cost of each kind of multiply-accumulate, for TARGET_TIME: ns each, and ns a
 * second of audio of what does not change. */
struct size_weights {
    double conv[MAX_CONVS], projection, attention, feed_forward, fixed;
};

struct expected_size {
    double size;      // expected
    double unpruned;  // with all gates open
};

/* Adds factor times the slope of size to the gates' slopes; factor 0: none. */
struct expected_size expected_size(struct gates *g, enum size_target target,
                                   const struct size_weights *weights, double factor);

/* Elements of all encoder tensors of a list: what sparsity is a share of. */
double encoder_parameters(const struct model_config *c);

/* l1 (s - t) + l2 (s - t)^2 */
struct lagrangian {
    double l1, l2;
    double m1, v1, m2, v2; // AdamW's moments
};

double lagrangian_loss(const struct lagrangian *l, double sparsity, double target);

/* d loss / d sparsity */
double lagrangian_slope(const struct lagrangian *l, double sparsity, double target);

/* Ascent by AdamW without decay, step t from 1. */
void lagrangian_step(struct lagrangian *l, double sparsity, double target, double lr, long t);

#endif
