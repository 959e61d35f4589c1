// SPDX-License-Identifier: MIT
/* linkage.h - agglomerative clustering by centroids: who is merged with whom, and
 * how the tree is cut.
 *
 * The two clusters with the nearest centroids (Euclidean) are merged, again and
 * again. A merge may be lower than one before it (an inversion: the new centroid
 * lies nearer to a third than its parts did), so cuts go by the highest merge
 * within a subtree. Trees, cuts and the numbering of clusters are scipy's.
 *
 * Distances are not kept: memory grows with n d, not with n^2, and time about
 * with n^2 d. Thread: any. */
#ifndef LINKAGE_H
#define LINKAGE_H

#include "model/error.h"

struct merge {
    int a, b;      // clusters, a < b: below n a point, n + i the i-th merge
    double height; // their centroids' distance
    int size;      // points
};

/* merges [n - 1] of points x [n,d], n >= 1; they may be zero apart, not NaN. */
int linkage_centroid(struct merge *merges, const double *x, int n, int d, struct error *err);

/* Cuts the tree so that a cluster's highest merge is at most `threshold`:
 * label [n], from 0, in the order in which a walk from the root finishes clusters.
 * heights [n - 1] stand in for the merges' own, or NULL. Returns the number of
 * clusters, or -1 without memory. */
int linkage_cut(int *label, const struct merge *merges, const double *heights, int n,
                double threshold, struct error *err);

/* Cuts into at most k clusters: by bisection over the merges' list, as scipy;
 * with inversions at the top it may find fewer than there could be. */
int linkage_cut_most(int *label, const struct merge *merges, int n, int k, struct error *err);

#endif
