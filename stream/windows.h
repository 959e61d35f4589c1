// SPDX-License-Identifier: MIT
/* windows.h - how a recording is cut into overlapping windows, and where their
 * frames lie on the recording's grid.
 *
 * Window c begins at c steps; as many as are whole, and one more, not full, for
 * what is left. Frame i of the grid spans [0.02 i, 0.02 i + 0.025] from `start`
 * on; a window's frames lie on it one to one from the nearest grid frame.
 * Upstream's rules and rounding (half to even), in double. Thread: any. */
#ifndef WINDOWS_H
#define WINDOWS_H

#include "model/error.h"

#include <stdint.h>

struct windows {
    double start;   // seconds of the first window and of the grid, 0 unless trimmed
    double seconds; // of a window
    double step;    // seconds
    int64_t n_samples, n_step; // the same in samples
    int n_frames;   // of a window
};

/* Checks what the user asks for: a window of 0.1 to 60 s, a step of at least a
 * frame and at most a window. */
int windows_init(struct windows *w, double seconds, double step, struct error *err);

/* Windows of a recording of n samples, at least 1. */
int64_t windows_count(const struct windows *w, int64_t n_samples);

/* The grid frame of window c's first. */
int64_t windows_frame(const struct windows *w, int64_t c);

/* Frames of the grid of n windows: a little more than the windows cover. */
int64_t windows_grid(const struct windows *w, int64_t n_windows);

/* The windows without a share of their length at either end. */
struct windows windows_trim(const struct windows *w, double left, double right);

#endif
