// SPDX-License-Identifier: MIT
/* engine.h - the worker: source -> resample -> step (and smooth) -> decode -> track -> sinks. The one
 * file that knows the order.
 *
 * One thread does all of it, block after block, and allocates nothing once it
 * runs. */
#ifndef ENGINE_H
#define ENGINE_H

#include "model/model.h"
#include "stream/control.h"
#include "stream/sink.h"
#include "stream/source.h"
#include "stream/track.h"

struct engine_settings {
    const struct model *model;  // with a readout; outlives the engine
    struct source *source;      // open, not started; likewise
    struct sinks *sinks;        // likewise
    struct control *control;    // or NULL
    struct tracker_settings track; // what the model says of itself is filled in
    const struct speakers *known; // enrolled, or NULL
    double steady_seconds;      // of the smoother (smooth.h); 0: none
    int channel;                // of the source, from 1; 0: the mean of all
    const char *model_name;
    int realtime;               // ask for SCHED_FIFO
    /* Called with every report on the worker's thread, or NULL; for tests. */
    void (*on_report)(void *user, const struct report *r);
    void *user;
};

struct engine;

/* Takes all memory that will be needed.  Thread: main. */
int engine_open(struct engine **e, const struct engine_settings *settings, struct error *err);

/* Starts the source and the worker.  Thread: main. */
int engine_start(struct engine *e, struct error *err);

/* 1 once the source has ended and everything was told.  Thread: main. */
int engine_ended(const struct engine *e);

/* Stops the source, and waits until the worker has told what it still knows. Thread: main. */
void engine_stop(struct engine *e);

/* After engine_stop.  Thread: main. */
void engine_close(struct engine **e);

/* The speakers that have names, after engine_stop, into an initialised set. Thread: main. */
int engine_speakers(const struct engine *e, struct speakers *known, struct error *err);

/* How it went, after engine_stop. */
struct engine_summary {
    double audio_seconds, compute_seconds;
    int64_t n_blocks;
    int realtime_refused; // errno of the refusal, 0: granted or not asked for
};
struct engine_summary engine_summary(const struct engine *e);

#endif
