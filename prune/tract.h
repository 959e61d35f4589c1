// SPDX-License-Identifier: MIT
/* tract.h - speech as of a longer or shorter vocal tract: its resonances move, its pitch stays.
 *
 * Frames of 32 ms that overlap by half, under the square root of Hann's window before and
 * behind. A frame's envelope is what its log spectrum has below 2.5 ms of cepstrum, shorter than
 * a period of any voice. It is stretched along frequency, and the spectrum multiplied by what
 * the envelope became over what it was (20 dB at most); the frame keeps its energy. Played at
 * another speed pitch and resonances move as one (prune/voice.h); both make a speaker a family
 * of voices. Thread: any, after open. */
#ifndef TRACT_H
#define TRACT_H

#include "model/transform.h"

enum { TRACT_FRAME = 512 };

struct tract {
    struct transform transform;
    float window[TRACT_FRAME];
};

int tract_open(struct tract *t, struct error *err);

/* A zeroed tract may be closed. */
void tract_close(struct tract *t);

/* dst [n] = x [n] with all resonances `ratio` times as high; dst is not x. */
void tract_change(const struct tract *t, float *dst, const float *x, int n, float ratio);

#endif
