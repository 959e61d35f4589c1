// SPDX-License-Identifier: MIT
/* extractor.h - waveform to 20 ms feature rows: the convolutional extractor.
 *
 * Exact 'valid' convolutions over the whole stream. Two things depend on the
 * blocks: the statistics of the waveform (Large) and of layer 0's GroupNorm
 * (Base), which run over all that blocks 0 .. b cover and forget after a
 * horizon. A block's frames see everything with their own block's statistics,
 * also the 80 samples they share with the block before; so these raw samples
 * are all that is kept, and the few outputs they make are made anew (15 of
 * layer 0's 1039 at B = 16).
 *
 * The filter-bank front end stands in its place in models that have one: of each
 * frame's 400 samples the log mel energies, and those of its two halves, less
 * their mean and over their deviation as of blocks 0 .. b, like GroupNorm. Its
 * affine part is features_norm. It has nothing to learn itself. */
#ifndef EXTRACTOR_H
#define EXTRACTOR_H

#include "model/arena.h"
#include "model/blocks.h"
#include "model/call.h"
#include "model/fbank.h"
#include "model/params.h"
#include "model/statistics.h"
#include "model/training.h"

enum { EXTRACTOR_TRAIL = 80 };

struct extractor_weights {
    float *conv[MAX_CONVS]; // [O,K,I]: the window of a row lies in one piece
    struct fbank *whole, *half; // of a frame and of its halves; NULL: none
};

struct extractor_state {
    float *trail; // [EXTRACTOR_TRAIL] raw samples that the next frame shares with the last
    int n_trail;
    struct statistics wave;  // of the samples, if the model normalises them
    struct statistics group; // of layer 0's outputs, with GroupNorm; or of the filter banks
};

struct extractor_acts {
    const struct training *training; // NULL: inference
    float *x[MAX_CONVS]; // inputs of layer i, block after block [n,I]
    float *y[MAX_CONVS]; // outputs before the norm [n,O]
    float *bank, *scratch; // [FEATURES] of one frame, and what computing it takes
    int keep;            // 0: all layers and blocks share one y
    float *mean[MAX_CONVS], *rstd[MAX_CONVS]; // of the LayerNorms, [n] likewise
    float *scale, *shift; // [blocks,O] of layer 0's GroupNorm; without keep, the last block's
    double *group_mean, *group_rstd, *group_count; // [blocks,O], and [blocks], if kept
};

/* The filter banks, if the model has them: not in the arena. */
int extractor_weights_open(struct extractor_weights *w, const struct model_config *c,
                           struct error *err);
void extractor_weights_close(struct extractor_weights *w);

/* Weights derived from the parameters; place, then fill whenever they change. */
void extractor_weights_place(struct extractor_weights *w, const struct model_config *c,
                             struct arena *arena);
void extractor_weights_fill(struct extractor_weights *w, const struct model_config *c,
                            const struct model_params *p);

void extractor_state_place(struct extractor_state *s, const struct model_config *c,
                           double horizon_seconds, struct arena *arena);
void extractor_state_reset(struct extractor_state *s, const struct model_config *c);

void extractor_acts_place(struct extractor_acts *a, const struct model_config *c,
                          const struct call_size *call, struct arena *arena);

/* features [rows of the call, FEATURES], after dummy_weight. samples: those of
 * the blocks' own, one after another from the first that no block has covered,
 * and behind the last block's its look-ahead. */
void extractor_forward(float *features, struct extractor_acts *a, struct extractor_state *s,
                       const struct extractor_weights *w, const struct model_config *c,
                       const struct model_params *p, const float *samples,
                       const struct block *blocks, int n_blocks);

void fbank_acts_place(struct extractor_acts *a, const struct model_config *c,
                      struct arena *arena);

/* features of one block: rows of its samples, the trail's before them. */
void fbank_block_forward(float *features, struct extractor_acts *a, struct extractor_state *s,
                         const struct extractor_weights *w, const struct model_config *c,
                         const float *samples, const struct block *b);

/* The LayerNorm of a convolution's outputs y, over C channels. mean, rstd [T] are
 * results too. */
void extractor_norm(float *dst, float *mean, float *rstd, const struct training *t, int layer,
                    const float *y, const struct norm_params *p, int T, int C);

/* Floats of each of the three scratch areas of extractor_backward. */
size_t extractor_scratch_floats(const struct model_config *c, const struct call_size *call);

/* The reverse of a call without look-ahead that began its streams, of which
 * `acts` kept everything: adds to d and dw the slopes by the parameters and the
 * derived weights, and to masks (or NULL) those by the gates. features_slope
 * [rows,FEATURES] is by the call's result. */
void extractor_backward(struct model_params *d, struct extractor_weights *dw,
                        struct masks *masks, const float *features_slope,
                        struct extractor_acts *acts, float *const scratch[3],
                        const struct extractor_weights *w, const struct model_config *c,
                        const struct model_params *p, const struct block *blocks, int n_blocks);

/* Adds the slopes by the derived weights to those by the parameters. */
void extractor_weights_backward(struct model_params *d, const struct extractor_weights *dw,
                                const struct model_config *c);

#endif
