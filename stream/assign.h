// SPDX-License-Identifier: MIT
/* assign.h - which cluster each slot of a window belongs to, by what `soft`
 * [n_windows,n_slots,n_clusters] says of how well they fit. NaN: nothing is known.
 * label [n_windows,n_slots]. Thread: any. */
#ifndef ASSIGN_H
#define ASSIGN_H

#include "model/error.h"
#include "stream/heard.h"

#include <stddef.h>

/* No two slots of a window get the same, those that fit together best; NaN counts
 * as the worst fit of all windows. Slots that do not speak are left out; with
 * compat they take part, and labels pass through 8 bits. */
int assign_apart(int *label, double *soft, const struct heard *h, int n_clusters, int compat,
                 struct error *err);

/* The best for each, the first of equals. Returns 0. */
int assign_free(int *label, const double *soft, const struct heard *h, int n_clusters);

/* Labels become their place in the sorted list of those there are, CLUSTER_NONE
 * included: what upstream does with VBx. */
int assign_renumber(int *label, size_t n, struct error *err);

/* Slots that never speak become CLUSTER_NONE. */
void assign_silence(int *label, const struct heard *h);

#endif
