// SPDX-License-Identifier: MIT
/* arena.h - memory taken once, before the stream starts.
 *
 * An arena without memory only counts. The code that lays an object out is
 * therefore run twice: once to learn the size, once to hand out the places. */
#ifndef ARENA_H
#define ARENA_H

#include "model/error.h"

#include <stddef.h>

struct arena {
    unsigned char *base; // NULL while counting
    size_t used, size;   // bytes
    int overflow;        // a request did not fit size_t
};

/* The next n bytes, 64-byte aligned and zeroed; NULL while counting. */
void *arena_bytes(struct arena *a, size_t n);

/* The next n floats or doubles, likewise. */
float *arena_floats(struct arena *a, size_t n);
double *arena_doubles(struct arena *a, size_t n);

/* Ends the counting: allocates and touches what was counted, and starts over. */
int arena_commit(struct arena *a, struct error *err);

/* Gives the memory back; the arena is as new. A zeroed arena may be released. */
void arena_release(struct arena *a);

#endif
