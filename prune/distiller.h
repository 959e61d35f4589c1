// SPDX-License-Identifier: MIT
/* distiller.h - a teacher, and how its student is pruned under it.
 *
 * With a distiller a trainer's clips need no labels: the loss is how far the
 * student's representations are from the teacher's at some layers; the teacher
 * always sees the whole clip, the student its blocks. With gates the loss also
 * has a Lagrangian that drives the expected size to its target, and gates are
 * learned with the weights. */
#ifndef DISTILLER_H
#define DISTILLER_H

#include "model/model.h"
#include "prune/distill_loss.h"
#include "prune/expected_size.h"
#include "prune/gates.h"

struct distiller_settings {
    struct distill_weights weights;
    int layers[MAX_LAYERS + 1], n_layers; // representations to compare; none: four, evenly
    unsigned units;       // gates on those; 0: distillation alone
    enum size_target target;
    struct latency time;  // of TARGET_TIME
    double sparsity;      // to reach
    long sparsity_warmup; // steps over which the target rises to it
    double reg_lr;        // of gates
    double multiplier_lr; // of the Lagrangian; 0: as the gates'
    int open_norms;       // norms over gated channels count the open ones alone
    uint64_t seed;
};

/* The published recipe's: L1 and cosine, conv, head, interm, parameters, 2e-2. */
struct distiller_settings distiller_defaults(void);

struct distiller {
    struct distiller_settings settings;
    struct checkpoint file;
    struct model teacher;     // sees whole clips of n_frames
    struct gates gates;       // n = 0: none
    struct lagrangian lagrangian;
    double unpruned;          // size that sparsity is a share of
    double sparsity, target_now; // of the last step
};

/* path: the teacher. n_frames: of a clip. student: whose config the gates are
 * on, must outlive it and be as wide as the teacher. Refuses a target that the
 * units cannot reach, and says what they can. */
int distiller_open(struct distiller *d, const char *path, const struct model_config *student,
                   const struct distiller_settings *settings, int n_frames, struct error *err);
void distiller_close(struct distiller *d);

/* Draws the step's gates. */
void distiller_begin(struct distiller *d, long step);

/* After the walk: gates' slopes by the masks' and by the Lagrangian. */
void distiller_slopes(struct distiller *d, const struct masks *slopes, long step);

/* Moves gates and multipliers; scale: of the clipping. */
void distiller_apply(struct distiller *d, double scale, long step);

/* The gates' values as the forward pass takes them; NULL: no distiller, or no gates. */
const struct masks *distiller_masks(const struct distiller *d);

/* Moves all log alphas by the same and settles the gates, so that what they leave is as near to
 * the target as their units allow: for the cut, since a run of few steps may end beside it, and
 * rounding to whole heads may lead away from what was expected. Returns by how much. */
double distiller_meet_target(struct distiller *d);

/* What the Lagrangian adds to the loss, as of the last step; 0 without gates. */
double distiller_penalty(const struct distiller *d);

/* Sum of squares of the gates' slopes. */
double distiller_squares(const struct distiller *d);

#endif
