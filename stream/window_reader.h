// SPDX-License-Identifier: MIT
/* window_reader.h - an audio file as overlapping windows of 16 kHz mono, one after
 * another: never more of it in memory than a window and a little.
 * Thread: one at a time. */
#ifndef WINDOW_READER_H
#define WINDOW_READER_H

#include "stream/audio_file.h"
#include "stream/resample.h"
#include "stream/windows.h"

struct window_reader {
    struct audio_file file;
    struct resampler resampler;
    struct windows windows;
    float *ticks;
    float *samples;    // those from `begin` on
    size_t n, room;
    int64_t begin;     // sample number of the first
    int64_t next;      // window
    int ended;         // of the file
};

/* channel k from 1 alone, 0: the mean of all. */
int window_reader_open(struct window_reader *r, const char *path, int channel,
                       const struct windows *w, struct error *err);

/* The next window into dst [windows.n_samples]: 1 with its number and how many
 * samples it has (fewer only in the last; at least 1), 0 at the end, -1. */
int window_reader_next(struct window_reader *r, float *dst, size_t *n, int64_t *window,
                       struct error *err);

/* Samples of the recording as far as it was read. */
int64_t window_reader_samples(const struct window_reader *r);

/* A zeroed one may be closed. */
void window_reader_close(struct window_reader *r);

#endif
