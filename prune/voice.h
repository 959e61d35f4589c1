// SPDX-License-Identifier: MIT
/* voice.h - speech of a bank's speakers, put in place in a meeting, sample by sample.
 *
 * A speaker played faster or slower, pitch and all, counts as another, and so does one of
 * another vocal tract: a voice's number is (speaker * n_tracts + tract) * n + speed. Speed 0
 * and tract 0 are the speech as it was recorded. Each stretch has a manner of its own beside.
 * Thread: any, after open. */
#ifndef VOICE_H
#define VOICE_H

#include "prune/speech_bank.h"
#include "prune/tract.h"

#include <stdint.h>

enum { VOICE_MOST = 7, VOICE_TRACTS = 3, VOICE_PHASES = 100, VOICE_TAPS = 32 };

/* Percent that a stretch may be played at, and the steps above 100 that filters are made for. */
enum { VOICE_SLOWEST = 60, VOICE_FASTEST = 160, VOICE_BAND = 5 };
enum { VOICE_BANDS = (VOICE_FASTEST - 100) / VOICE_BAND + 1 };

/* The voices of a speaker, and interpolation at a hundredth of a sample. */
struct voice_filters {
    int n;                   // speeds: 1, 3, 5 or 7
    int percent[VOICE_MOST]; // of the speed; the first is 100
    float taps[VOICE_BANDS][VOICE_PHASES][VOICE_TAPS]; // for speeds up to 100 + VOICE_BAND i percent
    int n_tracts;            // 1 or 3
    int resonance[VOICE_TRACTS]; // percent of the recorded ones; the first is 100
    struct tract tract;
};

/* -1 with err: there is no such set of voices, or no memory. */
int voice_filters_open(struct voice_filters *f, int n, int n_tracts, struct error *err);

/* Zeroed filters may be closed. */
void voice_filters_close(struct voice_filters *f);

/* The parts of a voice's number. */
int voice_speaker(const struct voice_filters *f, int voice);
int voice_tract(const struct voice_filters *f, int voice);
int voice_speed(const struct voice_filters *f, int voice);

/* A stretch of a piece in a meeting. */
struct stretch {
    int64_t start;   // sample of the meeting where it begins, a multiple of ACTIVITY_STEP
    int n;           // samples there
    const struct piece *piece;
    int from, to;    // steps of the piece
    float gain;
    int percent;     // of the speed
    float resonance; // of what is played so, times the ones it has
    float tilt;      // dB about 3 kHz
    float colour;    // dB, deviation of its bands (biquad.h); 0: none
    uint64_t colour_seed;
    int speaker;     // of the meeting
};

/* Samples that so many steps of a piece take at a speed of so many percent. */
int voice_length(int n_steps, int percent);

/* The whole stretch into dst [s->n], at its gain, the ends faded over 5 ms; raw [s->n] is
 * scratch. */
void voice_render(float *dst, float *raw, const struct stretch *s, const struct voice_filters *f);

/* dst [n]: what src [n_src] becomes at a speed; zeros follow its end. */
void voice_resample(float *dst, int64_t n, const float *src, int64_t n_src, int percent,
                    const struct voice_filters *f);

/* 1 if there is speech at that sample of the meeting. */
int voice_speaks(const struct stretch *s, int64_t at);

#endif
