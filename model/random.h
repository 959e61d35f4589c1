// SPDX-License-Identifier: MIT
/* random.h - random numbers with the same bits on every machine.
 *
 * xoshiro256** by Blackman and Vigna (2018), seeded through splitmix64, as
 * its authors recommend. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

struct random {
    uint64_t s[4];
};

void random_init(struct random *r, uint64_t seed);

uint64_t random_bits(struct random *r);

/* Uniform in [0, 1), 24 bits. */
float random_uniform(struct random *r);

#endif
