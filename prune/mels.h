// SPDX-License-Identifier: MIT
/* mels.h - log-mel regression: what a young extractor can be made to learn first.
 *
 * A linear layer on the feature projection, which only training has, says each
 * frame's log-mels: 96 of the frame's 25 ms and 48 of each half, standardised by
 * the mean and deviation that the source's first clips have. The loss is
 * smooth-L1, meaned over bins and frames. */
#ifndef MELS_H
#define MELS_H

#include "model/fbank.h"
#include "prune/clip.h"
#include "prune/objective.h"

enum { MELS_WHOLE = 96, MELS_HALF = 48, MELS = MELS_WHOLE + 2 * MELS_HALF };

struct mels {
    struct fbank *whole, *half;
    float mean[MELS], rstd[MELS];
};

/* Reads the source's first clips. */
int mels_open(struct mels *m, const struct clip_source *source, struct error *err);
void mels_close(struct mels *m);

/* targets [n_frames,MELS] of a clip. scratch: mels_scratch_floats, 64-byte aligned. */
void mels_targets(float *targets, const struct mels *m, const struct clip *clip, float *scratch);
size_t mels_scratch_floats(void);

/* by_projection [T,C] is overwritten, dw [MELS,C] and db [MELS] are added to:
 * weight times the slopes of the loss summed over frames. guess [T,MELS] is
 * scratch. Adds to sums. */
void mels_loss(struct objective_sums *sums, float *by_projection, float *dw, float *db,
               float *guess, const float *projection, const float *targets, const float *w,
               const float *b, int T, int C, float weight);

#endif
