// SPDX-License-Identifier: MIT
#include "stream/vbx.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SHARPNESS = 7.0, LEAST_GROWTH = 1e-4, LEAST_PI = 1e-8; // upstream's

struct vbx_settings vbx_defaults(void)
{
    return (struct vbx_settings){.Fa = 0.07, .Fb = 0.8, .max_iterations = 20};
}

void vbx_begin(double *gamma, int label, int n_speakers)
{
    double other = 1.0 / (exp(SHARPNESS) + (double)(n_speakers - 1));

    for (int s = 0; s < n_speakers; s++)
        gamma[s] = s == label ? exp(SHARPNESS) * other : other;
}

static int reserve(struct vbx *v, int max_iterations, struct error *err)
{
    size_t S = (size_t)v->n_speakers, D = (size_t)v->dims;

    v->gamma = malloc((size_t)v->n_points * S * sizeof(double));
    v->pi = malloc(S * sizeof(double));
    v->invL = malloc(S * D * sizeof(double));
    v->alpha = malloc(S * D * sizeof(double));
    v->elbo = malloc((size_t)max_iterations * sizeof(double));
    if (v->gamma && v->pi && v->invL && v->alpha && v->elbo)
        return 0;
    vbx_release(v);
    return fail(err, "out of memory: %d vectors in %d clusters", v->n_points, v->n_speakers);
}

/* invL and alpha from gamma. */
static void update_speakers(struct vbx *v, const struct vbx_settings *set, const double *rho,
                            const double *Phi)
{
    size_t S = (size_t)v->n_speakers, D = (size_t)v->dims;

    memset(v->alpha, 0, S * D * sizeof(double));
    for (size_t s = 0; s < S; s++) {
        double *alpha = v->alpha + s * D, *invL = v->invL + s * D, N = 0.0;
        for (size_t t = 0; t < (size_t)v->n_points; t++) {
            double gamma = v->gamma[t * S + s];
            N += gamma;
            for (size_t d = 0; d < D; d++)
                alpha[d] += gamma * rho[t * D + d];
        }
        for (size_t d = 0; d < D; d++) {
            invL[d] = 1.0 / (1.0 + set->Fa / set->Fb * N * Phi[d]);
            alpha[d] *= set->Fa / set->Fb * invL[d];
        }
    }
}

/* row becomes its softmax; returns its logsumexp. */
static double normalise(double *row, size_t n)
{
    double most = row[0], sum = 0.0;

    for (size_t s = 1; s < n; s++)
        most = row[s] > most ? row[s] : most;
    for (size_t s = 0; s < n; s++)
        sum += exp(row[s] - most);
    double all = most + log(sum);
    for (size_t s = 0; s < n; s++)
        row[s] = exp(row[s] - all);
    return all;
}

/* gamma and pi from the speakers; returns the ELBO. */
static double update_points(struct vbx *v, const struct vbx_settings *set, const double *rho,
                            const double *G, const double *Phi, double *bias)
{
    size_t S = (size_t)v->n_speakers, D = (size_t)v->dims, T = (size_t)v->n_points;
    double elbo = 0.0, total = 0.0;

    for (size_t s = 0; s < S; s++) {
        bias[s] = 0.0;
        for (size_t d = 0; d < D; d++) {
            double invL = v->invL[s * D + d], alpha = v->alpha[s * D + d];
            bias[s] += (invL + alpha * alpha) * Phi[d];
            elbo += 0.5 * set->Fb * (log(invL) - invL - alpha * alpha + 1.0);
        }
    }
    for (size_t t = 0; t < T; t++) {
        double *row = v->gamma + t * S;
        for (size_t s = 0; s < S; s++) {
            double dot = 0.0;
            for (size_t d = 0; d < D; d++)
                dot += rho[t * D + d] * v->alpha[s * D + d];
            row[s] = set->Fa * (dot - 0.5 * bias[s] + G[t]) + log(v->pi[s] + LEAST_PI);
        }
        elbo += normalise(row, S);
    }
    for (size_t s = 0; s < S; s++) {
        v->pi[s] = 0.0;
        for (size_t t = 0; t < T; t++)
            v->pi[s] += v->gamma[t * S + s];
        total += v->pi[s];
    }
    for (size_t s = 0; s < S; s++)
        v->pi[s] /= total;
    return elbo;
}

int vbx_run(struct vbx *v, const struct vbx_settings *set, const double *fea, const double *Phi,
            const int *label, int n_points, int n_speakers, int dims, struct error *err)
{
    size_t T = (size_t)n_points, D = (size_t)dims, S = (size_t)n_speakers;

    *v = (struct vbx){.n_points = n_points, .n_speakers = n_speakers, .dims = dims};
    if (reserve(v, set->max_iterations, err))
        return -1;
    double *rho = malloc((T * D + T + S) * sizeof(double)), *G = rho ? rho + T * D : NULL;
    if (!rho) {
        vbx_release(v);
        return fail(err, "out of memory: %d vectors", n_points);
    }
    for (size_t t = 0; t < T; t++) {
        double squares = 0.0;
        for (size_t d = 0; d < D; d++) {
            rho[t * D + d] = fea[t * D + d] * sqrt(Phi[d]);
            squares += fea[t * D + d] * fea[t * D + d];
        }
        G[t] = -0.5 * (squares + (double)dims * log(2.0 * M_PI));
        vbx_begin(v->gamma + t * S, label[t], n_speakers);
    }
    for (size_t s = 0; s < S; s++)
        v->pi[s] = 1.0 / (double)S;
    for (int i = 0; i < set->max_iterations; i++) {
        update_speakers(v, set, rho, Phi);
        v->elbo[v->n_iterations++] = update_points(v, set, rho, G, Phi, G + T);
        if (i > 0 && v->elbo[i] - v->elbo[i - 1] < LEAST_GROWTH)
            break;
    }
    free(rho);
    return 0;
}

void vbx_release(struct vbx *v)
{
    free(v->gamma);
    free(v->pi);
    free(v->invL);
    free(v->alpha);
    free(v->elbo);
    *v = (struct vbx){0};
}
