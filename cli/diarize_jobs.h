// SPDX-License-Identifier: MIT
/* diarize_jobs.h - `diarize`: several files at once, each on a thread of its own. */
#ifndef DIARIZE_JOBS_H
#define DIARIZE_JOBS_H

#include "model/model.h"
#include "model/resnet.h"
#include "stream/engine.h"
#include "stream/offline.h"

#include <pthread.h>
#include <stdatomic.h>

/* How all of them are done; constant while they run. */
struct diarize_how {
    const struct model *model;
    const struct model *live;        // as in struct hear_settings
    const struct resnet *network;    // or NULL: the model's own vectors
    int online;                      // the live engine over the file
    struct engine_settings engine;   // then
    struct offline_settings offline; // else
    struct windows windows;
    int channel;
    int n_threads;                   // of one file
};

/* One file, and what came out. */
struct diarize_job {
    const char *path;
    char recording[256];
    double header_seconds; // its length as its header says, 0: not known
    double seconds;        // its length
    struct regions regions;
    char **names;          // [n_names]
    int n_names;
    atomic_int done;       // 1: all of this may be read
    int failed;
    struct error err;
};

struct diarize_jobs {
    const struct diarize_how *how;
    struct diarize_job *list;
    int n, n_threads;
    atomic_int next;
    atomic_llong samples; // heard so far, of all files
    pthread_t *thread;
    int started;
};

/* The recording's name, as RTTM's second field: the file's without folder and
 * extension; with compat up to its first dot, and blanks are refused. */
int diarize_name(struct diarize_job *job, int compat, struct error *err);

/* Begins; at most n_at_once files at a time. */
int diarize_jobs_start(struct diarize_jobs *jobs, int n_at_once, struct error *err);

/* Waits for all. */
void diarize_jobs_join(struct diarize_jobs *jobs);

/* What a job holds. */
void diarize_job_release(struct diarize_job *job);

#endif
