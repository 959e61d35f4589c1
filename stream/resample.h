// SPDX-License-Identifier: MIT
/* resample.h - ticks of any rate and channel count to 16 kHz mono samples.
 *
 * The channels are mixed down first (their mean, or one of them), so only one
 * channel is resampled. libsamplerate is fed in quanta of 10 ms, and keeps the
 * rest until more arrives: the samples have the same bits however the ticks
 * were cut. 16 kHz passes untouched, at once.
 *
 * Sample k stands for the moment k / 16000 s: the filter's delay is taken out.
 * At the end n ticks have become round(n * 16000 / rate) samples.
 * Thread: one at a time; real-time safe but for open and close. */
#ifndef RESAMPLE_H
#define RESAMPLE_H

#include "model/error.h"

#include <stddef.h>
#include <stdint.h>

enum { RESAMPLE_MIN_HZ = 1000, RESAMPLE_MAX_HZ = 768000, RESAMPLE_MAX_CHANNELS = 64 };

struct resampler {
    int rate_hz, channels;
    int channel;                 // 0: the mean of all; k: channel k alone, from 1
    struct SRC_STATE_tag *state; // NULL: 16 kHz
    float *pending;              // [quantum] mono ticks that wait for their quantum
    size_t quantum, n_pending;   // ticks
    uint64_t n_in, n_out;        // ticks mixed, samples made since the start
};

/* Rate, channel count and channel are checked: they may come from a file. */
int resampler_open(struct resampler *r, int rate_hz, int channels, int channel, struct error *err);

/* A zeroed resampler may be closed. */
void resampler_close(struct resampler *r);

/* As after open, without allocation. */
void resampler_reset(struct resampler *r);

/* Room that resampler_process needs for the samples of n ticks, and that
 * resampler_finish needs for those of n = 0. */
size_t resampler_room(const struct resampler *r, size_t n_ticks);

/* Takes ticks [n_ticks, channels], which must be finite, and writes the
 * samples that are ready. Returns how many. */
size_t resampler_process(struct resampler *r, float *samples, const float *ticks, size_t n_ticks);

/* The stream has ended: writes the samples that still waited for ticks after
 * them. Returns how many. Only reset or close may follow. */
size_t resampler_finish(struct resampler *r, float *samples);

#endif
