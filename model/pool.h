// SPDX-License-Identifier: MIT
/* pool.h - many small and some large pieces of memory that end together.
 *
 * For what is read from files, where the sizes are not known beforehand: a
 * pool never takes more than its limit, so that a hostile file cannot ask for
 * the whole machine. Thread: one at a time. */
#ifndef POOL_H
#define POOL_H

#include "model/error.h"

#include <stddef.h>

struct pool {
    struct pool_chunk *chunks; // newest first, the open one in front
    size_t at;                 // bytes used of the open chunk
    size_t used, limit;        // bytes handed out, and how many may be
};

/* n zeroed bytes at a multiple of alignment (a power of two, at most 64).
 * NULL, and err filled, when the limit or the memory ends. */
void *pool_alloc(struct pool *p, size_t n, size_t alignment, struct error *err);

/* A terminated copy of n bytes. */
char *pool_string(struct pool *p, const char *s, size_t n, struct error *err);

/* Room for twice *capacity elements (at least 16), the first n copied from
 * old; the old room stays used. NULL on error, *capacity is then unchanged. */
void *pool_grow(struct pool *p, const void *old, size_t n, size_t *capacity, size_t n_element_bytes,
                struct error *err);

/* Gives everything back; a zeroed pool may be released. */
void pool_release(struct pool *p);

#endif
