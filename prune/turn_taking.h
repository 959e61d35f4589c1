// SPDX-License-Identifier: MIT
/* turn_taking.h - when who speaks in a meeting, drawn from what was measured in real ones.
 *
 * A meeting's turns are a chain of main turns, in order of their starts, and
 * asides: turns that lie wholly inside another speaker's (back-channels,
 * failed interruptions). Between two main turns there is a gap, or, where it
 * is negative, an overlap. The chain is first order but for one thing: who has
 * just been interrupted or answered tends to speak again (A B A). Every
 * distribution is a table of quantiles, read straight off the data, so that
 * nothing has to be a bell. prune/simulation.md shows the fit. Thread: any. */
#ifndef TURN_TAKING_H
#define TURN_TAKING_H

#include "model/error.h"
#include "model/random.h"

#include <stddef.h>

struct turns;

enum { QUANTILES = 11 };

/* The shares of the data below each value of a table. */
extern const float quantile_shares[QUANTILES];

struct quantiles {
    float at[QUANTILES];
};

struct turn_model {
    struct quantiles turn;   // s, length of a main turn
    struct quantiles change; // s, gap before another speaker's main turn; < 0: overlap
    struct quantiles same;   // s, gap before the same speaker's next
    struct quantiles aside;  // s, length of a turn inside another's
    float p_same;            // the next main turn is the same speaker's
    float p_return;          // if not: it is the one's before the last
    float asides_per_s;      // of main turns
    float talk_sd;           // standard deviation of ln(a speaker's share of the time)
};

/* Of the 16 meetings of AMI's test set, reference of words only. */
extern const struct turn_model turn_model_ami;

/* What `simulate` prints beside the target's. */
struct turn_stats {
    int n_recordings, n_turns;
    double seconds, speech;   // of all recordings; of which at least one speaks
    double overlap;           // of which two or more speak
    double speakers;          // of a recording, mean
    double turn[3];           // s, quartiles of all turns' lengths
    double gap[3];            // s, quartiles of the gaps at a change of speaker, overlaps negative
    double turns_per_minute;
};

extern const struct turn_stats turn_stats_ami;

struct plan_turn {
    double start, end; // s
    int speaker;
    int aside;
};

struct turn_plan {
    struct plan_turn *turns; // sorted by start
    int n, room;
};

struct turn_settings {
    const struct turn_model *model;
    float overlap;   // scales overlaps and asides: 1 as drawn from the model, 0 none
    float length;    // scales the main turns' lengths: below 1 is livelier
    float vary;      // standard deviation of ln(turn length) between meetings
    float p_part;    // a speaker is there for a part of the meeting only
};

enum { TURN_SPEAKERS = 64 };

/* Draws a meeting of so many seconds and speakers into the plan, whose memory
 * is used again. */
int turn_plan_draw(struct turn_plan *plan, const struct turn_settings *s, int n_speakers,
                   double seconds, struct random *rng, struct error *err);

/* Sets s->overlap so that two or more speak in that share of the speech, as
 * plans of that many speakers and seconds show. */
int turn_overlap_for(struct turn_settings *s, double share, int min_speakers, int max_speakers,
                     double seconds, struct error *err);

/* A zeroed plan may be released. */
void turn_plan_release(struct turn_plan *plan);

/* Fits a model to the turns of recordings: -1 if there are too few for it. */
int turn_model_fit(struct turn_model *m, const struct turns *ref, struct error *err);

/* uem says how long the recordings are; NULL: to their last turn's end. */
int turn_stats_of(struct turn_stats *s, const struct turns *ref, const struct turns *uem,
                  struct error *err);

#endif
