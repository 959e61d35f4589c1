// SPDX-License-Identifier: MIT
/* voices.h - the lasting speakers: how they sound, and what they are called.
 *
 * A voice is a set of prototypes: means of clean frames' vectors over stretches of
 * some seconds. It sounds like their weighted mean. What was decided early, from
 * little, is looked at again as more is heard (voices_settle): prototypes go to
 * the voice that they are nearest to, a voice that falls into two distant halves
 * is parted, two that are near become one.
 *
 * Everything is bounded. Beyond VOICE_PROTOTYPES the two oldest prototypes of the
 * voice that has most of them become one, which weighs no more than ten seconds:
 * so old speech is forgotten. Beyond the places the voice least recently heard
 * goes (voices_least_wanted).
 *
 * Thread: worker; no allocation. */
#ifndef VOICES_H
#define VOICES_H

#include "stream/report.h"
#include "stream/voice_space.h"

enum { VOICE_PROTOTYPES = 768 }; // of all voices together

struct voice {
    int used;
    int id;             // in reports, from 1; 0: not told of yet
    int named, enrolled;
    int64_t last_heard; // frame
    float n;            // clean frames in its prototypes
    int n_prototypes;
    char name[REPORT_NAME_BYTES];
};

struct prototype {
    int voice;     // -1: free
    int enrolled;  // stays with its voice
    float n;       // clean frames it weighs
    int64_t frame; // when it was last added to
};

/* What looking again found: to be told. */
enum voices_change { VOICES_SAME, VOICES_PARTED, VOICES_ONE };

struct voices_thresholds {
    float part, merge;          // cosines below and above which
    float part_distance, merge_distance; // and distances (voice_space_distance)
};

struct voices {
    int width, room;    // EMBEDDING (0: none), places
    int n_used, high;   // those in use; all of them are below high
    struct voices_thresholds thresholds;
    struct voice *list; // [room]
    float *raw, *at;    // [room,width] means, and mapped
    struct prototype *prototype;         // [VOICE_PROTOTYPES]
    float *prototype_raw, *prototype_at; // [VOICE_PROTOTYPES,width]
    float *half;        // [2,width] scratch
    uint8_t *side;      // [VOICE_PROTOTYPES] scratch
    uint16_t *together; // [room,room] frames heard at the same time
    struct voice_space space;
    float learnt, settled_at; // clean frames, in all and when last settled
    int next;           // voice to look at
};

void voices_place(struct voices *v, int width, int room, struct arena *arena);

/* All but enrolled voices are forgotten; those are as at the start. */
void voices_reset(struct voices *v);

/* A new voice; -1 when all places are taken: then one has to be dropped first. */
int voices_add(struct voices *v, int64_t frame);

/* Who is forgotten first: the least recently heard that is not among `busy`
 * [n_busy] nor enrolled, named ones last; -1 if there is none. */
int voices_least_wanted(const struct voices *v, const int *busy, int n_busy);

void voices_drop(struct voices *v, int i);

/* A stretch of n clean frames with that mean [width]; returns its prototype.
 * `with` is the one it goes on from, or -1. */
int voices_learn(struct voices *v, int i, int with, const float *mean, float n, int64_t frame);

/* If enough has come since it last was: space, means and prototypes anew.
 * Returns 1 if it did. */
int voices_settle(struct voices *v);

/* Looks at one voice a call, another each time. *a and *b are what changed: VOICES_ONE:
 * b is to be merged into a or the other way; VOICES_PARTED: a's second half is to be a
 * voice of its own (voices_part). */
enum voices_change voices_look(struct voices *v, int *a, int *b);

/* Gives the half of a that voices_look found to b. */
void voices_part(struct voices *v, int a, int b);

/* Cosine of a mapped vector with a voice, -1 .. 1, and its distance from it. */
float voices_similarity(const struct voices *v, int i, const float *at);
float voices_distance(const struct voices *v, int i, const float *at);

/* `from` was `into` all along. */
void voices_merge(struct voices *v, int into, int from);

void voices_heard_together(struct voices *v, int a, int b, int frames);
int voices_together(const struct voices *v, int a, int b);

#endif
