// SPDX-License-Identifier: MIT
/* track_hear.h - what a model hears in a recording, block by block as live:
 * what goes into the tracker, kept in a file so that trackers can be compared
 * without computing it again. */
#ifndef TRACK_HEAR_H
#define TRACK_HEAR_H

#include "model/model.h"

struct heard {
    int n_frames, n_local, embedding; // embedding 0: the model has no vectors
    float *prob;    // [n_frames,n_local]
    float *vectors; // [n_frames,embedding]
};

/* steady_seconds: as `stream` smooths. cache: a file to read it from, or to write it to; NULL: none. */
int hear(struct heard *h, const struct model *m, double steady_seconds, const char *audio,
         const char *cache, struct error *err);
void heard_release(struct heard *h);

#endif
