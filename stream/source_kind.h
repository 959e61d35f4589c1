// SPDX-License-Identifier: MIT
/* source_kind.h - what the kinds of source share; for stream/source*.c only. */
#ifndef SOURCE_KIND_H
#define SOURCE_KIND_H

#include "stream/ring.h"
#include "stream/source.h"

#include <pthread.h>
#include <stdatomic.h>

/* Ticks that were lost in front of a position of the ring. */
struct gap {
    size_t position; // ticks written before it
    size_t n;
};

struct source_kind {
    int live;
    /* Learns rate, channels and name. */
    int (*open)(struct source *s, const struct source_settings *settings, struct error *err);
    int (*start)(struct source *s, struct error *err);
    void (*stop)(struct source *s);  // delivers nothing afterwards; may be called twice
    void (*close)(struct source *s); // frees what open took; s may be half open
};

struct source {
    const struct source_kind *kind;
    void *own; // the kind's
    int rate_hz, channels, fast;
    char name[256];

    struct ring ring; // of ticks
    float *storage;
    struct ring gaps;
    struct gap gap_storage[64];
    size_t pending;        // writer: lost ticks not yet told by a gap
    struct gap gap;        // reader: the next gap, if has_gap
    int has_gap;
    size_t position;       // reader: ticks taken from the ring

    atomic_llong lost_ticks, bad_samples;
    atomic_int overruns, ended, stopping, failed;
    struct error failure;  // written before failed is set

    /* When a tick was captured: a sequence lock, odd while it is written. */
    atomic_uint clock_sequence;
    atomic_llong clock_tick;
    _Atomic double clock_wall;
    pthread_t thread;      // of a feeder
    int has_thread;
};

extern const struct source_kind source_kind_device, source_kind_file, source_kind_stdin;

/* Moves ticks in and counts those that find no room. Thread: callback; real-time safe. */
void source_offer(struct source *s, const float *ticks, size_t n);

/* Moves all ticks in, waiting for room; returns -1 if the source is being
 * stopped.  Thread: feeder. */
int source_feed(struct source *s, const float *ticks, size_t n);

/* Says when a tick was captured. Thread: callback or feeder; real-time safe. */
void source_set_clock(struct source *s, int64_t tick, double wall);

/* Ends the source because of an error. Thread: feeder or main. */
void source_fail(struct source *s, const struct error *err);

double source_now(void); // Unix seconds

#endif
