// SPDX-License-Identifier: MIT
/* reconstruct.h - from slots with their persons to who speaks in each frame.
 *
 * A person's activation is the number of windows that hear them in the frame, or the sum
 * of their weights there; the count says how many speak, and as many of the most active do,
 * the lower number first among equals. Nobody speaks whom no window hears; with compat (upstream's)
 * the count is obeyed all the same, and makes speech of phantoms.
 * Thread: any. */
#ifndef RECONSTRUCT_H
#define RECONSTRUCT_H

#include "stream/heard.h"
#include "stream/windows.h"

#include "model/error.h"

struct reconstruction {
    int64_t n_frames;
    int n_columns;      // persons; 0: nobody speaks at all
    float *activations; // [n_frames,n_columns]
    uint8_t *speaks;    // [n_frames,n_columns]
};

/* label [n_windows,n_slots]: a person from 0, below 0 nobody (in compat an index from
 * behind, as in Python, but for CLUSTER_NONE); count [n_frames] of the windows' grid;
 * weights [window's frames] or NULL: 1. */
int reconstruct(struct reconstruction *r, const struct heard *h, const struct windows *w,
                const int *label, const uint8_t *count, const double *weights, int compat,
                struct error *err);

/* A zeroed one may be released. */
void reconstruction_release(struct reconstruction *r);

#endif
