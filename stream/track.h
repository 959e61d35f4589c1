// SPDX-License-Identifier: MIT
/* track.h - the model's local speakers to lasting ones, and what to tell of them.
 *
 * A local speaker (slot) is bound to a lasting one (voice). In each block every
 * slot that speaks is scored against every voice, in log odds:
 *
 *   what it sounds like   the slot's recent clean frames against the voice; 0 at
 *                         the threshold, which is where a new voice is as likely
 *   continuity            the voice that it is bound to, as long as the model can
 *                         remember; the last one, a little, after that
 *   exclusion             against voices that other slots spoke as lately
 *
 * and all are assigned at once (Hungarian), no two to one voice. A frame is
 * clean if one slot alone speaks and the model is sure (above 0.8, all others
 * below 0.2).
 *
 * What a slot says is taken in pieces: one ends at a pause of half a second, or
 * after three seconds of clean speech. Each piece is somebody's anew, so that a
 * model that mixes people up within a slot does not mix up the voices; how much it
 * counts who the slot was before is learnt from how often the vectors alone agree
 * with that. A piece is bound when the best voice is ahead of the next by `sure`,
 * often from its first frames; it may be bound otherwise while it lasts; when it has
 * ended the voice learns from it. A voice is new when a piece has `min_speech` of
 * clean speech and sounds like nobody; of one that has waited or ended, 0.2 s are enough.
 * Until it is known whose it is a turn is held
 * back, at most for `patience`, and then told with its true times. When a slot turns
 * out to speak as somebody else, the turn ends for the one where the piece began,
 * and goes on for the other.
 *
 * Without vectors a slot is a voice for good.
 *
 * Thread: worker; no allocation after tracker_open. */
#ifndef TRACK_H
#define TRACK_H

#include "stream/decode.h"
#include "stream/report.h"
#include "stream/speakers_file.h"
#include "stream/voices.h"

/* Takes reports as they come. */
struct track_output {
    void (*put)(void *user, const struct report *report);
    void *user;
};

struct tracker_settings {
    struct decode_settings decode;
    int n_local;
    int embedding;      // width of the vectors, 0: none
    int embedding_late; // so many of their numbers, the last, tell little until much was said (regroup.h)
    int block_frames;   // the most frames of a block
    int context_frames; // how long the model remembers who a slot was
    int local;          // 1: the model's slots are the speakers
    int calibrated;     // 1: the vectors are centred and scaled (prune/calibrate.h)
    int max_speakers;   // lasting ones; 0: REPORT_MAX_SPEAKERS
    double min_speech_seconds; // of clean speech before a voice is new
    double patience_seconds;   // the longest a turn is held back
    float threshold;    // cosine distance beyond which it is another voice; to an engine 0:
                        // the model's own
    /* Log odds, see track_score.c. */
    float most_bond, loose_bond, exclusion, sure, stay;
    float slope, stranger; // see voices.h
    float merge;
};

struct tracker_settings tracker_defaults(void);

enum { TRACK_HELD = 8, TRACK_NOBODY = -1 };

struct track_slot {
    int voice, was;     // bound to, and that of the piece before
    int64_t heard;      // the last frame in which it spoke; before any: far in the past
    int64_t since;      // frame in which the piece began
    int64_t gap;        // frames of silence before it
    int active;         // frames of this block
    int counted;        // the piece has said whether its slot is to be trusted
    float n;            // clean frames of the piece,
    float *sum;         // [width] their sum,
    float *raw, *at;    // [width] their mean, and mapped
    int n_rows;
    float *rows;        // [PIECE + block,width] and they themselves, unless calibrated
    int open;           // a turn is open,
    int told;           // told of this voice, or of TRACK_NOBODY yet,
    int64_t start;      // and began there
    int n_held;         // turns that have ended and wait
    struct { int64_t start, end; } held[TRACK_HELD];
    int64_t held_since; // frame; < 0: nothing waits
};

struct tracker {
    struct tracker_settings settings;
    struct decoder decoder;
    struct voices voices;
    struct track_slot slot[POWERSET_MAX_SPEAKERS];
    int n_ids;          // the highest id given
    int voice_of_id[REPORT_MAX_SPEAKERS];         // [id - 1], or TRACK_NOBODY
    int64_t id_free_since[REPORT_MAX_SPEAKERS];   // frame
    struct { int open; int64_t start, end; } turn[REPORT_MAX_SPEAKERS]; // of a voice, as told
    double *score;      // [n_local,places + n_local]
    double *cost;
    void *scratch;      // Hungarian's
    float *deviations;  // [PIECE + block,width]
    struct voices_heir *heirs; // [REPORT_MAX_SPEAKERS]
    double stays, pieces; // pieces that were of the voice before by their vectors, of so many
    int64_t frame;      // behind the last block
    double wall;        // of the block in hand, for its reports
    struct arena arena;
};

int tracker_open(struct tracker *t, const struct tracker_settings *settings, struct error *err);
void tracker_close(struct tracker *t);

/* These people are known from the start, and after a reset; once, before the first
 * block. */
int tracker_enroll(struct tracker *t, const struct speakers *known, struct error *err);

/* The voices that have a name of their own, as they sound now, into an initialised
 * set. Allocates: after the stream. */
int tracker_export(const struct tracker *t, struct speakers *known, struct error *err);

/* Ends open turns in front of frame `end` and forgets everybody but the enrolled. */
void tracker_reset(struct tracker *t, int64_t end, const struct track_output *out);

/* Gives a speaker another name; 0 if there is none with that id. */
int tracker_rename(struct tracker *t, int id, const char *name, int64_t frame,
                   const struct track_output *out);

/* prob [n_frames,n_local] and vectors [n_frames,embedding] (NULL without), from
 * `frame` on. Reports what began and ended, and fills n_speakers, overlap,
 * activity and speaking of the block's report. */
void tracker_block(struct tracker *t, struct report_block *block, const float *prob,
                   const float *vectors, int64_t frame, int n_frames,
                   const struct track_output *out);

/* Tells what is held back and ends open turns in front of frame `end`. */
void tracker_finish(struct tracker *t, int64_t end, const struct track_output *out);

#endif
