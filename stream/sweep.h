// SPDX-License-Identifier: MIT
/* sweep.h - a walk along time, from boundary to boundary, with who speaks between.
 *
 * Intervals of four kinds go in, in any order and overlapping as they like;
 * out come the stretches in which nothing changes. Times are integers, so that
 * equal boundaries are equal: nanoseconds or frames, as the caller likes.
 * Scoring walks it, and so does the drawing of errors. Thread: any. */
#ifndef SWEEP_H
#define SWEEP_H

#include "model/error.h"

#include <stddef.h>
#include <stdint.h>

enum sweep_kind {
    SWEEP_REFERENCE, // a speaker of the reference speaks
    SWEEP_SYSTEM,    // a speaker of the system speaks
    SWEEP_REGION,    // within the evaluation map
    SWEEP_COLLAR,    // near a boundary of the reference
    SWEEP_KINDS,
};

/* The speakers of one side who speak in the present stretch, in no order. */
struct sweep_side {
    int *speaking; // n of them
    int n;
    int *depth;    // per speaker: how many intervals are open
    int n_speakers;
};

struct sweep_event {
    int64_t time;
    enum sweep_kind kind;
    int speaker, change;
};

struct sweep {
    struct sweep_event *events;
    size_t n, room, next;
    struct sweep_side reference, system;
    int region, collar; // how many intervals are open; 0: outside
    int64_t begin, end; // the present stretch
};

/* For so many speakers a side. */
int sweep_open(struct sweep *s, int n_reference, int n_system, struct error *err);

/* Adds an interval; an empty one is passed over. speaker is ignored for the
 * kinds that have none. */
int sweep_add(struct sweep *s, enum sweep_kind kind, int speaker, int64_t begin, int64_t end,
              struct error *err);

/* To the start, after all was added; a sweep may be walked again. */
void sweep_start(struct sweep *s);

/* The next stretch: 0 when there is none. */
int sweep_next(struct sweep *s);

/* Frees it; a zeroed sweep may be closed. */
void sweep_close(struct sweep *s);

#endif
