// SPDX-License-Identifier: MIT
#include "stream/ring.h"

#include <assert.h>
#include <string.h>

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

void ring_init(struct ring *r, void *storage, size_t n_items, size_t item_bytes)
{
    assert(n_items > 0 && (n_items & (n_items - 1)) == 0);
    r->storage = storage;
    r->item_bytes = item_bytes;
    r->mask = n_items - 1;
    atomic_init(&r->written, 0);
    atomic_init(&r->taken, 0);
}

size_t ring_write(struct ring *r, const void *src, size_t n)
{
    size_t written = atomic_load_explicit(&r->written, memory_order_relaxed);
    size_t taken = atomic_load_explicit(&r->taken, memory_order_acquire);
    size_t capacity = r->mask + 1, item = r->item_bytes;
    size_t at = written & r->mask;

    n = min_size(n, capacity - (written - taken));
    size_t to_end = min_size(n, capacity - at);

    memcpy(r->storage + at * item, src, to_end * item);
    memcpy(r->storage, (const unsigned char *)src + to_end * item, (n - to_end) * item);
    atomic_store_explicit(&r->written, written + n, memory_order_release);
    return n;
}

size_t ring_read(struct ring *r, void *dst, size_t n)
{
    size_t taken = atomic_load_explicit(&r->taken, memory_order_relaxed);
    size_t written = atomic_load_explicit(&r->written, memory_order_acquire);
    size_t capacity = r->mask + 1, item = r->item_bytes;
    size_t at = taken & r->mask;

    n = min_size(n, written - taken);
    size_t to_end = min_size(n, capacity - at);

    memcpy(dst, r->storage + at * item, to_end * item);
    memcpy((unsigned char *)dst + to_end * item, r->storage, (n - to_end) * item);
    atomic_store_explicit(&r->taken, taken + n, memory_order_release);
    return n;
}

size_t ring_readable(const struct ring *r)
{
    return atomic_load_explicit(&r->written, memory_order_acquire) -
           atomic_load_explicit(&r->taken, memory_order_relaxed);
}

size_t ring_writable(const struct ring *r)
{
    return r->mask + 1 - (atomic_load_explicit(&r->written, memory_order_relaxed) -
                          atomic_load_explicit(&r->taken, memory_order_acquire));
}
