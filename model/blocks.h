// SPDX-License-Identifier: MIT
/* blocks.h - how a call's frames fall into blocks; the one rule for live,
 * offline and training.
 *
 * Block b of a stream holds the frames [b B, (b+1) B) and covers the samples up
 * to 320 (b+1) B + 79, the last its frames need. With look-ahead R it also
 * computes the R frames after it, whose outputs are dropped. It can be computed
 * as soon as those samples are there. At the end of the stream the last,
 * perhaps shorter, block covers all samples that are left; samples after a
 * block that was already complete, too few for a frame, are never covered.
 *
 * A block of frame 0 starts a stream: all state is as new, whatever was before.
 * So a call can hold several streams, one after another: a batch.
 *
 * The rows of a call are its blocks one after another, each its own rows and
 * then its look-ahead. */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stddef.h>
#include <stdint.h>

struct block {
    int64_t frame;     // stream frame number of its first row
    int own;           // rows of its own
    int right;         // look-ahead rows after them
    int row;           // index of its first row among the rows of the call
    int own_samples;   // new samples it covers
    int right_samples; // further samples its look-ahead needs
};

/* Where a stream is, in frames and samples of completed blocks. */
struct position {
    int64_t frames, samples;
};

/* Samples that a stream's first n frames need: 0 for none, else 320 n + 80. */
int64_t blocks_cover(int64_t n_frames);

/* Frames that n samples make. */
int64_t blocks_frames(int64_t n_samples);

/* The next block of a stream of which `available` samples exist after the
 * position; ended: no more will come. Returns 1 and fills b (row = 0), or 0 if
 * there is none (yet). */
int block_next(struct block *b, const struct position *at, int64_t available, int ended,
               int block_frames, int right_frames);

/* Moves the position behind a block. */
void position_advance(struct position *at, const struct block *b);

/* The most samples a block can be given: own and right together. */
int64_t block_max_samples(int block_frames, int right_frames);

static inline int block_rows(const struct block *b)
{
    return b->own + b->right;
}

/* All rows of a call. */
int blocks_rows(const struct block *blocks, int n_blocks);

#endif
