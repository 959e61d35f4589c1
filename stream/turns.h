// SPDX-License-Identifier: MIT
/* turns.h - who spoke when in which recordings, whatever file said so.
 *
 * Recordings are sorted by name; a recording's speakers are in order of first
 * mention and its turns as they were added, overlapping ones of one speaker
 * included. An evaluation map (UEM) is the same thing with one speaker whose
 * turns are the stretches to score. Thread: any, one a set. */
#ifndef TURNS_H
#define TURNS_H

#include "model/error.h"
#include "stream/scan.h"

#include <stddef.h>

/* Times are at most 100 days, so that nanoseconds are exact in a double. */
#define TURNS_MAX_SECONDS 8640000.0

enum {
    TURNS_MAX_SPEAKERS = 1000,      // of a recording: the mapping's time is their cube
    TURNS_MAX_RECORDINGS = 1 << 18, // of a set: adding one may move all others
};

struct turn {
    double start, end; // stream seconds, 0 <= start <= end
    int speaker;       // index into the recording's speakers
};

struct recording {
    char *name;
    char *channel; // of its first line, or NULL: the format has none
    char **speakers;
    int n_speakers;
    struct turn *turns;
    size_t n_turns, room;
};

struct turns {
    struct recording *list; // sorted by name
    int n, room;
};

/* Adds one turn. Names are copied; they must be printable UTF-8, times within
 * the limits: err says which is not, without saying where. */
int turns_add(struct turns *t, struct field recording, struct field speaker, double start,
              double end, struct error *err);

/* The recording of that name, made if it is not there; NULL: out of memory or
 * no proper name. */
struct recording *turns_recording(struct turns *t, struct field name, struct error *err);

/* The recording of that name, or NULL. */
const struct recording *turns_find(const struct turns *t, const char *name);

/* Adds all turns of another set. */
int turns_append(struct turns *t, const struct turns *other, struct error *err);

/* Frees everything; a zeroed set may be released. */
void turns_release(struct turns *t);

/* A copy of a recording's turns, sorted by speaker and start, those of one
 * speaker that overlap made one; *n of them, to be freed. Turns that only touch
 * stay two, as md-eval and dscore have it. NULL: out of memory. r may be NULL:
 * no turns. */
struct turn *recording_merged(const struct recording *r, size_t *n, struct error *err);

/* Reads a file into the set: Audacity labels, WebVTT or Praat TextGrid by its
 * extension (.txt, .vtt, .TextGrid), else RTTM; "-": RTTM on stdin. A file
 * whose format names no recording is a recording of its own name. */
int turns_read(struct turns *t, const char *path, struct error *err);

#endif
