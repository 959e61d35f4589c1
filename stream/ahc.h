// SPDX-License-Identifier: MIT
/* ahc.h - vectors to speakers: centroid linkage cut at a distance, small clusters
 * given to the large one they are nearest to, and as many clusters as asked for.
 *
 * Vectors are of unit length, so a distance d is a cosine of 1 - d^2/2. Upstream's
 * rules (pyannote's AgglomerativeClustering). Thread: any. */
#ifndef AHC_H
#define AHC_H

#include "model/error.h"

struct ahc_settings {
    double threshold; // clusters whose centroids are this near are one
    int min_size;     // of a large cluster; never more than a tenth of all vectors
    int min_clusters, max_clusters; // of large ones, 1 .. n; equal: exactly so many
};

/* label [n] of unit vectors x [n,d], from 0. Returns the number of clusters, which
 * is outside of the limits if the tree has no cut within them; -1 without memory. */
int ahc(int *label, const double *x, int n, int d, const struct ahc_settings *s,
        struct error *err);

#endif
