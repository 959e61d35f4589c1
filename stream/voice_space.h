// SPDX-License-Identifier: MIT
/* voice_space.h - where speaker vectors are compared: centred on the voices of
 * this stream, and scaled by how much one voice varies in itself.
 *
 *   y = A (x - mean),   A A' = inverse of W
 *
 * W is the scatter of a speaker's frames about the speaker (within-class
 * covariance), gathered as the stream goes; mean is the mean of the speakers,
 * not of the frames, so that who talks most does not become the middle. A
 * network's raw cosines are dominated by what all voices share and by few
 * directions (the room, low or high voice). A model whose readout was calibrated
 * (prune/calibrate.h) has both in its weights, from many more voices: for it the space is
 * `fixed`. No allocation. */
#ifndef VOICE_SPACE_H
#define VOICE_SPACE_H

#include "model/arena.h"

struct voice_space {
    int width;
    double *scatter;  // [width,width] sum over frames
    double n;         // frames in it, forgotten beyond an hour
    int fixed;        // 1: the model's vectors are made for it, A is the identity and mean 0
    int fitted;       // 1: A is from W
    double next;      // W is used anew when n has reached this
    float *mean;      // [width]
    float *shift;     // [width] -A mean
    float *scale;     // [width,width] A
    double *factor;   // [width,width] scratch: Cholesky factor of W
    double *inverse;  // [width,width] scratch
    float *product;   // [width,width] scratch
};

void voice_space_place(struct voice_space *s, int width, struct arena *arena);

/* Nothing heard: mean 0, A the identity. */
void voice_space_reset(struct voice_space *s);

/* Adds n frames' deviations [n,width] from their speaker. */
void voice_space_add(struct voice_space *s, const float *deviations, int n);

/* 1 if W has grown enough for another A; voice_space_fit makes it. */
int voice_space_due(const struct voice_space *s);
void voice_space_fit(struct voice_space *s);

/* Moves the centre. */
void voice_space_centre(struct voice_space *s, const float *mean);

/* at [n,width] = the rows of x [n,width] in the space. They do not overlap. */
void voice_space_map(float *at, const struct voice_space *s, const float *x, int n);

/* Of two points in the space, or 0 for a point at its centre. */
float voice_space_cosine(const struct voice_space *s, const float *a, const float *b);

/* |a - b|^2 / width of two points: 1 is how far a single frame is from its speaker. */
float voice_space_distance(const struct voice_space *s, const float *a, const float *b);

#endif
