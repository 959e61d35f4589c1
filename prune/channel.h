// SPDX-License-Identifier: MIT
/* channel.h - what becomes of speech on its way into a file: noise, a
 * microphone's colour, the band of the line, the level, dither.
 *
 * Simulated meetings and recorded ones go through the same. Thread: any. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "model/random.h"
#include "prune/convolve.h"
#include "prune/sound_bank.h"

struct channel_settings {
    float p_noise;              // noise from the bank, if there is one
    float p_noise_room;         // of that: heard through a room of its own
    float p_hiss;               // stationary noise of a drawn slope
    float snr_low, snr_high;    // dB, of either, to the speech
    float eq_db;                // standard deviation of each of four bands' gains
    float p_telephone;          // 300-3400 Hz, half of them with mu-law steps
    float p_lowpass;            // 2.5-7 kHz, as lossy coders do it
    float level_low, level_high; // dB of full scale, of the speech
    float p_clip;               // amplified until its peaks are cut off
};

#define CHANNEL_DEFAULTS                                                                           \
    {.p_noise = 0.6f, .p_noise_room = 0.5f, .p_hiss = 0.5f, .snr_low = 0.0f, .snr_high = 45.0f,    \
     .eq_db = 3.0f, .p_telephone = 0.08f, .p_lowpass = 0.14f, .level_low = -40.0f,                 \
     .level_high = -14.0f, .p_clip = 0.02f}

/* The range of dither's root mean square: digital silence, amplified by one
 * normalisation after another, would drive a network's gradients to 1e11. */
#define DITHER_LOW 0.5e-4f
#define DITHER_HIGH 2.5e-4f

/* Does all of that to samples [n], whose speech has that mean square (0: there
 * is none). */
void channel_apply(float *samples, int64_t n, double speech_power,
                   const struct channel_settings *s, const struct sound_bank *noise,
                   const struct convolver *c, struct convolve_space *space,
                   struct response *scratch, struct random *rng);

/* A drawn colour put on a response: four bands of eq_db. It grows by a few taps. */
void channel_colour(struct response *r, float eq_db, struct random *rng);

#endif
