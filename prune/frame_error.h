// SPDX-License-Identifier: MIT
/* frame_error.h - the error of a network's own answer, frame by frame: 20 ms, no
 * collar, overlap counted, the best one-to-one assignment of its local speakers
 * to the reference's over the whole stretch. No thresholds, no tracker, no
 * clustering: what training works on. Thread: any. */
#ifndef FRAME_ERROR_H
#define FRAME_ERROR_H

#include "stream/turns.h"

#include <stdint.h>

/* In speaker frames; all add up. */
struct frame_errors {
    double speech; // of the reference
    double missed, false_alarm, confusion;
};

/* Adds those of n_frames frames, the first of which begins `from` seconds into
 * the recording. said [n_frames]: the speakers of each frame as bits; NULL: the
 * oracle that knows when there is speech and says that it is all one person's.
 * A frame is a speaker's whose turn its middle, 12.5 ms in, is in. uem: what
 * counts, or NULL: everything. */
int frame_errors_add(struct frame_errors *e, const uint16_t *said, int n_frames, double from,
                     const struct recording *reference, const struct recording *uem,
                     struct error *err);

/* Percent of the reference's speech. Without any: 0, or 100 with a false alarm. */
double frame_errors_percent(const struct frame_errors *e, double part);

#endif
