// SPDX-License-Identifier: MIT
/* voices.h - the lasting speakers: how they sound, and what they are called.
 *
 * A voice is a set of prototypes: means of clean frames' vectors over stretches of
 * at most some seconds. It sounds like their weighted mean. What was decided early, from
 * little, is looked at again as more is heard. In a space that is made for it
 * (voice_space.h: fixed) all prototypes are grouped anew from time to time
 * (voices_regroup). Elsewhere one after another is (voices_look): taken out of its voice,
 * it goes where it fits best, or becomes a voice of its own; a voice that is left by its
 * last is gone, and two voices that are near become one.
 *
 * Everything is bounded. Beyond VOICE_PROTOTYPES the two oldest prototypes of the
 * voice that has most of them become one, which weighs no more than ten seconds:
 * so old speech is forgotten. Beyond the places the voice least recently heard
 * goes (voices_least_wanted).
 *
 * Thread: worker; no allocation. */
#ifndef VOICES_H
#define VOICES_H

#include "stream/regroup.h"
#include "stream/report.h"
#include "stream/voice_space.h"

enum { VOICE_PROTOTYPES = 1536 }; // of all voices together

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
    int slot;      // the model's local speaker that said it; -1: more than one piece
    int64_t since, frame; // its first frame, and its last
};

/* What looking again found: to be told. */
enum voices_change { VOICES_SAME, VOICES_PARTED, VOICES_ONE };

struct voices_thresholds {
    float distance; // cosine distance of much speech, beyond which it is rather another's
    float slope;    // log odds a unit of cosine
    float stranger; // log odds that somebody is new, for each voice there is, at the start
    float merge;    // cosine above which two voices are one
    float least;    // clean frames that make a voice
};

struct voices {
    int width, room;    // EMBEDDING (0: none), places
    int n_used, high;   // those in use; all of them are below high
    struct voices_thresholds thresholds;
    struct voice *list; // [room]
    float *raw, *at;    // [room,width] means, and mapped
    struct prototype *prototype;         // [VOICE_PROTOTYPES]
    float *prototype_raw, *prototype_at; // [VOICE_PROTOTYPES,width]
    float *half;        // [width] scratch
    uint16_t *together; // [room,room] frames heard at the same time
    struct voice_space space;
    float learnt, settled_at; // clean frames, in all and when last settled
    int next, next_prototype; // to look at
    /* Of regrouping: scratch, but for the first. */
    float regrouped_at;  // clean frames, in all, when it was last done
    struct regroup regroup;
    int *order;          // [VOICE_PROTOTYPES] those in use, by time; in that order:
    struct regroup_piece *pieces; // [VOICE_PROTOTYPES]
    float *points;       // [VOICE_PROTOTYPES,width]
    int *label;          // [VOICE_PROTOTYPES] the group; -1: stays where it is
    int *group_of;       // [room] an enrolled voice's group, or -1
    int *voice_of;       // [room] a group's voice, or -1
    int *moved_last;     // [room] the move that a voice's last prototype was of, or -1
    struct voices_move *moves; // [VOICE_PROTOTYPES] what it came to, in time order
    int n_moves;
    double *shared;      // [room,room] less clean frames of a group in a voice
    void *scratch;       // Hungarian's
};

/* `from` has nothing left: it was `into`. */
struct voices_heir {
    int from, into;
};

/* What a voice said from one frame to another was another's. */
struct voices_move {
    int from, to;
    int64_t since, frame;
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

/* A stretch of n clean frames with that mean [width], said by a slot (-1: not known)
 * between two frames; returns its prototype. */
int voices_learn(struct voices *v, int i, const float *mean, float n, int slot, int64_t since,
                 int64_t frame);

/* Makes a voice's mean anew from its prototypes. */
void voices_sum_up(struct voices *v, int i);

/* If enough has come since it last was: space, means and prototypes anew.
 * Returns 1 if it did. */
int voices_settle(struct voices *v);

/* Looks at one prototype and one voice a call, others each time. VOICES_ONE: b is to be
 * merged into a or the other way. VOICES_PARTED: prototype b of voice a is to be a voice
 * of its own (voices_give). */
enum voices_change voices_look(struct voices *v, int *a, int *b);

/* Whether the space is fixed and enough has come since prototypes were last grouped anew; or, when
 * the stream ends, at all: of half a minute people are better known as they were told. */
int voices_regroup_due(const struct voices *v, int at_end);

/* All prototypes are grouped anew into at most `most` voices; the space is fixed. Voices that
 * stay what they are keep their place; new ones may come (`frame`: now). Fills moves with what
 * is another voice's now, and heirs [room] with the voices that have nothing left, to be merged,
 * and returns how many; of named ones none is another's heir. */
int voices_regroup(struct voices *v, struct voices_heir *heirs, int most, int context_frames,
                   int64_t frame);

/* A prototype goes to another voice. */
void voices_give(struct voices *v, int prototype, int to);

/* Log odds that n clean frames whose mean, mapped, is `at` are the voice's rather than
 * anybody's, and those of a voice that is not there yet. Few frames have small cosines
 * with their own voice, too: where both errors are as frequent follows what was measured
 * for stretches of 0.3 to 6 s and voices of 1.5 to 20 s. */
float voices_odds(const struct voices *v, int i, const float *at, float n);
float voices_stranger(const struct voices *v); // of calibrated vectors less with every second said

/* `from` was `into` all along. */
void voices_merge(struct voices *v, int into, int from);

void voices_heard_together(struct voices *v, int a, int b, int frames);
int voices_together(const struct voices *v, int a, int b);

#endif
