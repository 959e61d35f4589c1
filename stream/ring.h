// SPDX-License-Identifier: MIT
/* ring.h - items from one thread to another, without a lock.
 *
 * One thread writes, one thread reads, and neither ever waits. The two counts
 * run on since the start and are never wrapped; only the index into storage
 * is. written - taken is thus always the fill, and no slot is wasted.
 *
 * The writer publishes items by a release store of written, the reader takes
 * them by an acquire load of it; taken travels the other way. */
#ifndef RING_H
#define RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>

struct ring {
    unsigned char *storage;
    size_t item_bytes;
    size_t mask;                         // capacity - 1
    alignas(64) _Atomic size_t written; // items; stored by the writer only
    alignas(64) _Atomic size_t taken;   // items; stored by the reader only
};

/* The storage (n_items times item_bytes) is the caller's and must outlive the
 * ring. n_items is a power of two.  Thread: main, before the others. */
void ring_init(struct ring *r, void *storage, size_t n_items, size_t item_bytes);

/* Moves at most n items in, and returns how many.  Thread: writer; real-time safe. */
size_t ring_write(struct ring *r, const void *src, size_t n);

/* Moves at most n items out, and returns how many.  Thread: reader; real-time safe. */
size_t ring_read(struct ring *r, void *dst, size_t n);

/* Items that can be read, or written, now. Exact for the thread whose question
 * it is, a lower bound that only grows.  Thread: reader; writer. */
size_t ring_readable(const struct ring *r);
size_t ring_writable(const struct ring *r);

#endif
