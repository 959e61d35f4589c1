// SPDX-License-Identifier: MIT
#include "model/arena.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

void *arena_bytes(struct arena *a, size_t n)
{
    if (n > SIZE_MAX - ALIGNMENT - a->used)
        a->overflow = 1;
    if (a->overflow)
        return NULL;

    size_t at = a->used;
    a->used += (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!a->base)
        return NULL;
    assert(a->used <= a->size);
    return a->base + at;
}

float *arena_floats(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / sizeof(float))
        a->overflow = 1;
    return arena_bytes(a, n * sizeof(float));
}

double *arena_doubles(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / sizeof(double))
        a->overflow = 1;
    return arena_bytes(a, n * sizeof(double));
}

/* More than the machine has may be promised (overcommit), and then the program is
 * killed for touching it. */
static int exceeds_machine(size_t size)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);

    return pages > 0 && page_bytes > 0 && size / (size_t)page_bytes >= (size_t)pages;
}

int arena_commit(struct arena *a, struct error *err)
{
    assert(!a->base);
    if (a->overflow)
        return fail(err, "out of memory: more than this machine can address");
    size_t size = a->used ? a->used : ALIGNMENT;
    a->base = exceeds_machine(size) ? NULL : aligned_alloc(ALIGNMENT, size);
    if (!a->base)
        return fail(err, "out of memory: %zu MiB wanted; try shorter audio or a smaller model",
                    size >> 20);
    memset(a->base, 0, size); // also faults every page in, before the stream starts
    a->size = size;
    a->used = 0;
    return 0;
}

void arena_release(struct arena *a)
{
    free(a->base);
    *a = (struct arena){0};
}
