// SPDX-License-Identifier: MIT
/* calibrate.h - an embedding readout from statistics: linear discriminant analysis of
 * the weighted layer sum, or of the feature projection, whose vectors are centred and scaled
 * for comparing.
 *
 *   vector = A (sum - mean),   A W A' = identity,   A B A' = diagonal, largest first
 *
 * W is the scatter of a speaker's stretches of a second about the speaker in a clip
 * (what says nothing of who speaks), with a ridge; B that of the speakers about the mean
 * of all, less what W adds to it. The map is affine, so it is the readout's own weight
 * and bias: nothing changes but two tensors. Vectors of a trained readout tell who speaks,
 * but lie in a narrow cone and are stretched along few directions; these do not.
 *
 * Trials measure, on other clips, how often stretches of a speaker and of others err.
 * Thread: one. */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "model/error.h"

enum { CALIBRATE_STRETCH = 50 }; // frames

struct calibration {
    int width;        // C
    double *within;   // [C,C] sum over stretches
    double *between;  // [C,C] sum over speakers of a clip
    double *mean;     // [C] likewise
    double n_stretches, n_speakers;
    double share;     // sum over speakers of one stretch's weight in their mean
    double *row, *stretches; // scratch: [C], [most,C]
    int most;         // stretches of a speaker in a clip
};

/* Clips have n_frames at most. A zeroed calibration may be closed. */
int calibration_open(struct calibration *k, int width, int n_frames, struct error *err);
void calibration_close(struct calibration *k);

/* The n frames in which a speaker is alone in a clip, C numbers each, a row every `stride`; fewer
 * than two stretches are left out. */
void calibration_add(struct calibration *k, const float *frames, int stride, int n);

/* weight: n_vector rows of C, a row every `stride`; bias [n_vector]. ridge: of W's mean variance. */
int calibration_fit(float *weight, int stride, float *bias, const struct calibration *k, int n_vector,
                    double ridge, struct error *err);

/* Cosines of stretches with their own speaker and with others, and how much is known of
 * either, in frames. */
struct trials {
    struct trial {
        float cosine, expected; // expected: that of much speech shrinks by this
    } *list;
    int n, room;
};

struct vector_trials {
    struct trials same, different;
};

void vector_trials_close(struct vector_trials *v);

/* All stretches of a clip's speakers against what is left of each speaker: vectors
 * [n[0] + n[1] + ..,width], speaker by speaker. */
int vector_trials_add(struct vector_trials *v, const float *vectors, const int *n, int n_speakers,
                      int width, struct error *err);

/* Percent of both errors where they are as frequent, and the cosine distance of much
 * speech there; fails without trials of both kinds. */
int vector_trials_equal_error(double *percent, double *distance, struct vector_trials *v,
                              struct error *err);

#endif
