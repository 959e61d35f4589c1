// SPDX-License-Identifier: MIT
/* diart.h - diart's incremental clustering, as a baseline for our tracker: an own
 * port, held against goldens of the original (test_diart). For tests only. */
#ifndef DIART_H
#define DIART_H

enum { DIART_MAX_SPEAKERS = 20, DIART_MAX_LOCAL = 8, DIART_MAX_WIDTH = 512 };

struct diart {
    double tau, rho, delta; // active, long, new
    int euclidean;          // 0: cosine distance
    int max_speakers;
    int width, n_local;
    int started, n_known;
    double centre[DIART_MAX_SPEAKERS][DIART_MAX_WIDTH];
};

/* One window: segmentation [n_frames,n_local], embeddings [n_local,width], NaN
 * for none. map [n_local]: the speaker of each, from 0, or -1. */
void diart_step(struct diart *d, int *map, const float *segmentation, int n_frames,
                const float *embeddings);

#endif
