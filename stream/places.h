// SPDX-License-Identifier: MIT
/* places.h - local speakers that keep their places from window to window.
 *
 * A model that encodes the last seconds anew at each step numbers its speakers
 * anew as well. Two windows in a row share most of their frames; of all orders
 * that one is taken in which the new window says there most nearly what the one
 * before said: the least sum of squared differences of the probabilities,
 * upstream's cost, over all permutations.
 *
 * Somebody who is heard in none of the shared frames has no place yet. They get
 * the free place that was heard last: rather somebody who comes back than
 * somebody new (a tracker with speaker vectors knows better).
 *
 * Thread: worker; no allocation after placing. */
#ifndef PLACES_H
#define PLACES_H

#include "model/arena.h"
#include "model/powerset.h"

struct places {
    int n_speakers, max_frames;
    float *prob;   // [n_frames,n_speakers] the last window's, by place
    float *before; // likewise, of the window before
    int64_t frame; // the last window's first
    int n_frames;
    int64_t heard[POWERSET_MAX_SPEAKERS]; // frame behind the last one with the place active; 0: none
    double cost[POWERSET_MAX_SPEAKERS * POWERSET_MAX_SPEAKERS]; // [local,place]
    int place[POWERSET_MAX_SPEAKERS]; // of the last window's local speakers
    void *scratch;
};

void places_place(struct places *p, int n_speakers, int max_frames, struct arena *arena);
void places_reset(struct places *p);

/* Takes a window's answer: afterwards prob is its activity, by place.
 *
 *   logp [n_frames,powerset->n_classes]  from `frame` on; windows begin and end no
 *                                 earlier than the one before */
void places_take(struct places *p, const float *logp, const struct powerset *powerset, int64_t frame,
                 int n_frames);

#endif
