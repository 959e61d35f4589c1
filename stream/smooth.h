// SPDX-License-Identifier: MIT
/* smooth.h - who speaks lasts: a hidden Markov model over the powerset's classes.
 *
 * A network answers every frame for itself, and where it doubts between two speakers its answer
 * flickers. Here a class stays from one frame to the next with probability `stay`, else any other
 * follows; the network's probabilities are the likelihoods. Each frame's answer is that of all
 * frames before it and of those behind it that came in the same call (the forward-backward
 * algorithm, Rabiner 1989, section III), so that no call waits for another. Thread: any. */
#ifndef SMOOTH_H
#define SMOOTH_H

#include "model/powerset.h"

/* Of what is told live, unless asked otherwise. */
#define SMOOTH_SECONDS 0.8

struct smoother {
    int n_classes;
    float stay;                         // 0: the network's answer stands
    float belief[POWERSET_MAX_CLASSES]; // in the last frame, of it and those before
};

/* seconds: how long a class lasts in the mean, at least two frames; 0: no smoothing. */
void smoother_init(struct smoother *s, int n_classes, double seconds);

/* Knows nothing of what was before. */
void smoother_reset(struct smoother *s);

/* The next T frames' log-probabilities: out [T,n_classes] of logp [T,n_classes], another array.
 * What is below 1e-4, or no number, counts as 1e-4; what is above 1 as 1. */
void smoother_run(struct smoother *s, float *out, const float *logp, int T);

#endif
