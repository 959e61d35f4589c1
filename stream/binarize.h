// SPDX-License-Identifier: MIT
/* binarize.h - one speaker's activity, frame by frame, to stretches of time.
 *
 * A region begins when the activity rises above the onset and ends when it falls
 * below the offset, both strictly, at the frame's time stamp; what lasts to the end
 * ends at the last frame's stamp. Gaps shorter than min_off are filled (and regions
 * that padding brought together made one), then regions shorter than min_on are
 * removed. Upstream's (pyannote's Binarize). Thread: any. */
#ifndef BINARIZE_H
#define BINARIZE_H

#include "model/error.h"
#include "stream/turns.h"

#include <stdint.h>

struct binarize_settings {
    double onset, offset;         // 0.5
    double min_on, min_off;       // seconds, 0
    double pad_onset, pad_offset; // seconds that a region grows at either end, 0
    int compat; // stamps are upstream's, a frame's middle; else its beginning (frame.h),
                // 10 ms earlier, where the speech is
};

struct binarize_settings binarize_defaults(int compat);

struct regions {
    struct turn *list; // the speaker's are sorted by start
    size_t n, room;
};

int regions_add(struct regions *r, int speaker, double start, double end, struct error *err);

/* Adds the speaker's regions of activity y [n_frames]. */
int binarize(struct regions *r, int speaker, const float *y, int64_t n_frames,
             const struct binarize_settings *s, struct error *err);

/* The time stamp of a frame. */
double binarize_stamp(int64_t frame, int compat);

/* A zeroed one may be released. */
void regions_release(struct regions *r);

#endif
