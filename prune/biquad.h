// SPDX-License-Identifier: MIT
/* biquad.h - second-order filters, as in R. Bristow-Johnson's Audio EQ Cookbook. Thread: any. */
#ifndef BIQUAD_H
#define BIQUAD_H

#include "model/random.h"

#include <stdint.h>

struct biquad {
    float b0, b1, b2, a1, a2; // a0 = 1
    float z1, z2;             // state
};

/* At 16 kHz; hz below 7900. Q of 0.7071 is Butterworth's. */
struct biquad biquad_low_pass(float hz, float q);
struct biquad biquad_high_pass(float hz, float q);
struct biquad biquad_peak(float hz, float q, float db);

/* In place; the state goes on from the last call. */
void biquad_run(struct biquad *f, float *samples, int64_t n);

enum { BIQUAD_BANDS = 4 };

/* What microphones, rooms and the turn of a head do to a sound: a peak or a dip in each band of
 * about two octaves, its gain normal with a deviation of db. */
struct biquad_colour {
    struct biquad band[BIQUAD_BANDS];
};

struct biquad_colour biquad_draw_colour(float db, struct random *rng);
void biquad_run_colour(struct biquad_colour *c, float *samples, int64_t n);

#endif
