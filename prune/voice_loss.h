// SPDX-License-Identifier: MIT
/* voice_loss.h - the loss of speaker vectors against the speakers of the training
 * data: softmax with an additive angular margin (Deng et al. 2019).
 *
 * A speaker's vector in a clip is the mean of the embedding over the frames in
 * which they are alone, made unit: what the readout gives at run time. With unit
 * rows of the class weights and cos_j their products with it,
 *
 *   loss = -log softmax_y(scale z),  z_j = cos_j,  z_y = cos(angle_y + margin)
 *
 * beyond angle_y = pi - margin, where that would turn, z_y = cos_y - margin sin margin.
 * Of a clip the mean over its speakers counts. The class weights are the
 * trainer's own: no model has them. */
#ifndef VOICE_LOSS_H
#define VOICE_LOSS_H

#include "prune/clip.h"
#include "prune/objective.h"

struct voice_loss {
    int n_classes, width; // known speakers; of a vector
    float margin, scale;  // radians; of cosines
    int least_frames;     // alone, or a clip says nothing of a speaker
};

/* vectors, slopes [n_clips T, width]: slopes are added to, weight times the slope
 * of the clips' summed losses, as are class_slopes [n_classes, width]. Speakers
 * of number -1 are left out. Adds to sums. */
void voice_loss(const struct voice_loss *l, struct objective_sums *sums, float *slopes,
                float *class_slopes, const float *vectors, const float *classes,
                const struct clip *clips, int n_clips, float weight, float *scratch);

size_t voice_loss_scratch_floats(const struct voice_loss *l, int n_clips);

#endif
