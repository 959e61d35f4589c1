// SPDX-License-Identifier: MIT
/* positions.h - WavLM's relative positions, and where frames lie for them. */
#ifndef POSITIONS_H
#define POSITIONS_H

/* Bucket of distance d = key - query (T5's rule, as WavLM uses it): half of the
 * buckets for each sign; exact up to a quarter of them, then logarithmic up to
 * max_distance, the last for all beyond. */
int position_bucket(long d, int n_buckets, int max_distance);

#endif
