// SPDX-License-Identifier: MIT
/* chunk.h - samples to blocks: collects what arrives until a block is there.
 *
 * Thread: worker; no allocation after opening. */
#ifndef CHUNK_H
#define CHUNK_H

#include "model/arena.h"
#include "model/blocks.h"

struct chunk {
    float *samples; // those behind the position, which no block has covered
    size_t past;    // so many stand in front of them: the newest of what blocks have covered
    size_t max_past;
    float *store;   // what is kept of the past, then the samples
    size_t fill, room;
    struct position at;
    int block_frames, right_frames;
};

/* max_past: how many covered samples to keep. max_put: the most samples put
 * between two looks for blocks. */
void chunk_place(struct chunk *c, int block_frames, int right_frames, size_t max_past,
                 size_t max_put, struct arena *arena);
void chunk_reset(struct chunk *c);

/* Where the next samples are to be written, and that n of them were. */
float *chunk_tail(struct chunk *c);
void chunk_put(struct chunk *c, size_t n);

/* The next block, if its samples are there: they are at c->samples until the
 * block is done. ended: no more will come. */
int chunk_next(struct chunk *c, struct block *b, int ended);
void chunk_done(struct chunk *c, const struct block *b);

#endif
