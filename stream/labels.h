// SPDX-License-Identifier: MIT
/* labels.h - turns in other people's formats: Audacity, WebVTT, Praat TextGrid.
 *
 *   .txt       Audacity labels: start TAB end TAB speaker
 *   .vtt       WebVTT: a cue a turn, <v speaker>
 *   .TextGrid  Praat: a tier of intervals for each speaker
 *
 * Written turn by turn, as a live stream ends them. Audacity and WebVTT grow at
 * their end and can be followed; WebVTT, which wants its cues by start, is
 * sorted when it is closed. A TextGrid cannot grow: it is written anew once a
 * minute of stream time, and when it is closed, beside its name and renamed.
 * Thread: any, one a file. */
#ifndef LABELS_H
#define LABELS_H

#include "stream/turns.h"

enum labels_format { LABELS_NONE, LABELS_AUDACITY, LABELS_WEBVTT, LABELS_TEXTGRID };

/* By the extension, in any case; LABELS_NONE if it is none of these. */
enum labels_format labels_format_of(const char *path);

struct labels;

/* Opens an output; "-" is stdout, which can only take what grows. */
int labels_open(struct labels **l, const char *path, enum labels_format format,
                struct error *err);

/* Adds an ended turn and flushes it. Blanks and line ends in the name become
 * spaces; what a format gives meaning to is escaped. */
int labels_turn(struct labels *l, const char *speaker, double start, double end,
                struct error *err);

/* Finishes the file, frees all, clears *l. end: of the stream, in seconds (a
 * TextGrid says how long its sound is); 0: of the last turn. *l may be NULL. */
int labels_close(struct labels **l, double end, struct error *err);

/* Adds the turns of such a text to the set, as a recording of that name. */
int labels_parse(struct turns *t, struct field text, enum labels_format format,
                 struct field recording, struct error *err);

#endif
