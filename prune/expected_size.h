// SPDX-License-Identifier: MIT
/* expected_size.h - how large a gated encoder is expected to be, and what each
 * gate says to that; the Lagrangian that drives it to its target.
 *
 * Parameters and multiply-accumulates are counted as upstream counts them: the
 * relative positions and their gates left out, one second of audio as one
 * window of 49 frames. A gate's open count stands for its axis, so neighbouring
 * convolutions are coupled. Time is what a measured table of layer shapes says,
 * between its shapes by interpolation (latency.h). */
#ifndef EXPECTED_SIZE_H
#define EXPECTED_SIZE_H

#include "prune/gates.h"
#include "prune/latency.h"

enum size_target { TARGET_PARAMS, TARGET_MACS, TARGET_TIME };

struct expected_size {
    double size;      // expected
    double unpruned;  // with all gates open
};

/* Adds factor times the slope of size to the gates' slopes; factor 0: none. time: of
 * TARGET_TIME. */
struct expected_size expected_size(struct gates *g, enum size_target target,
                                   const struct latency *time, double factor);

/* The size of what gates_settle left open. */
double settled_size(const struct gates *g, enum size_target target, const struct latency *time);

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
