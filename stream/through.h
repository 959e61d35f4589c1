// SPDX-License-Identifier: MIT
/* through.h - what a listener has of a recording's last frames: the model goes once through
 * it, block by block, as `stream` does, while windows of it are heard at once.
 *
 * A window heard at once tells apart those who are in it; what it says of them is less alike
 * in the next window than what the same model says who hears nothing of what is to come.
 * Thread: one at a time; no allocation after opening. */
#ifndef THROUGH_H
#define THROUGH_H

#include "stream/stepper.h"

struct through {
    struct stepper stepper;
    int width, keep;      // EMBEDDING, frames
    int64_t first, end;   // frames that are there
    float *vectors;       // [2 * keep,width]
    struct arena arena;
};

/* m: of a live reach. keep: frames that stay there at least; max_put: the most samples put
 * at once. A zeroed one may be closed. */
int through_open(struct through *t, const struct model *m, int keep, size_t max_put,
                 struct error *err);
void through_close(struct through *t);

/* The recording's next n samples; their frames are there but for those of a block that is
 * not yet whole. */
void through_put(struct through *t, const float *samples, size_t n);

/* dst [n,width]: the frames from `frame` on, which is among the last `keep`; returns how many
 * of the n are there. */
int through_copy(float *dst, const struct through *t, int64_t frame, int n);

#endif
