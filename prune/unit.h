// SPDX-License-Identifier: MIT
/* unit.h - vectors made unit, and slopes back through that. Thread: any. */
#ifndef UNIT_H
#define UNIT_H

#include <math.h>

/* unit [n] = x / |x|, which may be the same; returns |x|. */
static inline float unit_make(float *unit, const float *x, int n)
{
    double squares = 1e-12;

    for (int i = 0; i < n; i++)
        squares += (double)x[i] * x[i];
    float length = (float)sqrt(squares);
    for (int i = 0; i < n; i++)
        unit[i] = x[i] / length;
    return length;
}

/* d += (by - (by . unit) unit) / length: slopes by x from those by unit. */
static inline void unit_back(float *d, const float *by, const float *unit, float length, int n)
{
    double along = 0.0;

    for (int i = 0; i < n; i++)
        along += (double)by[i] * unit[i];
    for (int i = 0; i < n; i++)
        d[i] += (by[i] - (float)along * unit[i]) / length;
}

#endif
