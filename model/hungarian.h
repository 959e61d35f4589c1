// SPDX-License-Identifier: MIT
/* hungarian.h - the cheapest one-to-one assignment of rows to columns.
 *
 * Crouse's shortest augmenting paths (2016), step by step in scipy's order, so
 * that of equally cheap assignments it finds the one upstream finds: a model that
 * predicts silence gives equal costs all over, and which is taken changes its
 * loss. Time n^2 m for the smaller side n and the larger m. For the mapping of
 * speakers, in scoring, in tracking, offline and in training. Thread: any. */
#ifndef HUNGARIAN_H
#define HUNGARIAN_H

#include "model/error.h"

#include <stddef.h>

/* Assigns min(n_rows, n_columns) pairs so that the sum of cost[row, column] is
 * least. map [n_rows] gets each row's column, or -1.
 *
 *   cost [n_rows, n_columns]  finite, of either sign
 *
 * To maximise, negate. Allocates its scratch. */
int hungarian(int *map, const double *cost, int n_rows, int n_columns, struct error *err);

/* The same within the caller's memory of hungarian_scratch_bytes, aligned to a
 * double, for a caller that must not allocate. */
void hungarian_in(void *scratch, int *map, const double *cost, int n_rows, int n_columns);
size_t hungarian_scratch_bytes(int n_rows, int n_columns);

#endif
