// SPDX-License-Identifier: MIT
/* readout.h - WavLM's representations to who speaks.
 *
 *   sum = sum_l layer_weights[l] rep l                          [T,C]
 *   x = LN(projection sum); conformer blocks; activation        [T,R]
 *   scores = log softmax(classifier x)                          [T,CLASSES]
 *
 * Rows of scores are log-probabilities of the powerset's classes: nobody, each
 * speaker, each pair, ... Where there is an embedding readout, speaker vectors are
 * made of traits (model_vectors in model.h): of sum, or of sum and rep 0 side by side. */
#ifndef READOUT_H
#define READOUT_H

#include "model/conformer.h"

struct readout_weights {
    struct conformer_weights conformer[MAX_CONFORMER_LAYERS];
    float *posi; // [distances,R_HEAD] or NULL
    int left, max_rows;
};

struct readout_state {
    struct conformer_state conformer[MAX_CONFORMER_LAYERS];
};

struct readout_acts {
    const struct training *training; // NULL: inference
    float *sum;       // [T,C]
    float *traits;    // [T,TRAITS]; sum itself where nothing is beside it
    float *projected; // [T,R]
    float *mean, *rstd;
    float *x[MAX_CONFORMER_LAYERS + 1]; // [T,R] in front of, between and behind the blocks
    struct conformer_acts conformer[MAX_CONFORMER_LAYERS];
    float *activated; // [T,R]
    float *logits;    // [T,CLASSES]
    float *scores;    // [T,CLASSES] results
};

void readout_weights_place(struct readout_weights *w, const struct readout_config *r, int left,
                           int max_rows, struct arena *arena);
void readout_weights_fill(struct readout_weights *w, const struct readout_config *r,
                          const struct model_params *p);

void readout_state_place(struct readout_state *s, const struct readout_config *r, int left,
                         int n_rows, struct arena *arena);
void readout_state_reset(struct readout_state *s, const struct readout_config *r);

void readout_acts_place(struct readout_acts *a, const struct model_config *c,
                        const struct call_size *call, struct arena *arena);

/* Moves BatchNorm's running statistics towards a training call's. */
void readout_update_running(struct model_params *p, const struct readout_config *r,
                            const struct readout_acts *a);

/* Adds the slopes by the derived weights, dw, to those by the parameters. */
void readout_weights_backward(struct model_params *d, const struct readout_weights *dw,
                              const struct readout_config *r);

/* reps: n_reps pointers to [T,C]. */
void readout_forward(struct readout_acts *a, struct readout_state *s,
                     const struct readout_weights *w, const struct model_config *c,
                     const struct model_params *p, float *const *reps, int T,
                     const struct block *blocks, int n_blocks);

#endif
