// SPDX-License-Identifier: MIT
/* room.h - how a room answers: image sources, then a diffuse tail.
 *
 * Early reflections are the images of Allen and Berkley (1979) in a box, each
 * displaced by some centimetres (De Sena et al., 2015) against the sweeping
 * echoes of a perfect box. Later than about 600 images the exact positions are
 * not heard: from there on the response is noise of the power that the same
 * theory gives, 4 pi c / V a second for a direct sound of 1 at 1 m, decaying
 * by 60 dB in the reverberation time. Walls absorb by Eyring's formula for
 * that time. High frequencies may decay faster. Thread: any. */
#ifndef ROOM_H
#define ROOM_H

#include "model/random.h"
#include "prune/convolve.h"

struct room {
    float size[3];   // m
    float rt60;      // s
    float high_rt60; // of what is above 2 kHz, as a share of rt60
    float mic[3];    // m
};

/* A box of 2.5-10 m x 2.2-7 m x 2.3-3.6 m with a microphone at a table's height
 * somewhere in it, of a reverberation time between the two. */
void room_draw(struct room *room, float rt60_low, float rt60_high, struct random *rng);

/* A place in the room at about that distance from the microphone, nearer if the
 * room is small. Returns the true distance. */
float room_place(float place[3], const struct room *room, float distance, struct random *rng);

/* The response from a place to the microphone, the direct sound at its delay;
 * RESPONSE_LEAD of it before. Its energy is 1. */
void room_response(struct response *r, const struct room *room, const float place[3],
                   struct random *rng);

#endif
