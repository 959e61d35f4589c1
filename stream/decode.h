// SPDX-License-Identifier: MIT
/* decode.h - probabilities to turns, one frame after another.
 *
 * A speaker becomes active when the probability rises above `onset` and stays
 * so until it falls below `offset`. A gap shorter than min_off does not end a
 * turn; a turn shorter than min_on, such gaps included, is never told. (Gaps are
 * closed before short turns are dropped: upstream's order.) What is told is
 * causal: a turn is told min_on after it began and its end min_off after it
 * ended, both with the true frames. The result does not depend on how frames
 * come in blocks. A probability that is no number counts as 0.
 *
 * Thread: worker; no allocation. */
#ifndef DECODE_H
#define DECODE_H

#include "model/powerset.h"

struct decode_settings {
    float onset;  // 0.5: more likely than not
    float offset; // 0.5; lower bridges doubt in the middle of a turn
    double min_on_seconds;  // 0
    double min_off_seconds; // 0
};

struct decode_settings decode_defaults(void);

enum decode_phase { PHASE_SILENT, PHASE_STARTING, PHASE_SPEAKING }; // starting: not told yet

struct decoder {
    float onset, offset;
    float distance;          // of the two, as set at the start
    int64_t min_on, min_off; // frames
    int n_speakers;
    struct decode_turn {
        enum decode_phase phase;
        int active;    // in the frame before
        int64_t start; // first frame of the turn
        int64_t end;   // first frame behind what is known of it
    } speaker[POWERSET_MAX_SPEAKERS];
};

struct decode_event {
    int speaker;        // local
    int on;             // 1: the turn began, 0: it ended
    int64_t start, end; // first frame, first frame behind it (if ended)
};

void decoder_init(struct decoder *d, const struct decode_settings *settings, int n_speakers);

/* Forgets open turns. */
void decoder_reset(struct decoder *d);

/* Moves the onset, in (0, 1); the offset keeps its distance, but stays above 0. */
void decoder_set_onset(struct decoder *d, float onset);

/* Takes the probabilities of one frame; at most n_speakers events. */
int decoder_frame(struct decoder *d, struct decode_event *events, const float *prob,
                  int64_t frame);

/* The stream ends behind the last frame taken: ends what is open; at most n_speakers events. */
int decoder_finish(struct decoder *d, struct decode_event *events);

/* 1 while a turn of the speaker has been told and not its end. */
int decoder_speaking(const struct decoder *d, int speaker);

#endif
