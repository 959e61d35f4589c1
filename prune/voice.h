// SPDX-License-Identifier: MIT
/* voice.h - speech of a bank's speakers, put in place in a meeting, sample by sample.
 *
 * A speaker played faster or slower, pitch and all, counts as another: of n
 * voices of each speaker, voice v is speaker v / n at speed number v % n. Number
 * 0 is the speech as it was recorded.
 * Thread: any. */
#ifndef VOICE_H
#define VOICE_H

#include "prune/speech_bank.h"

#include <stdint.h>

enum { VOICE_MOST = 7, VOICE_PHASES = 100, VOICE_TAPS = 32 };

/* So many voices of a speaker, and interpolation at a hundredth of a sample for each. */
struct voice_filters {
    int n;                   // 1, 3, 5 or 7
    int percent[VOICE_MOST]; // of the speed; the first is 100
    float taps[VOICE_MOST][VOICE_PHASES][VOICE_TAPS];
};

/* -1 with err: there is no set of n voices. */
int voice_filters_make(struct voice_filters *f, int n, struct error *err);

/* A stretch of a piece in a meeting. */
struct stretch {
    int64_t start;   // sample of the meeting where it begins, a multiple of ACTIVITY_STEP
    int n;           // samples there
    const struct piece *piece;
    int from, to;    // steps of the piece
    float gain;
    int speed;       // number of the speed
    int speaker;     // of the meeting
};

/* Samples that so many steps of a piece take at a speed. */
int voice_length(const struct voice_filters *f, int n_steps, int speed);

/* Adds what falls into [from, from + n) to dst [n]. The ends are faded over 5 ms. */
void voice_add(float *dst, int64_t from, int n, const struct stretch *s,
               const struct voice_filters *f);

/* dst [n]: what src [n_src] becomes at a speed; zeros follow its end. */
void voice_resample(float *dst, int64_t n, const float *src, int64_t n_src, int speed,
                    const struct voice_filters *f);

/* 1 if there is speech at that sample of the meeting. */
int voice_speaks(const struct voice_filters *f, const struct stretch *s, int64_t at);

#endif
