// SPDX-License-Identifier: MIT
/* score.h - how far a system's turns are from the reference: DER and JER.
 *
 * DER as NIST's md-eval has it: speakers are mapped one to one so that they
 * share most time, before collars and overlaps are taken out; then every
 * stretch counts max(0, ref - sys) speakers as missed, max(0, sys - ref) as
 * false alarm, and min(ref, sys) less those that the mapping joins as
 * confused. Time is in whole nanoseconds: nothing hangs on a rounding.
 *
 * JER as dscore has it: from its own mapping, on frames of 10 ms, with neither
 * collar nor overlap taken out; the mean over the reference's speakers of
 * 1 - shared / united time. dscore's frames make up to 0.02 points against
 * exact time on AMI, so its frames are kept, to the rounding of their times.
 *
 * Thread: any. */
#ifndef SCORE_H
#define SCORE_H

#include "stream/sweep.h"
#include "stream/turns.h"

struct score_settings {
    double collar_seconds; // taken out on each side of a reference boundary
    int skip_overlap;      // 1: take out where more than one of the reference speaks
};

struct score {
    double scored;        // seconds of the reference's speakers, added up
    double missed, false_alarm, confusion; // seconds
    double der;           // percent of scored; without any: 0, or 100 with a false alarm
    double jer;           // percent
    double jer_sum;       // percent, over the reference's speakers
    int n_reference;      // speakers who speak in the regions
    int n_system;
};

/* Scores one recording. uem: the regions to score, or NULL: from the first to
 * the last boundary of both sides. system may be NULL: it said nothing. map,
 * unless NULL, gets each reference speaker's system speaker, or -1. */
int score_recording(struct score *score, int *map, const struct recording *reference,
                    const struct recording *system, const struct recording *uem,
                    const struct score_settings *settings, struct error *err);

/* Adds a recording to a total, zeroed at first: times are added up, JER is the
 * mean over all speakers. */
void score_pool(struct score *total, const struct score *one);

/* Seconds to whole nanoseconds, the time of a sweep. */
int64_t score_nanoseconds(double seconds);

/* Puts both sides' turns, merged, and the regions on a sweep in nanoseconds. */
int score_sweep(struct sweep *s, const struct recording *reference,
                const struct recording *system, const struct recording *uem,
                double collar_seconds, struct error *err);

#endif
