// SPDX-License-Identifier: MIT
/* vbx.h - which vectors are of one speaker, by variational Bayes (Landini and
 * others, 2022), without the hidden Markov model: the order of vectors is free.
 *
 *   rho = fea sqrt(Phi);  N[s] = sum_t gamma[t,s]
 *   invL[s,d]  = 1 / (1 + Fa/Fb N[s] Phi[d])
 *   alpha[s,d] = Fa/Fb invL[s,d] sum_t gamma[t,s] rho[t,d]
 *   logp[t,s]  = Fa (rho[t].alpha[s] - sum_d (invL + alpha^2)[s,d] Phi[d] / 2 + G[t])
 *   G[t]       = -(|fea[t]|^2 + D ln 2 pi) / 2
 *   gamma[t,s] = softmax_s(logp + ln(pi[s] + 1e-8));  pi = mean_t gamma
 *   ELBO       = sum_t logsumexp + Fb/2 sum_sd (ln invL - invL - alpha^2 + 1)
 *
 * until the ELBO grows by less than 1e-4. Speakers nobody needs die out.
 * Thread: any. */
#ifndef VBX_H
#define VBX_H

#include "model/error.h"

struct vbx_settings {
    double Fa, Fb;
    int max_iterations;
};

struct vbx {
    int n_points, n_speakers, dims;
    double *gamma; // [n_points,n_speakers]
    double *pi;    // [n_speakers]
    double *invL;  // [n_speakers,dims]
    double *alpha; // [n_speakers,dims]
    double *elbo;  // [max_iterations]
    int n_iterations;
};

/* Fa 0.07, Fb 0.8, 20 iterations: DiariZen's. */
struct vbx_settings vbx_defaults(void);

/* From a hard clustering label [n] of n_speakers: e^7 times likelier than any other. */
int vbx_run(struct vbx *v, const struct vbx_settings *s, const double *fea, const double *Phi,
            const int *label, int n_points, int n_speakers, int dims, struct error *err);

/* gamma as it begins: of one point in cluster `label`. */
void vbx_begin(double *gamma, int label, int n_speakers);

/* A zeroed one may be released. */
void vbx_release(struct vbx *v);

#endif
