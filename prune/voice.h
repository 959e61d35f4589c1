// SPDX-License-Identifier: MIT
/* voice.h - speech of a bank's speakers, put in place in a meeting, sample by sample.
 *
 * A speaker played at 0.9 or 1.1 of the speed, pitch and all, counts as
 * another: voice v is speaker v / 3 at speed 1.0, 0.9, 1.1 for v % 3 = 0, 1, 2.
 * Thread: any. */
#ifndef VOICE_H
#define VOICE_H

#include "prune/speech_bank.h"

#include <stdint.h>

enum { VOICE_SPEEDS = 3, VOICE_PHASES = 10, VOICE_TAPS = 32 };

/* Interpolation at a tenth of a sample, for 0.9 and for 1.1. */
struct voice_filters {
    float taps[2][VOICE_PHASES][VOICE_TAPS];
};

void voice_filters_make(struct voice_filters *f);

/* A stretch of a piece in a meeting. */
struct stretch {
    int64_t start;   // sample of the meeting where it begins, a multiple of ACTIVITY_STEP
    int n;           // samples there
    const struct piece *piece;
    int from, to;    // steps of the piece
    float gain;
    int speed;       // 0, 1, 2: as a voice's
    int speaker;     // of the meeting
};

/* Samples that so many steps of a piece take at a speed. */
int voice_length(int n_steps, int speed);

/* Adds what falls into [from, from + n) to dst [n]. The ends are faded over 5 ms. */
void voice_add(float *dst, int64_t from, int n, const struct stretch *s,
               const struct voice_filters *f);

/* dst [n]: what src [n_src] becomes at a speed; zeros follow its end. */
void voice_resample(float *dst, int64_t n, const float *src, int64_t n_src, int speed,
                    const struct voice_filters *f);

/* 1 if there is speech at that sample of the meeting. */
int voice_speaks(const struct stretch *s, int64_t at);

#endif
