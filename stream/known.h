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

/* label [n_windows,n_slots] of slots, below 0 nobody: those of a known speaker become their
 * place in the list; the others follow in the order they had. *n_clusters: labels are below
 * it, before and after. */
int known_find(int *label, int *n_clusters, const struct heard *h, const struct speakers *known,
               float threshold, struct error *err);

#endif
