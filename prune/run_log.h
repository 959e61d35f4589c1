// SPDX-License-Identifier: MIT
/* run_log.h - a run's log, and what it knows of the validations so far.
 *
 * Lines are gathered and written before each saved state, so that the file
 * never knows of a step that the state does not, but for what a kill leaves. */
#ifndef RUN_LOG_H
#define RUN_LOG_H

#include "prune/trainer.h"

#include <stdio.h>

enum { RUN_MAX_BEST = 32 };

struct run_validation {
    long step;
    double score; // DER or loss: less is better
};

struct run_log {
    FILE *file; // NULL: another rank writes
    struct run_validation *list; // in order of steps
    int n, room;
    const char *key; // what the score is called: "der" or "loss"
    long first;      // validations before this step are never among the best,
    int from_peak;   // nor those before the worst: of pruning, whose loss rises with the target
};

/* Opens the log for writing; no other process may while this one does. */
int run_log_lock(struct run_log *l, const char *path, struct error *err);

/* Takes what the log says up to `step`; whoever writes drops later lines. */
int run_log_read(struct run_log *l, const char *path, long step, struct error *err);
int run_log_flush(struct run_log *l, struct error *err);
void run_log_close(struct run_log *l);

int run_log_step(struct run_log *l, const struct step_report *r, struct error *err);

/* parts: missed, false alarm, confusion in percent. */
int run_log_validation(struct run_log *l, long step, int block, const double parts[3],
                       struct error *err);

/* The same of distillation: its loss, and what the Lagrangian adds to it. */
int run_log_distance(struct run_log *l, long step, int block, double distill, double penalty,
                     struct error *err);

/* The mean over blocks: noted, and written. */
int run_log_mean(struct run_log *l, long step, double score, struct error *err);
int run_log_note(struct run_log *l, long step, double score, struct error *err);

/* Steps of the n best validations, best first; their number. */
int run_log_best(const struct run_log *l, long *steps, int n);

/* Validations since the best one. */
int run_log_waited(const struct run_log *l);

/* The plateau schedule: halves the learning rate when two validations in a row
 * were no better than the best before. */
void run_log_plateau(const struct run_log *l, struct trainer *t);

#endif
