// SPDX-License-Identifier: MIT
/* sink.h - where the reports go: one thread and one ring a sink.
 *
 * The worker pushes a copy of every report to every sink and does not wait; what
 * finds no room is dropped and counted. Only where nothing is lost by waiting, for
 * a recording, it may (`wait`): as long as it takes for a patient sink (files,
 * and the tap), a second for one that seems stuck, never for one that has failed.
 *
 * A sink that fails is closed and told of once; the others do not notice. A tap
 * is a sink without a thread: somebody else, the view, reads its ring.
 *
 * Sink threads block all signals, write numbers in the C locale whatever the
 * terminal's is, and give up what they wait for when stop_fd becomes readable. */
#ifndef SINK_H
#define SINK_H

#include "stream/report.h"
#include "stream/ring.h"

#include "model/error.h"

#include <pthread.h>
#include <semaphore.h>

enum { SINKS_MAX = 24, SINK_TROUBLES = 8 };

struct sink;

struct sink_kind {
    const char *name;
    int patient; // 1: nothing may get lost that can still be written
    /* Takes what may fail at once, such as the file.  Thread: main. */
    int (*open)(struct sink *s, struct error *err);
    /* -1: fails for good; 1: tells of a trouble that may pass; both with err.
     * May block, but only where stop_fd is watched.  Thread: the sink's. */
    int (*take)(struct sink *s, const struct report *r, struct error *err);
    /* Ends it; what cannot be flushed is a failure. May be called half open, and
     * without any take.  Thread: the sink's, or main where it never ran. */
    int (*close)(struct sink *s, struct error *err);
};

struct sink {
    const struct sink_kind *kind; // NULL: a tap
    char target[512];             // path or URL
    void *own;                    // the kind's
    int stop_fd;                  // readable when all has to end at once
    struct ring ring;             // of struct report
    struct report *storage;
    pthread_t thread;
    int has_thread;
    sem_t wake;                   // one post a report, one for the end
    int stalled;                  // the worker has waited in vain
    atomic_int dropped;           // reports that found no room
    int told_dropped;
    atomic_int failed, finished;
    struct error failure;         // written before failed becomes 1
    struct ring troubles;         // of struct error; from the sink's thread to main
    struct error trouble_storage[SINK_TROUBLES];
};

struct sinks {
    struct sink *list[SINKS_MAX];
    int n;
    int wait;         // 1: push waits for room, see above
    int stop_fd;      // valid while n > 0
    atomic_int hurry;
};

/* rttm: one SPEAKER line a turn, when it has ended; when a plain file is closed, it is written
 * anew by start if two speakers were one, somebody had said what another was told to, or was named
 * after they first spoke.
 *
 * jsonl, one object a line (times in stream seconds, speakers from 1):
 *   start          version model source recording sample_rate block_ms time (UTC),
 *                  live (block-causal or window), window_ms (if window)
 *   activity       block start end level (dBFS) overlap, probabilities (of all
 *                  speakers, in order), speaking (numbers of those who speak)
 *   speaker_new    speaker name start
 *   speaker_on     speaker name start
 *   speaker_off    speaker name start end
 *   speaker_merge  speaker merged name: `merged` was `speaker` all along
 *   speaker_moved  speaker from name start end: what `from` was told to say there `speaker` said
 *   status         seconds dropped (samples) overruns load latency_ms; once a second
 *   end            end
 * A new name shows at the next event; after a reset speaker 1 is new again.
 *
 * osc: the messages of sink_osc.c, to osc.udp://HOST:PORT/, osc.tcp://HOST:PORT/ or
 * HOST:PORT, which is UDP. */
extern const struct sink_kind sink_rttm, sink_jsonl, sink_labels, sink_osc;

/* Adds a sink; kind NULL: a tap. Files are opened now, so that a bad path is
 * known at once; networks later, on the sink's thread.  Thread: main. */
int sinks_add(struct sinks *s, const struct sink_kind *kind, const char *target,
              struct error *err);

/* Starts the threads.  Thread: main. */
int sinks_start(struct sinks *s, struct error *err);

/* Copies a report to every sink.  Thread: worker; no allocation. */
void sinks_push(struct sinks *s, const struct report *r);

/* From now on push waits a second at most, for whatever sink: the stream is to
 * end although its outputs may be stuck.  Thread: any. */
void sinks_hurry(struct sinks *s);

/* The next report of a tap; 0 if there is none.  Thread: its reader. */
int sink_take(struct sink *tap, struct report *r);

/* The next trouble that nobody was told of: 1 with the text.  Thread: main. */
int sinks_next_trouble(struct sinks *s, struct error *err);

/* Waits until all is written, and frees. What makes no progress for a second is
 * given up, a network after one second in all. Returns -1 with err, the first
 * one's failure, if a file is not complete.  Thread: main, after the worker has
 * ended. */
int sinks_close(struct sinks *s, struct error *err);

#endif
