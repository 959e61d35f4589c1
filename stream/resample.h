// SPDX-License-Identifier: MIT
/* resample.h - interleaved ticks of any rate to 16 kHz mono, by libsamplerate.
 *
 * Channels are averaged, or one is taken. libsamplerate's result depends on how
 * its input is cut; it is therefore fed in portions of exactly 10 ms, and the
 * output has the same bits however the ticks arrive. 16 kHz passes untouched. */
#ifndef RESAMPLE_H
#define RESAMPLE_H

#include "model/error.h"

#include <samplerate.h>
#include <stddef.h>

struct resampler {
    SRC_STATE *state;  // NULL: the rate is 16 kHz already
    int rate_hz, channels;
    int channel;       // from 1; 0: the mean of all
    float *portion;    // [quantum] mono at the source's rate
    size_t quantum, fill;
};

/* Thread: main. */
int resampler_open(struct resampler *r, int rate_hz, int channels, int channel, struct error *err);
void resampler_close(struct resampler *r);

/* Samples that n ticks can make at most. */
size_t resampler_room(const struct resampler *r, size_t n);

/* Takes all n ticks; returns the samples made, at most resampler_room(n).
 * Thread: worker; no allocation. */
size_t resampler_process(struct resampler *r, float *dst, const float *ticks, size_t n);

/* The samples that are still inside at the end of the stream, at most
 * resampler_room(r, 0).  Thread: worker. */
size_t resampler_finish(struct resampler *r, float *dst);

#endif
