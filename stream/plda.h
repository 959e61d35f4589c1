// SPDX-License-Identifier: MIT
/* plda.h - speaker vectors brought to a space in which speakers are told apart:
 * the PLDA of a DiariZen model's folder.
 *
 *   y   = sqrt(W) unit(x - mean1)                 x [W]
 *   z   = sqrt(D) unit(lda^T y - mean2)           z [D]
 *   fea = rows of tr by falling psi, times (z - mu)
 *
 * Upstream finds these rows by a generalised eigenproblem, whose solution they
 * are (up to signs, which cancel). In fea a speaker's mean varies with variance
 * psi, a speaker's vectors with variance 1. Constant after reading. Thread: any. */
#ifndef PLDA_H
#define PLDA_H

#include "model/error.h"

struct plda {
    int width;     // W of the vectors
    int dims;      // D
    double *mean1; // [W]
    double *mean2; // [D]
    double *lda;   // [W,D]
    double *mu;    // [D]
    double *tr;    // [D,D] its rows by falling psi
    double *psi;   // [D] falling
};

/* Reads plda.npz and xvec_transform.npz in that folder. */
int plda_read(struct plda *p, const char *folder, struct error *err);

/* fea [n,dims], the first dims of each, at most D, of vectors x [n,W]. */
int plda_transform(double *fea, const struct plda *p, const double *x, int n, int dims,
                   struct error *err);

/* A zeroed one may be released. */
void plda_release(struct plda *p);

#endif
