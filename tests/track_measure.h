// SPDX-License-Identifier: MIT
/* track_measure.h - what a tracker made of a recording, against the reference. */
#ifndef TRACK_MEASURE_H
#define TRACK_MEASURE_H

#include "stream/score.h"

struct measure {
    struct score score;
    int n_switches;    // see below
    int n_speakers;    // of the system that spoke 5 s or more
    int n_reference;   // likewise
    double hours;
};

/* A switch: in frames where one speaker alone speaks and the system has one alone,
 * the reference's speaker has another number than when last in such a frame. Frames
 * are 20 ms; a number must hold for 5 of them to count. */
int measure_recording(struct measure *m, const struct recording *reference,
                      const struct recording *system, const struct recording *uem,
                      struct error *err);

void measure_pool(struct measure *total, const struct measure *one);

#endif
