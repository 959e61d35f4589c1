// SPDX-License-Identifier: MIT
/* known.h - which clusters of a recording are people who are known (speakers_file.h).
 *
 * A cluster sounds like the mean of its slots' vectors over the frames in which they speak
 * alone, a known speaker like that of their prototypes. Pairs whose cosine distance is below
 * the threshold that the model's vectors were calibrated for are one person; no cluster is
 * two people, nor two clusters one, those that fit together best. Thread: any. */
#ifndef KNOWN_H
#define KNOWN_H

#include "stream/heard.h"
#include "stream/speakers_file.h"

/* who [n_clusters] is each one's place among the known, or -1. label [n_windows,n_slots]: the
 * slots' clusters, below 0 nobody's. */
int known_find(int *who, int n_clusters, const int *label, const struct heard *h,
               const struct speakers *known, float threshold, struct error *err);

#endif
