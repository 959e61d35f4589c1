// SPDX-License-Identifier: MIT
/* track_slots.h - the tracker's parts: what a slot sounds like (track_score.c), and
 * what is told of it (track_tell.c). Only for stream/track*.c. */
#ifndef TRACK_SLOTS_H
#define TRACK_SLOTS_H

#include "stream/track.h"

enum { TRACK_PIECE = 150, TRACK_PAUSE = 25 }; // clean frames, and silent ones, that end a piece

/* track_score.c */

/* Gathers a block's frames: who was active, clean frames, who was heard together. */
void track_listen(struct tracker *t, const float *prob, const float *vectors, int64_t frame,
                  int n_frames);

/* Fills t->score for all slots: rows of places voices and n_local "somebody new". */
void track_score(struct tracker *t);

/* Assigns the slots that are active: map [n_local], a voice or TRACK_NOBODY. */
void track_assign(struct tracker *t, int *map);

/* How well a slot fits a voice by its vectors alone. */
float track_odds(const struct tracker *t, const struct track_slot *s, int voice);

/* The slot's bound voice learns from the piece. */
void track_learn(struct tracker *t, struct track_slot *s);

/* The slot has no piece. */
void track_forget(struct tracker *t, struct track_slot *s);

static inline double *track_score_of(const struct tracker *t, int slot, int voice)
{
    return t->score + slot * (t->voices.room + t->settings.n_local) + voice;
}

/* track_tell.c */

void track_tell(struct tracker *t, enum report_type type, int voice, int64_t start, int64_t end,
                int64_t now, const struct track_output *out);

/* The voice gets a number, if it has none. */
void track_tell_new(struct tracker *t, int voice, int64_t start, int64_t now,
                    const struct track_output *out);

/* Tells all that waits of a bound slot. */
void track_tell_held(struct tracker *t, struct track_slot *s, int64_t now,
                     const struct track_output *out);

/* What was told of a voice was another's: of voices that have a number, or get one now. */
void track_tell_moved(struct tracker *t, const struct voices_move *move, int64_t now,
                      const struct track_output *out);

/* The turn of a slot is told as another's from `frame` on. */
void track_tell_switch(struct tracker *t, struct track_slot *s, int64_t frame, int64_t now,
                       const struct track_output *out);

void track_tell_event(struct tracker *t, const struct decode_event *e, int64_t now,
                      const struct track_output *out);

/* A voice goes: its number may be used again, and whoever was bound to it is `to` now. */
void track_voice_gone(struct tracker *t, int voice, int to, int64_t now,
                      const struct track_output *out);

#endif
