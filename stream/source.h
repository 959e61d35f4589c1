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
    const char *input;  // NULL: the device; "-": standard input; else an audio file
    int fast;           // a file comes as fast as it is read, not at its own pace
    int channel;        // 0: all will be mixed; k: channel k alone; checked here, from 1
    int ring_ms;        // how late the worker may be before a device loses audio

    // Of standard input only, which is raw PCM.
    int rate_hz, n_channels;
    enum pcm_format format;
    int format_is_said; // 0: a file header on standard input is refused with a hint
};

/* The default microphone, 4 s of ring; standard input: 16 kHz mono s16le. */
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
int source_n_channels(const struct source *s);

/* Moves at most n ticks into dst [n, n_channels], lost ones as silence, what
 * is no number as 0. Returns how many: 0 when there is nothing yet, or no
 * more.  Thread: worker; real-time safe. */
size_t source_read(struct source *s, float *dst, size_t n_ticks);

/* Sleeps until there is something to read, or the end, or the time is over.
 * Returns 1 in the first two cases.  Thread: worker. */
int source_wait(struct source *s, int timeout_ms);

/* 1 when all has been read and nothing will come.  Thread: worker. */
int source_ended(struct source *s);

/* 0, or -1 with err filled when the source broke: device unplugged, file
 * damaged, no audio on standard input. Ask when it has ended.  Thread: any. */
int source_failure(const struct source *s, struct error *err);

/* Unix time at which that tick (counted from the start, lost ones included)
 * was captured; best for ticks of the last seconds. For files and standard
 * input it is the time of the start, and the tick's time in it.
 * Thread: worker. */
double source_wall_time(struct source *s, uint64_t tick);

/* Counts since the start.  Thread: any. */
uint64_t source_n_captured(const struct source *s);   // ticks that came, lost ones included
uint64_t source_n_lost(const struct source *s);       // ticks that stand as silence
int source_n_overruns(const struct source *s);        // times the ring or the driver overflowed
uint64_t source_n_not_finite(const struct source *s); // samples that were no numbers

#endif
