// SPDX-License-Identifier: MIT
/* source_kind.h - the inside of a source: for the kinds, and for their tests.
 *
 * One thread writes (callback or feeder), one reads (worker), main holds both.
 * They meet in two rings, ticks and gaps, and in the atomics below. A gap says
 * that so many ticks were lost before the written tick of that number; it is
 * published before any tick that follows it, so the reader always meets it in
 * time. A gap that cannot be published yet grows meanwhile. */
#ifndef SOURCE_KIND_H
#define SOURCE_KIND_H

#include "model/arena.h"
#include "stream/audio_file.h"
#include "stream/ring.h"
#include "stream/source.h"

#include <portaudio.h>
#include <pthread.h>

enum { SOURCE_N_GAPS = 256, SOURCE_FEED_PER_SECOND = 100 };

enum source_state { SOURCE_RUNNING, SOURCE_ENDED, SOURCE_FAILED };

struct gap {
    uint64_t position; // ticks written before it
    uint64_t n_ticks;  // lost
};

/* When a tick was captured, in the stream's own clock: written by the callback,
 * read by the worker, without a lock (a sequence lock: odd while it is written,
 * and the reader tries again). */
struct capture_clock {
    _Atomic unsigned sequence; // 0: nothing yet
    _Atomic uint64_t tick;
    _Atomic double seconds;
};

struct source_kind {
    const char *name;
    /* Fills name, rate_hz and channels. Main. */
    int (*open)(struct source *s, const struct source_settings *settings, struct error *err);
    int (*start)(struct source *s, struct error *err);
    /* Ends the writing thread, whether it was started or not. Main. */
    void (*stop)(struct source *s);
    void (*close)(struct source *s);
    /* Notices that the source broke; NULL when its thread says so itself. Worker. */
    void (*look)(struct source *s);
    /* The stream's own clock now; NULL when there is none. Worker. */
    double (*clock_seconds)(struct source *s);
    /* Feeders: the next ticks, at most one feed; 0 at the end, -1 when broken. Feeder. */
    long (*pull)(struct source *s, float *dst, size_t n_ticks, struct error *err);
};

extern const struct source_kind source_device, source_file, source_stdin;

struct source {
    const struct source_kind *kind;
    char name[4096];
    int rate_hz, channels;
    int fast;
    int started;                 // main only
    struct arena memory;
    struct ring ticks, gap_ring;

    // The writer's.
    struct gap pending;          // lost, and not published yet
    uint64_t n_written;          // ticks
    _Atomic uint64_t n_captured; // stored after what it counts
    _Atomic uint64_t n_lost;
    _Atomic int n_overruns;
    struct capture_clock clock;
    _Atomic int state;           // enum source_state; stored last
    struct error failure;        // constant once state is SOURCE_FAILED

    // The worker's.
    struct gap gap;              // the next one; n_ticks 0: not known
    uint64_t n_taken;            // written ticks
    uint64_t n_read;             // ticks, lost ones included
    _Atomic uint64_t n_bad;
    double clock_offset;         // Unix time less the stream's clock, at last sight; or NAN
    int clock_is_known;

    double start_wall;           // Unix time; constant after the start
    double start_monotonic;

    // Each kind's own.
    PaStream *stream;
    int pa_begun, is_jack;
    int abandoned;               // left to PortAudio with all its memory: see device_stop
    double latency_seconds;      // of the device
    struct audio_file file;
    enum pcm_format format;
    int format_is_said;          // else a file header is refused
    unsigned char *bytes;        // [feed, channels] raw, with n_bytes waiting
    size_t n_bytes, bytes_room;
    pthread_t feeder;
    int feeder_runs;             // main only
    _Atomic int stopping;
    float *feed;                 // [feed_ticks, channels]
    size_t feed_ticks;
};

/* Takes the memory for a source whose rate and channels are known. */
int source_allocate(struct source *s, int ring_ms, struct error *err);

/* Writes what came, and keeps the place of what does not fit.  Thread: callback. */
void source_put(struct source *s, const float *ticks, size_t n_ticks);

/* Ends the writing, once: later ends change nothing. A failure's text stands
 * in s->failure before.  Thread: the writer; or worker or main, when the writer has
 * come to its end. */
void source_finish(struct source *s, enum source_state state);

/* The callback that PortAudio calls.  Thread: callback. */
int source_on_ticks(const void *input, void *output, unsigned long n_ticks,
                    const PaStreamCallbackTimeInfo *time, PaStreamCallbackFlags flags,
                    void *user);

/* The thread that pulls from a file or standard input, and waits where needed. */
int feeder_start(struct source *s, struct error *err);
void feeder_stop(struct source *s);

void sleep_seconds(double seconds);

#endif
