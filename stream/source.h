// SPDX-License-Identifier: MIT
/* source.h - where the audio comes from: a capture device, a file, stdin.
 *
 * Whatever it is, somebody writes interleaved ticks into one lock-free ring:
 * the driver's callback, or a feeder thread that reads a file or stdin. The
 * worker reads them. A callback never waits: when the ring is full it drops the
 * newest ticks and counts them, and they stand as silence at their place. A
 * feeder waits instead.
 *
 * A file is played at its own pace by the monotonic clock, or with `fast` as
 * fast as the worker takes it. stdin is read as it comes. */
#ifndef SOURCE_H
#define SOURCE_H

#include "model/error.h"

#include <stddef.h>
#include <stdint.h>

struct source_settings {
    const char *device; // index, name or part of a name; NULL: the default device
    const char *input;  // file, "-" for raw PCM on stdin, NULL: the device
    int fast;
    int rate_hz;        // of stdin, default 16000
    int channels;       // of stdin, default 1
    const char *format; // of stdin: u8 s16le s24le s32le f32le f64le; NULL: s16le
};

struct source_settings source_defaults(void);

struct source;

/* Opens the device or file and learns its rate and channels.  Thread: main. */
int source_open(struct source **s, const struct source_settings *settings, struct error *err);

/* Begins to deliver.  Thread: main. */
int source_start(struct source *s, struct error *err);

/* Ends delivering; the worker finds the source ended.  Thread: main. */
void source_stop(struct source *s);

/* Stops, and frees.  Thread: main, after the worker has ended. */
void source_close(struct source **s);

int source_rate_hz(const struct source *s);
int source_channels(const struct source *s);
const char *source_name(const struct source *s); // device, file name, "stdin"
int source_is_live(const struct source *s);      // 1: it cannot wait for us

/* At most n ticks, interleaved, silence for lost ones; NaN and infinity become
 * 0. Returns how many.  Thread: worker; real-time safe. */
size_t source_read(struct source *s, float *dst, size_t n);

/* Sleeps until there is something to read, at most about ms. Returns 0 once the
 * source has ended and all is read.  Thread: worker. */
int source_wait(struct source *s, int ms);

/* Ticks lost, times the driver or the ring overflowed, samples that were no
 * numbers.  Thread: any. */
struct source_counts {
    int64_t lost_ticks;
    int overruns;
    int64_t bad_samples;
};
struct source_counts source_counts(const struct source *s);

/* Unix time at which a tick was captured (or played).  Thread: any. */
double source_wall(const struct source *s, int64_t tick);

/* 1 with the text if the source broke off: a device gone, a read error. Thread: main. */
int source_failed(const struct source *s, struct error *err);

#endif
