// SPDX-License-Identifier: MIT
/* walk.h - the reverse walk: slopes of a loss by everything the model learns.
 *
 * A call of model_forward with reach.keep leaves a tape in its acts;
 * walk_backward goes through it from the scores to the extractor and adds to the
 * gradients. Slopes by derived weights (taps turned, heads' positions) are
 * gathered apart and folded into those by the parameters once a step. */
#ifndef WALK_H
#define WALK_H

#include "model/model.h"

struct gradients {
    struct model_params params;
    struct param *list; // the model's own
    int n_params;
    struct extractor_weights extractor; // by derived weights
    struct encoder_weights encoder;
    struct readout_weights readout;
    struct masks masks; // by the gates, where there are any
    float *heads;       // [n_heads] by what only training has (heads.h)
    size_t n_heads;
    float extractor_scale; // GradMultiply between extractor and projection: upstream 0.1
    int train_extractor;   // 0: the walk ends in front of the extractor
    int train_encoder;     // 0: in front of the encoder: readout alone learns

    /* Told when a part of the gradients is complete: 0 the readout, then the
     * layers from the last to the first, at last all that is left. NULL: nobody. */
    void (*done)(void *user, int part);
    void *user;

    /* Scratch. */
    float *x[6];         // [T,C]
    float *wide[2];      // [T,F] the widest inner layer, or 2R
    float *head[4];      // [T,A]
    float *gate;         // [T,heads]
    float *scores;       // [max_rows,max_keys]
    float *region, *region_slope, *columns;
    float *positions;    // [T,H,distances] with relative positions in the readout
    float *extractor_scratch[3];
    struct arena arena;      // gradients
    struct arena scratch;
};

/* What the loss says of a call's results. */
struct loss_slopes {
    const float *scores; // [T,CLASSES] by the log-probabilities, or NULL
    const float *traits; // [T,TRAITS] by what speaker vectors are made of (readout.h), or NULL
    const float *projection; // [T,C] by the feature projection, or NULL
    const float *const *rep; // by rep 0 .. n, [T,C] each or NULL; NULL: none
};

/* gates: has slopes by masks. */
int gradients_open(struct gradients *g, const struct model *m, int gates, size_t n_heads,
                   struct error *err);
void gradients_close(struct gradients *g);

/* All slopes to zero. */
void gradients_clear(struct gradients *g);

/* The reverse of the last call, which took `left` frames of context. Several
 * calls add up. m's state is used for recomputing (reach.keep KEEP_INPUTS). */
void walk_backward(struct gradients *g, struct model_acts *a, struct model_state *s,
                   const struct model *m, const struct loss_slopes *slopes, int left,
                   const struct block *blocks, int n_blocks);

/* Folds the slopes by derived weights into params; once, after the last call. */
void gradients_fold(struct gradients *g, const struct model *m);

/* slopes[c] += sum_t d[t,c] x[t,c] */
void columns_dot(float *restrict slopes, const float *restrict d, const float *restrict x, int T,
                 int C);

/* dx [T,C] += the slopes by that part of the traits: 0 the layer sum, 1 rep 0. Nothing where there is none. */
void walk_add_traits(float *dx, const struct loss_slopes *slopes, int part, int T, const struct model_config *c);

/* Parts of the walk: dx [T,R] or [T,C] in place. */
void walk_readout(struct gradients *g, struct model_acts *a, const struct model *m,
                  const struct loss_slopes *slopes, float *sum_slope, int left,
                  const struct block *blocks, int n_blocks);
void walk_layer(struct gradients *g, float *dx, struct model_acts *a, const struct model *m,
                int index, int left, const struct block *blocks, int n_blocks);

#endif
