// SPDX-License-Identifier: MIT
/* meeting.h - the inside of a simulated meeting: who says what when, and its sound.
 *
 * A space is the memory that one thread needs; it is used again and again. */
#ifndef MEETING_H
#define MEETING_H

#include "prune/activity.h"
#include "prune/body.h"
#include "prune/simulate.h"

struct meeting_speaker {
    int voice;
    float gain;
    int first, n;    // stretches
    int piece, step; // where in the bank its speech goes on
};

struct simulate_space {
    struct turn_plan plan;
    struct stretch *stretches; // [n] sorted by speaker, then start
    int n, room;
    struct meeting_speaker speakers[TURN_SPEAKERS];
    int n_speakers;
    struct body_plan body;
    float sound[BODY_MOST];    // one of its sounds
    float *voice;              // [2, voice_room] a stretch's sound, and scratch
    int voice_room;
    uint8_t *marks;            // [n_speakers, n_steps] 1: speech at sample 160 s + 40
    int64_t n_steps, marks_room;
    float *sound_of_all;       // [sound_room] a meeting of which several clips are made
    int64_t sound_room;
    struct convolve_space convolve;
    struct response response;
    struct simulate_space *next;
};

/* Decides on a meeting whose sample 0 lies `before` seconds after its start
 * (a multiple of 10 ms), and that goes on for `after` seconds behind its n
 * samples; fills stretches and marks. */
int meeting_draw(struct simulate_space *m, const struct simulation *s, double before, int64_t n,
                 double after, struct random *rng, struct error *err);

/* Its sound into samples [n], which are zero. */
void meeting_render(struct simulate_space *m, const struct simulation *s, float *samples,
                    int64_t n, struct random *rng);

#endif
