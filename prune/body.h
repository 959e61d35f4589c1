// SPDX-License-Identifier: MIT
/* body.h - what people are heard to do besides speaking: they breathe, laugh and stir.
 *
 * Nobody counts it as speech (AMI's reference marks words only), but it comes from
 * where the speaker is and at a level to be taken for speech. All sounds are
 * synthetic: a breath is noise with two resonances; a laugh is a row of bursts, 3.5
 * to 6.5 a second, of pulses and noise through three formants (J.-A. Bachorowski et
 * al., The acoustic features of human laughter, JASA 110, 2001, gives the ranges);
 * a stir is a knock (modes that die away), a rustle (noise in grains) or a cough
 * (noise through two resonances, in one to three bursts); a blow is what air and hands
 * do to a microphone itself: a rumble in swells, which falls by 12 or 24 dB an octave
 * above a corner of 30 to 300 Hz, and may be louder than speech. Thread: any. */
#ifndef BODY_H
#define BODY_H

#include "model/random.h"
#include "prune/voice.h"

enum { BODY_MOST = 48000 }; // samples of the longest

struct body_settings {
    float p_breath;              // before a turn that begins after a pause
    float breaths;               // a minute, of one who listens
    float laughs;                // a minute, of everybody who is there
    float p_join;                // a speaker laughs with the others
    float stirs;                 // a minute, of one who listens
    float blows;                 // a minute, of one who listens
    float breath_low, breath_high; // dB to the speaker's speech, drawn for each speaker
    float laugh_low, laugh_high; // dB, drawn for each laugh
    float stir_low, stir_high;   // dB, drawn for each stir
    float blow_low, blow_high;   // dB, drawn for each blow
};

/* Without blows. */
#define BODY_DEFAULTS                                                                              \
    {.p_breath = 0.5f, .breaths = 4.0f, .laughs = 0.8f, .p_join = 0.5f, .stirs = 2.0f,             \
     .breath_low = -45.0f, .breath_high = -12.0f, .laugh_low = -16.0f, .laugh_high = 2.0f,         \
     .stir_low = -35.0f, .stir_high = 0.0f, .blow_low = -30.0f, .blow_high = 12.0f}

enum body_kind { BODY_BREATH, BODY_LAUGH, BODY_STIR, BODY_BLOW };

struct body_sound {
    int64_t start;  // sample of the meeting
    int n;          // samples, at most BODY_MOST
    int speaker;    // of the meeting
    enum body_kind kind;
    float gain;
    uint64_t seed;  // of its sound
};

/* Sorted by speaker, then start; no two of a speaker overlap, nor does one his speech. */
struct body_plan {
    struct body_sound *sounds; // [n]
    int n, room;
};

/* For a meeting of samples [0, n): stretches [n_stretches] sorted by speaker, then
 * start. The plan's memory is used again; freed with body_plan_release. -1 with err:
 * no memory. */
int body_plan_draw(struct body_plan *plan, const struct body_settings *s,
                   const struct stretch *stretches, int n_stretches, int n_speakers, int64_t n,
                   struct random *rng, struct error *err);
void body_plan_release(struct body_plan *plan);

/* dst [s->n] of mean square s->gain^2. */
void body_render(float *dst, const struct body_sound *s);

#endif
