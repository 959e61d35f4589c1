// SPDX-License-Identifier: MIT
/* source.h - where the audio comes from: a device, a file, or standard input.
 *
 * All of them write interleaved ticks, at their own rate, into one ring, from
 * a thread of their own (PortAudio's callback, or a feeder), and the worker
 * reads them here. A device cannot wait: when the ring is full the newest
 * ticks are lost, counted, and stand as silence at their place in time. Files
 * and standard input wait instead, and lose nothing.
 *
 * main opens, starts, stops and closes; the worker reads, waits and asks. */
#ifndef SOURCE_H
#define SOURCE_H

#include "model/error.h"
#include "stream/pcm.h"

#include <stddef.h>
#include <stdint.h>

struct source;

struct source_settings {
    const char *device; // index, name or unique part of it; NULL: the default microphone
    const char *input;  // audio file, "-" for raw PCM on standard input, NULL: the device
    int fast;           // a file comes as fast as it is read, not at its own pace
    int channel;        // checked here, used by the resampler: 0 mixes all, k takes channel k
    int ring_ms;        // how late the worker may be before a device loses audio
    int rate_hz;        // of standard input
    int channels;       // of standard input
    const char *format; // of standard input, as in pcm.h; NULL: s16le, unless a header comes
};

/* The default microphone, 4 s of ring; standard input: 16 kHz mono. */
struct source_settings source_defaults(void);

/* Opens the device or file, learns its rate and channels, takes all memory.
 * The strings in settings need not outlive the call. */
int source_open(struct source **source, const struct source_settings *settings,
                struct error *err);

/* Starts the flow; stream time 0 is the first tick from here. Once only, and
 * before the worker begins. */
int source_start(struct source *s, struct error *err);

/* Ends the flow. The worker still reads what has arrived, then sees the end.
 * May be called again, or before source_start.  Thread: main. */
void source_stop(struct source *s);

/* Stops, and gives everything back; clears *s, which may be NULL already. The
 * worker must have left. */
void source_close(struct source **s);

/* What was opened: the device's name, the file's path, or "stdin". Constant
 * after opening.  Thread: any. */
const char *source_name(const struct source *s);
int source_rate_hz(const struct source *s);
int source_channels(const struct source *s);
int source_is_live(const struct source *s); // 1: a device, that cannot wait for us

/* Moves at most n ticks into dst [n, channels], lost ones as silence, what
 * is no number as 0. Returns how many: 0 when there is nothing yet, or no
 * more.  Thread: worker; real-time safe. */
size_t source_read(struct source *s, float *dst, size_t n_ticks);

/* Sleeps until there is something to read, at most about ms. Returns 0 once
 * the source has ended and all is read.  Thread: worker. */
int source_wait(struct source *s, int ms);

/* 1 when the source has ended and all is read.  Thread: worker. */
int source_ended(struct source *s);

/* 1 with the text when the source broke off: the device gone, the file damaged,
 * no audio on standard input. Ask when it has ended.  Thread: any. */
int source_failed(const struct source *s, struct error *err);

/* Unix time at which that tick (counted from the start, lost ones included)
 * was captured; best for ticks of the last seconds. For files and standard
 * input it is the time of the start, and the tick's time in it.
 * Thread: worker; main once the worker has left. */
double source_wall(struct source *s, int64_t tick);

/* Counts since the start.  Thread: any. */
struct source_counts {
    int64_t captured_ticks; // all that came, lost ones included
    int64_t lost_ticks;     // those that stand as silence
    int overruns;           // times the ring or the driver overflowed
    int64_t bad_samples;    // numbers that were no samples, and became 0
};
struct source_counts source_counts(const struct source *s);

#endif
