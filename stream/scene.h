// SPDX-License-Identifier: MIT
/* scene.h - what the live view shows, without a terminal: the view's model.
 *
 * Thread: main. */
#ifndef SCENE_H
#define SCENE_H

#include "stream/report.h"

enum { SCENE_HISTORY = 1024 }; // blocks; wider than any terminal

struct scene_speaker {
    char name[REPORT_NAME_BYTES];
    int speaking;
    int gone;           // merged into another
    double talk_seconds; // of turns that have ended
    double turn_start;  // of the open turn
    double last_heard;  // stream seconds
};

struct scene {
    struct report_start start;
    struct report_block block; // the last one
    double seconds;            // stream time heard so far
    int n_speakers, ended;
    struct scene_speaker speaker[REPORT_MAX_SPEAKERS];
    /* Of block number b, at [b % SCENE_HISTORY]: probability, as 0 .. 255, and
     * whether the speaker had an open turn. */
    uint8_t activity[REPORT_MAX_SPEAKERS][SCENE_HISTORY];
    uint8_t spoke[REPORT_MAX_SPEAKERS][SCENE_HISTORY];
};

void scene_init(struct scene *s);
void scene_take(struct scene *s, const struct report *r);

/* Seconds a speaker has talked, the open turn included. */
double scene_talk_seconds(const struct scene *s, int speaker);

/* Indices of the speakers to show in n rows, in order of first appearance: if
 * there are more, those heard last. Returns how many, and how many are left out. */
int scene_rows(const struct scene *s, int *rows, int n, int *hidden);

#endif
