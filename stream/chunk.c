// SPDX-License-Identifier: MIT
#include "stream/chunk.h"

#include <assert.h>
#include <string.h>

void chunk_place(struct chunk *c, int block_frames, int right_frames, size_t max_past,
                 size_t max_put, struct arena *arena)
{
    c->block_frames = block_frames;
    c->right_frames = right_frames;
    c->max_past = max_past;
    c->room = max_past + (size_t)block_max_samples(block_frames, right_frames) + max_put;
    c->store = arena_floats(arena, c->room);
}

void chunk_reset(struct chunk *c)
{
    c->past = c->fill = 0;
    c->samples = c->store;
    c->at = (struct position){0};
}

float *chunk_tail(struct chunk *c)
{
    return c->samples + c->fill;
}

void chunk_put(struct chunk *c, size_t n)
{
    c->fill += n;
    assert(c->past + c->fill <= c->room);
}

int chunk_next(struct chunk *c, struct block *b, int ended)
{
    return block_next(b, &c->at, (int64_t)c->fill, ended, c->block_frames, c->right_frames);
}

void chunk_done(struct chunk *c, const struct block *b)
{
    size_t past = c->past + (size_t)b->own_samples;

    position_advance(&c->at, b);
    c->fill -= (size_t)b->own_samples;
    c->past = past < c->max_past ? past : c->max_past;
    memmove(c->store, c->store + (past - c->past), (c->past + c->fill) * sizeof(float));
    c->samples = c->store + c->past;
}
