// SPDX-License-Identifier: MIT
/* frame.h - the words of this program, each with one meaning.
 *
 * sample   one number of one channel; after the resampler always 16 kHz mono
 * tick     the samples of all channels at one moment, at the source's own rate
 * frame    one row of the encoder: frame f covers samples [320 f, 320 f + 400)
 *          and stands for the 20 ms around its middle,
 *          [0.02 f + 0.0025, 0.02 f + 0.0225) s
 * block    the B frames that are computed together; block b is frames
 *          [b B, (b+1) B)
 * chunk    any number of samples or ticks that happened to arrive together
 * turn     a stretch of time in which one speaker speaks
 * stream time   seconds since the first sample of the source */
#ifndef FRAME_H
#define FRAME_H

#include <stdint.h>

#define FRAME_HZ 16000     // sample rate of everything after the resampler
#define FRAME_STRIDE 320   // samples from one frame to the next
#define FRAME_WINDOW 400   // samples a frame covers
#define FRAME_SECONDS 0.02 // FRAME_STRIDE / FRAME_HZ

/* Stream time at which the 20 ms that frame f stands for begin. */
static inline double frame_begin_seconds(int64_t f)
{
    return (double)f * FRAME_SECONDS + 0.0025;
}

#endif
