// SPDX-License-Identifier: MIT
/* draw.h - what the simulation draws: numbers of some distribution from a seed. */
#ifndef DRAW_H
#define DRAW_H

#include "model/random.h"

#include <math.h>

/* A generator of its own for item number `index` of a seed; neighbours share nothing. */
static inline void draw_begin(struct random *r, uint64_t seed, uint64_t index)
{
    struct random mix;

    random_init(&mix, seed);
    uint64_t z = random_bits(&mix) ^ (index + 1) * 0xd6e8feb86659fd93u;
    z = (z ^ (z >> 32)) * 0xff51afd7ed558ccdu;
    z = (z ^ (z >> 29)) * 0xc4ceb9fe1a85ec53u;
    random_init(r, z ^ (z >> 32));
}

static inline float draw_between(struct random *r, float low, float high)
{
    return low + (high - low) * random_uniform(r);
}

static inline int draw_chance(struct random *r, float p)
{
    return random_uniform(r) < p;
}

/* Of 0 .. n-1. */
static inline int draw_below(struct random *r, int n)
{
    return (int)(((random_bits(r) >> 32) * (uint64_t)n) >> 32);
}

/* Mean 0, variance 1 (Box and Muller, 1958). */
static inline float draw_normal(struct random *r)
{
    double u = 1.0 - random_uniform(r), v = random_uniform(r);

    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

/* The same for noise, where only the spectrum matters: four uniform numbers' sum. */
static inline float draw_noise(struct random *r)
{
    uint64_t b = random_bits(r);
    int sum = (int)(b & 0xffff) + (int)(b >> 16 & 0xffff) + (int)(b >> 32 & 0xffff) +
              (int)(b >> 48);

    return ((float)sum - 131070.0f) * (1.7320508f / 65536.0f);
}

#endif
