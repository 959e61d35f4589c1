// SPDX-License-Identifier: MIT
/* objective.h - the loss of one clip: what the trainer minimises, and what it
 * shows of it.
 *
 *   loss = scores * powerset NLL under the best permutation of the speakers
 *        + affinity * deep-clustering loss of the speaker vectors
 *        + vector * loss of the speaker vectors against the training's speakers
 *          (voice_loss.h)
 *        + mels * log-mel regression from the feature projection (mels.h) */
#ifndef OBJECTIVE_H
#define OBJECTIVE_H

#include "model/model.h"
#include "model/powerset.h"
#include "prune/clip.h"

struct objective {
    struct powerset powerset;
    uint8_t class_of[256]; // of every set of speakers, as a mask
    int exact;             // permutation by least NLL; 0: upstream's, by the hard decisions
    float affinity;        // weight, 0: none
};

/* Sums over clips; all add up. */
struct objective_sums {
    double frames, clips;
    double loss;     // summed over frames
    double affinity; // summed over clips that have one
    double vector, vector_clips;   // of voice_loss.h, and the clips that have one
    double mels; // of mels.h, summed over frames
    double vectors, vectors_right; // speakers' vectors, and those nearest to their own class
    double speech;   // speaker frames of the reference
    double missed, false_alarm, confusion;
    double l2, l1, cos; // of distillation, see distill_loss.h
};

void objective_init(struct objective *o, const struct readout_config *r);

/* Upstream's permutation, by the likeliest classes: to[j] is the output that
 * label j of n_targets (at most 8) goes to, or -1: more labels than outputs. */
void objective_assign_hard(int *to, const struct objective *o, const float *scores,
                           const uint8_t *labels, int T, int n_targets);

/* One clip of T rows. scores [T,CLASSES] log-probabilities; slopes [T,CLASSES]
 * become weight times the slope of the clip's mean loss. Adds to sums. */
void objective_scores(const struct objective *o, struct objective_sums *sums, float *slopes,
                      const float *scores, const struct clip *clip, float weight);

/* The deep-clustering loss of vectors [n_clips T,E], made unit, over frames in which one
 * speaker is alone: |V V' - Y Y'|^2 / n^2 (Hershey et al. 2016). At most CLIP_MAX_EXCERPTS
 * clips of one meeting are taken as one, for each of which it counts: a speaker is who has the
 * same number, or, without numbers, the column of one clip. slopes [n_clips T,E] are
 * overwritten; scratch holds objective_scratch_floats. */
void objective_affinity(struct objective_sums *sums, float *slopes, const float *vectors,
                        const struct clip *clips, int n_clips, int E, float weight,
                        float *scratch);

size_t objective_scratch_floats(int n_clips, int T, int E);

/* Sums of doubles, for adding up over threads and ranks. */
enum { OBJECTIVE_SUMS = sizeof(struct objective_sums) / sizeof(double) };

#endif
