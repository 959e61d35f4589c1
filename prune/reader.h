// SPDX-License-Identifier: MIT
/* reader.h - clips made ahead of who needs them, in several threads.
 *
 * They come in the order that was asked for, whichever thread made them. At
 * most `ahead` clips wait. Thread: next and close one at a time; the threads
 * are the reader's own. */
#ifndef READER_H
#define READER_H

#include "prune/clip.h"

struct clip_reader;

struct clip_order {
    /* The source's index of the k-th clip to be read, k = 0, 1, 2 ... Called by
     * any thread. NULL: first + k * stride. */
    uint64_t (*index)(void *context, uint64_t k);
    void *context;
    uint64_t first, stride;
    uint64_t n; // clips to be read in all; 0: no end
};

/* The source must outlive the reader. */
int clip_reader_open(struct clip_reader **r, const struct clip_source *source,
                     const struct clip_order *order, int n_threads, int ahead, struct error *err);

/* Waits for the next clip and swaps it with this one, which must be initialised
 * for the source's length: afterwards the clip is the caller's, its old memory
 * the reader's. Returns 1, 0 behind the last, -1 if this clip could not be
 * made: err then says which index it was. After an error every further call
 * gives the same. */
int clip_reader_next(struct clip_reader *r, struct clip *clip, struct error *err);

/* Stops the threads. *r may be NULL, and is afterwards. */
void clip_reader_close(struct clip_reader **r);

#endif
