// SPDX-License-Identifier: MIT
/* calibrate.h - an embedding readout from statistics: linear discriminant analysis of
 * the weighted layer sum, or of the feature projection, whose vectors are centred and scaled
 * for comparing.
 *
 *   vector = A (x - mean),   A W A' = identity,   A B A' = L, diagonal, largest first
 *
 * W is the scatter of a person's stretches about the person (what says nothing of who
 * speaks), with a ridge; B that of the people about the mean of all, less what W adds to
 * it. Whether a person is somebody in one clip, or in all clips and their rooms, is the
 * caller's choice. The map is affine, so it is the readout's own weight and bias: nothing
 * changes but two tensors. Vectors of a trained readout tell who speaks, but lie in a
 * narrow cone and are stretched along few directions; these do not.
 *
 * Trials measure, on other clips, how often stretches of a speaker and of others err.
 * Thread: one. */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "model/error.h"

enum {
    CALIBRATE_STRETCH = 50,    // frames: what a second says of its speaker
    CALIBRATE_SOMEBODY_NEW = -1,
};

struct calibration {
    int width;        // C
    int stretch;      // frames
    double *square;   // [C,C] sum of x x' over stretches x, the lower half
    double *sums;     // [room,C] of each person's stretches
    int *stretches;   // [room] of each person
    int n_people, room;
    double *row;      // [C] scratch
};

/* A zeroed calibration may be closed. */
int calibration_open(struct calibration *k, int width, int stretch, struct error *err);
void calibration_close(struct calibration *k);

/* n frames of one person, C numbers each, a row every `stride`; what is left behind the last whole
 * stretch counts for nothing. who: the caller's number of the person, whom other calls may name
 * too, or CALIBRATE_SOMEBODY_NEW; a caller gives numbers always or never. -1: out of memory. */
int calibration_add(struct calibration *k, int who, const float *frames, int stride, int n,
                    struct error *err);

/* People with two stretches or more; the others count for nothing. */
int calibration_people(const struct calibration *k);

struct calibration_settings {
    double ridge;   // of W's mean variance
    /* 0: rows as above. Else they are scaled, scale sqrt(L_e / mean of L) for row e: directions
     * that tell people further apart count for more. */
    double scale;
};

/* weight: n_vector rows of C, a row every `stride`; bias [n_vector]. */
int calibration_fit(float *weight, int stride, float *bias, const struct calibration *k, int n_vector,
                    const struct calibration_settings *s, struct error *err);

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
