// SPDX-License-Identifier: MIT
/* clustering.h - the slots of all windows to the persons of the recording.
 *
 * Vectors of slots that speak alone for long enough are clustered; then every
 * slot is compared with the clusters' centroids, and in each window no two slots
 * get the same one. With calibrated vectors VOICES (heard_voices.h) is our own way;
 * else all is as upstream's pipeline does it (DiariZen, pyannote), except where its
 * behaviour is a fault; `compat` gives that too:
 *
 *   - a slot in which nobody speaks takes part in the assignment and may take a
 *     cluster away from one that speaks;
 *   - with VBx, if any slot anywhere is without a cluster, all numbers move up by
 *     one and the slots without one become speaker 0;
 *   - with VBx the numbers of speakers asked for are ignored;
 *   - labels pass through 8 bits: clusters beyond 127 become others.
 *
 * Thread: any. */
#ifndef CLUSTERING_H
#define CLUSTERING_H

#include "stream/heard.h"
#include "stream/plda.h"
#include "stream/vbx.h"

enum clustering_method { CLUSTERING_AHC, CLUSTERING_VBX, CLUSTERING_VOICES };

struct clustering_settings {
    enum clustering_method method;
    double threshold; // of the linkage's distance; for VBx, where it starts
    int min_size;     // AHC: vectors of a cluster that stands for itself
    int most;         // VBx: starts with at most so many clusters, instead of the threshold; 0
    struct vbx_settings vbx;
    int dims;         // VBx: of the PLDA's space
    const struct plda *plda;        // VBx
    int min_speakers, max_speakers; // max 0: as many as there are
    int apart;        // VOICES: of so many windows one is asked (heard_voices.h)
    int unconstrained;              // slots of a window may get the same cluster
    int compat;
};

/* DiariZen's: AHC at 0.6 and 13 vectors, or VBx at 0.6 with 128 dimensions; 1 to 20
 * speakers in compat, else as many as there are. VOICES is unconstrained. */
struct clustering_settings clustering_defaults(enum clustering_method method, int compat);

enum { CLUSTER_NONE = -2 }; // upstream's number for it

struct clustering {
    int n_train;
    int *train;        // [n_train] the slots clustered: window * n_slots + slot
    int *train_label;  // [n_train] of AHC; NULL for VBx, or where there was one cluster only
    int n_clusters;
    int width;
    double *centroids; // [n_clusters,width] not of unit length; NULL if all are one
    int *label;        // [n_windows,n_slots] of each slot that speaks, else CLUSTER_NONE
};

int clustering_run(struct clustering *c, const struct heard *h,
                   const struct clustering_settings *s, struct error *err);

/* A zeroed one may be released. */
void clustering_release(struct clustering *c);

/* The slots to be clustered, in order: those that speak, have a vector, and speak
 * alone in a tenth of the frames; if these are fewer than two, without the last.
 * train [n_windows * n_slots]. Returns how many. */
int clustering_choose(int *train, const struct heard *h);

/* soft [n_windows,n_slots,n_clusters]: 1 + the cosine of vector and centroid, NaN
 * where there is no vector. */
void clustering_compare(double *soft, const struct heard *h, const double *centroids,
                        int n_clusters);

#endif
