// SPDX-License-Identifier: MIT
/* activity.h - where in a recording of one person there is speech.
 *
 * By energy alone, for the clean recordings that meetings are simulated from;
 * every threshold is relative to the recording itself. One byte per step of
 * 10 ms: 0 for a pause, else the level of the speech in half decibels above
 * -127.5 dB of full scale. Thread: any. */
#ifndef ACTIVITY_H
#define ACTIVITY_H

#include <stddef.h>
#include <stdint.h>

enum { ACTIVITY_STEP = 160, ACTIVITY_HZ = 100 }; // samples, steps a second

/* Steps of n samples; the last may be part of one. */
size_t activity_steps(size_t n_samples);

/* Fills activity [activity_steps(n)]. */
void activity_find(uint8_t *activity, const float *samples, size_t n);

/* Mean square of the samples of the steps that are speech, 0 if none is. */
double activity_power(const uint8_t *activity, const float *samples, size_t n);

#endif
