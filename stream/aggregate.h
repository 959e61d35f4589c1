// SPDX-License-Identifier: MIT
/* aggregate.h - what overlapping windows say of a frame, made one: overlap-add.
 *
 * A window's value counts with its frame's weight; NaN is left out, of the sum
 * and of the weight. Sums are float32, as upstream's: only then a count that
 * lies between two numbers is rounded the same way. Thread: any, one at a time. */
#ifndef AGGREGATE_H
#define AGGREGATE_H

#include "model/error.h"
#include "stream/heard.h"
#include "stream/windows.h"

struct aggregate {
    struct windows windows;
    int64_t n_frames;      // of the grid
    int n_columns;
    const double *weights; // [window's frames] or NULL: 1
    float *sum, *weight;   // [n_frames,n_columns]
    uint8_t *some;         // [n_frames,n_columns] 1: a window had a value
};

/* For the grid of n windows. weights are the caller's and must outlive it. */
int aggregate_open(struct aggregate *a, const struct windows *w, int64_t n_windows, int n_columns,
                   const double *weights, struct error *err);

/* Adds window c: values [window's frames,n_columns]. */
void aggregate_add(struct aggregate *a, int64_t c, const float *values);

/* sum becomes the mean; frames without a value become `missing`. */
void aggregate_mean(struct aggregate *a, float missing);

/* sum stays; frames without a value become `missing`. */
void aggregate_sum(struct aggregate *a, float missing);

/* A zeroed one may be closed. */
void aggregate_close(struct aggregate *a);

/* How many speak in each frame of the grid, the caller's to free: the mean over
 * the windows, rounded half to even. trim: the share of a window that is left out
 * at either end; the grid then begins later. *n_frames of them. weights as above, of the
 * frames that are left. */
int aggregate_count(uint8_t **count, int64_t *n_frames, const struct heard *h,
                    const struct windows *w, double trim, const double *weights,
                    struct error *err);

#endif
