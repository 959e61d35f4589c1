// SPDX-License-Identifier: MIT
/* context.h - the rows before a block that its operations may see.
 *
 * A history keeps the last rows of a stream, for convolutions over time; a
 * window keeps the keys and values of the last L frames, for attention. Both
 * belong to the stream's state and are zero or empty at its start, which is a
 * block of frame 0; look-ahead rows are seen by their block and not kept. */
#ifndef CONTEXT_H
#define CONTEXT_H

#include "model/arena.h"
#include "model/blocks.h"

struct history {
    float *rows; // [keep,width], oldest first; zeros before the stream's start
    int keep, width;
};

void history_place(struct history *h, int keep, int width, struct arena *arena);
void history_reset(struct history *h);

/* region [keep + rows of b, width] = the history, then the block's rows; the
 * history moves on by the block's own rows. */
void history_gather(float *region, struct history *h, const float *rows, const struct block *b);

struct window {
    float *k, *v;   // [capacity,width]
    int width;
    int left;       // frames kept before a block
    int capacity;   // rows
    int used;       // rows kept now: the own rows of earlier blocks
};

/* n_rows: own and look-ahead rows of all blocks of one call. */
void window_place(struct window *w, int width, int left, int n_rows, struct arena *arena);
void window_reset(struct window *w);

/* Puts the block's keys and values behind those kept. Returns the index of the
 * first row that the block may see, n_keys of them; the block's own first row
 * is number `past` among these. The own rows stay for the next block. */
int window_append(struct window *w, const float *k, const float *v, const struct block *b,
                  int *n_keys, int *past);

/* The most keys a block can see. */
int window_max_keys(int left, int block_rows_max);

#endif
