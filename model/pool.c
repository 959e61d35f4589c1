// SPDX-License-Identifier: MIT
#include "model/pool.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT_MAX = 64, CHUNK_BYTES = 64 * 1024 };

struct pool_chunk {
    struct pool_chunk *next;
    unsigned char *start; // first byte at a multiple of ALIGNMENT_MAX
    size_t size;          // bytes from start on
};

static struct pool_chunk *chunk_new(size_t size)
{
    struct pool_chunk *c = calloc(1, sizeof(*c) + ALIGNMENT_MAX + size);

    if (!c)
        return NULL;
    uintptr_t after = (uintptr_t)(c + 1);
    size_t gap = (ALIGNMENT_MAX - after % ALIGNMENT_MAX) % ALIGNMENT_MAX;
    c->start = (unsigned char *)(c + 1) + gap;
    c->size = size;
    return c;
}

/* A chunk for this request alone, behind the open one, which stays open. */
static void *alloc_apart(struct pool *p, size_t n)
{
    struct pool_chunk *c = chunk_new(n);

    if (!c)
        return NULL;
    if (p->chunks) {
        c->next = p->chunks->next;
        p->chunks->next = c;
    } else {
        p->chunks = c;
        p->at = n;
    }
    return c->start;
}

static void *alloc_inside(struct pool *p, size_t n, size_t alignment)
{
    size_t at = (p->at + alignment - 1) & ~(alignment - 1);

    if (!p->chunks || at > p->chunks->size || n > p->chunks->size - at) {
        struct pool_chunk *c = chunk_new(CHUNK_BYTES);
        if (!c)
            return NULL;
        c->next = p->chunks;
        p->chunks = c;
        at = 0;
    }
    p->at = at + n;
    return p->chunks->start + at;
}

void *pool_alloc(struct pool *p, size_t n, size_t alignment, struct error *err)
{
    assert(alignment && alignment <= ALIGNMENT_MAX && !(alignment & (alignment - 1)));
    if (n > p->limit - p->used) {
        fail(err, "wants more than %zu MiB of memory, far more than a file of this size should; "
             "it is damaged or not a model", p->limit >> 20);
        return NULL;
    }

    void *bytes = n > CHUNK_BYTES / 4 ? alloc_apart(p, n) : alloc_inside(p, n, alignment);
    if (!bytes) {
        fail(err, "out of memory: %zu bytes wanted; close other programs", n);
        return NULL;
    }
    p->used += n;
    return bytes;
}

char *pool_string(struct pool *p, const char *s, size_t n, struct error *err)
{
    char *copy = pool_alloc(p, n + 1, 1, err);

    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}

void *pool_grow(struct pool *p, const void *old, size_t n, size_t *capacity, size_t n_element_bytes,
                struct error *err)
{
    size_t wanted = *capacity < 8 ? 16 : 2 * *capacity;

    assert(n <= *capacity);
    if (wanted > SIZE_MAX / n_element_bytes) {
        fail(err, "out of memory: a list of %zu elements; close other programs", wanted);
        return NULL;
    }
    void *bytes = pool_alloc(p, wanted * n_element_bytes, ALIGNMENT_MAX, err);
    if (!bytes)
        return NULL;
    if (n)
        memcpy(bytes, old, n * n_element_bytes);
    *capacity = wanted;
    return bytes;
}

void pool_release(struct pool *p)
{
    struct pool_chunk *next;

    for (struct pool_chunk *c = p->chunks; c; c = next) {
        next = c->next;
        free(c);
    }
    *p = (struct pool){0};
}
