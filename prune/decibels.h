// SPDX-License-Identifier: MIT
/* decibels.h - the factor of an amplitude that so many dB are. Thread: any. */
#ifndef DECIBELS_H
#define DECIBELS_H

#include <math.h>

static inline float decibels(float db)
{
    return powf(10.0f, db / 20.0f);
}

#endif
