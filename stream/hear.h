// SPDX-License-Identifier: MIT
/* hear.h - runs a model over all windows of a recording and keeps what it heard.
 *
 * Each window is one block on a fresh state, its hard decisions median-filtered;
 * a slot's vector is the mean of the model's own vectors over the frames where it
 * speaks alone (all its frames, if it hardly ever does); or it is a speaker network's,
 * of the same frames. With a live model part of it is what a listener has of those frames
 * (through.h). Windows are shared by threads, each with a state of its own; what comes out
 * does not depend on how many. Memory: a window of audio and a forward pass a thread, and
 * some two kilobytes a window. Thread: any, one file each. */
#ifndef HEAR_H
#define HEAR_H

#include "model/model.h"
#include "model/resnet.h"
#include "stream/heard.h"
#include "stream/windows.h"

#include <stdatomic.h>

struct hear_settings {
    const struct model *model; // for blocks of a window: reach_offline(windows.n_samples)
    const struct model *live;     // or NULL: the same model, for blocks, to go through besides;
                                  // not looked at with a network
    const struct resnet *network; // or NULL: the model's own vectors
    struct windows windows;
    int channel;               // of the file, from 1; 0: the mean of all
    int n_threads;
    int compat;                // upstream's: the last window is filled up with silence, and
                               // slots that do not speak have a vector too
    atomic_llong *samples;     // counts up by those of the recording that were heard, or NULL
};

/* *seconds: the recording's length. h is the caller's to release, also a zeroed one. */
int hear(struct heard *h, double *seconds, const char *path, const struct hear_settings *s,
         struct error *err);

void heard_release(struct heard *h);

#endif
