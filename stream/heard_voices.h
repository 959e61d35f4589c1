// SPDX-License-Identifier: MIT
/* heard_voices.h - which slots of a recording's windows are one voice, where vectors are
 * calibrated (prune/calibrate.h): stream/regroup.h over the whole recording.
 *
 * Windows overlap many times over, and their slots are no news to each other: of them
 * only every `apart`-th is asked, fewer still of a recording of days. A piece is a slot
 * with the frames in which it speaks alone; slots of one window are different people.
 * Thread: any. */
#ifndef HEARD_VOICES_H
#define HEARD_VOICES_H

#include "model/error.h"
#include "stream/heard.h"

enum { HEARD_VOICES_MOST = 256 };

/* voice [n] of slots [n] (window * n_slots + slot, rising): from 0, or -1 for one that was
 * not asked; weight [n]: frames alone. At most `most` voices, 0: HEARD_VOICES_MOST.
 * Returns their number, or -1. */
int heard_voices(int *voice, double *weight, const int *slots, int n, const struct heard *h,
                 int apart, int most, struct error *err);

#endif
