// SPDX-License-Identifier: MIT
/* sink.h - where the reports go: one thread and one ring a sink.
 *
 * The worker pushes a copy of every report to every sink and never waits, but
 * for a recording played as fast as it goes (`wait`), where a full ring means
 * that the worker is ahead. A sink that fails is closed and told of once; the
 * others do not notice.
 *
 * A tap is a sink without a thread: somebody else, the view, reads its ring. */
#ifndef SINK_H
#define SINK_H

#include "stream/report.h"
#include "stream/ring.h"

#include "model/error.h"

#include <pthread.h>

enum { SINKS_MAX = 24 };

struct sink;

struct sink_kind {
    const char *name;
    /* On the sink's own thread. open may fail for good (-1) with err; take may
     * fail for good (-1) or tell of a passing trouble (1), both with err. */
    int (*open)(struct sink *s, struct error *err);
    int (*take)(struct sink *s, const struct report *r, struct error *err);
    /* Ends it; what cannot be flushed is a failure. May be called half open. */
    int (*close)(struct sink *s, struct error *err);
};

struct sink {
    const struct sink_kind *kind; // NULL: a tap
    char target[512];             // path or URL
    void *own;                    // the kind's
    struct ring ring;             // of struct report
    struct report *storage;
    pthread_t thread;
    int has_thread;
    atomic_int dropped;           // reports that found no room
    atomic_int ended, failed, finished;
    atomic_int told;              // 0 nothing to tell, 1 there is, 2 told
    struct error trouble;         // written before told becomes 1
};

struct sinks {
    struct sink *list[SINKS_MAX];
    int n;
    int wait; // 1: push waits for room
};

extern const struct sink_kind sink_rttm, sink_jsonl, sink_osc;

/* Adds a sink; kind NULL: a tap. Files are opened now, so that a bad path is
 * known at once; networks later, on the sink's thread.  Thread: main. */
int sinks_add(struct sinks *s, const struct sink_kind *kind, const char *target,
              struct error *err);

/* Starts the threads.  Thread: main. */
int sinks_start(struct sinks *s, struct error *err);

/* Copies a report to every sink.  Thread: worker; no allocation. */
void sinks_push(struct sinks *s, const struct report *r);

/* The next report of a tap; 0 if there is none.  Thread: its reader. */
int sink_take(struct sink *tap, struct report *r);

/* The next trouble that nobody was told of: 1 with the text.  Thread: main. */
int sinks_next_trouble(struct sinks *s, struct error *err);

/* Waits until all is written, at most a second for one that is stuck, and
 * frees. Returns -1 with err if a file could not be written.  Thread: main,
 * after the worker has ended. */
int sinks_close(struct sinks *s, struct error *err);

#endif
