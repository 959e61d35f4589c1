// SPDX-License-Identifier: MIT
/* heard.h - what the model heard in each window of a recording: who of its local
 * speakers speaks in which frame, and each one's vector.
 *
 * A slot is a local speaker of one window; which person is in which slot changes
 * from window to window. All that the clustering needs to know of the audio, and
 * some two kilobytes a window. Thread: any, one at a time. */
#ifndef HEARD_H
#define HEARD_H

#include "model/powerset.h"

#include <stddef.h>
#include <stdint.h>

struct heard {
    int n_windows, n_frames, n_slots;
    int width;      // of a vector
    uint8_t *sets;  // [n_windows,n_frames] bit s: slot s speaks
    float *vectors; // [n_windows,n_slots,width], NaN in one: there is none
};

static inline uint8_t *heard_window(const struct heard *h, int window)
{
    return h->sets + (size_t)window * (size_t)h->n_frames;
}

static inline const float *heard_vector(const struct heard *h, int window, int slot)
{
    return h->vectors + ((size_t)window * (size_t)h->n_slots + (size_t)slot) * (size_t)h->width;
}

/* Median over 11 frames of one window, of each slot alone, the edge mirrored
 * (d c b a | a b c d | d c b a). It can make more speak at once than the model
 * allows. dst and src [n_frames] must not overlap. */
void heard_median(uint8_t *dst, const uint8_t *src, int n_frames);

enum { HEARD_MEDIAN_FRAMES = 11 };

/* Frames in which the slot speaks, and in which it alone does. */
void heard_frames(int *n_active, int *n_alone, const uint8_t *sets, int n_frames, int slot);

/* mean [width] of rows [n_frames,width] over the frames in which the slot speaks alone; over
 * all of its frames if it hardly ever does. Returns how many they are. */
int heard_mean(float *mean, const float *rows, int width, const uint8_t *sets, int n_frames,
               int slot);

/* 1 if all numbers of the vector are finite. */
int heard_is_vector(const float *vector, int width);

#endif
