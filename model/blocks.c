// SPDX-License-Identifier: MIT
#include "model/blocks.h"

enum { STRIDE = 320, WINDOW = 400 };

int64_t blocks_cover(int64_t n_frames)
{
    return n_frames > 0 ? (n_frames - 1) * STRIDE + WINDOW : 0;
}

int64_t blocks_frames(int64_t n_samples)
{
    return n_samples < WINDOW ? 0 : (n_samples - WINDOW) / STRIDE + 1;
}

int block_next(struct block *b, const struct position *at, int64_t available, int ended,
               int block_frames, int right_frames)
{
    int64_t samples = at->samples + available;
    int64_t frames = blocks_frames(samples) - at->frames;

    if (frames <= 0 || (!ended && frames < (int64_t)block_frames + right_frames))
        return 0;
    *b = (struct block){.frame = at->frames};
    b->own = frames < block_frames ? (int)frames : block_frames;
    b->right = frames - b->own < right_frames ? (int)(frames - b->own) : right_frames;
    /* A block is the last one if it is cut short, or has no frame after it
     * although it would want look-ahead: only at the end can that be. */
    int last = b->own < block_frames || (right_frames > 0 && frames == b->own);
    int64_t covered = last ? samples : blocks_cover(at->frames + b->own);
    b->own_samples = (int)(covered - at->samples);
    b->right_samples = (int)(blocks_cover(at->frames + b->own + b->right) - covered);
    if (b->right == 0)
        b->right_samples = 0;
    return 1;
}

void position_advance(struct position *at, const struct block *b)
{
    at->frames += b->own;
    at->samples += b->own_samples;
}

int64_t block_max_samples(int block_frames, int right_frames)
{
    return blocks_cover((int64_t)block_frames + right_frames) + STRIDE;
}

int blocks_rows(const struct block *blocks, int n_blocks)
{
    int rows = 0;

    for (int i = 0; i < n_blocks; i++)
        rows += block_rows(&blocks[i]);
    return rows;
}
