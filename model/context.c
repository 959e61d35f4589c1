// SPDX-License-Identifier: MIT
#include "model/context.h"

#include <assert.h>
#include <string.h>

void history_place(struct history *h, int keep, int width, struct arena *arena)
{
    h->keep = keep;
    h->width = width;
    h->rows = arena_floats(arena, (size_t)keep * (size_t)width);
}

void history_reset(struct history *h)
{
    memset(h->rows, 0, (size_t)h->keep * (size_t)h->width * sizeof(float));
}

void history_gather(float *region, struct history *h, const float *rows, const struct block *b)
{
    size_t width = (size_t)h->width, keep = (size_t)h->keep;

    if (b->frame == 0)
        history_reset(h);
    memcpy(region, h->rows, keep * width * sizeof(float));
    memcpy(region + keep * width, rows, (size_t)block_rows(b) * width * sizeof(float));
    memcpy(h->rows, region + (size_t)b->own * width, keep * width * sizeof(float));
}

void window_place(struct window *w, int width, int left, int n_rows, struct arena *arena)
{
    w->width = width;
    w->left = left;
    w->capacity = 2 * left + n_rows; // moves its rows down only every `left` frames
    w->k = arena_floats(arena, (size_t)w->capacity * (size_t)width);
    w->v = arena_floats(arena, (size_t)w->capacity * (size_t)width);
}

void window_reset(struct window *w)
{
    w->used = 0;
}

static void window_shift(struct window *w)
{
    int keep = w->used < w->left ? w->used : w->left;
    size_t from = (size_t)(w->used - keep) * (size_t)w->width;
    size_t bytes = (size_t)keep * (size_t)w->width * sizeof(float);

    memmove(w->k, w->k + from, bytes);
    memmove(w->v, w->v + from, bytes);
    w->used = keep;
}

int window_append(struct window *w, const float *k, const float *v, const struct block *b,
                  int *n_keys, int *past)
{
    int rows = block_rows(b);

    if (b->frame == 0)
        window_reset(w);
    if (w->used + rows > w->capacity)
        window_shift(w);
    assert(w->used + rows <= w->capacity);

    size_t at = (size_t)w->used * (size_t)w->width;
    size_t bytes = (size_t)rows * (size_t)w->width * sizeof(float);
    int first = w->used > w->left ? w->used - w->left : 0;

    memcpy(w->k + at, k, bytes);
    memcpy(w->v + at, v, bytes);
    *past = w->used - first;
    *n_keys = *past + rows;
    w->used += b->own;
    return first;
}

int window_max_keys(int left, int block_rows_max)
{
    return left + block_rows_max;
}
