// SPDX-License-Identifier: MIT
#include "tests/diart.h"

#include "model/hungarian.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double INVALID = 1e10;

struct window {
    double cost[DIART_MAX_LOCAL][DIART_MAX_SPEAKERS], distance[DIART_MAX_LOCAL][DIART_MAX_SPEAKERS];
    int active[DIART_MAX_LOCAL], is_long[DIART_MAX_LOCAL];
};

static double distance(const struct diart *d, const float *x, const double *y)
{
    double xx = 0.0, yy = 0.0, xy = 0.0;

    for (int e = 0; e < d->width; e++) {
        xx += (double)x[e] * x[e];
        yy += y[e] * y[e];
        xy += x[e] * y[e];
    }
    return d->euclidean ? sqrt(fmax(xx + yy - 2.0 * xy, 0.0)) : 1.0 - xy / sqrt(xx * yy);
}

/* The cheapest pairs, impossible ones among them. */
static void assign(const struct diart *d, const struct window *w, int *map)
{
    double cost[DIART_MAX_LOCAL * DIART_MAX_SPEAKERS];
    struct error err;

    for (int i = 0; i < d->n_local; i++) {
        for (int k = 0; k < d->max_speakers; k++)
            cost[i * d->max_speakers + k] = w->cost[i][k];
    }
    if (hungarian(map, cost, d->n_local, d->max_speakers, &err))
        abort();
}

/* The same; impossible ones become -1. */
static void solve(const struct diart *d, const struct window *w, int *map)
{
    assign(d, w, map);
    for (int i = 0; i < d->n_local; i++) {
        if (map[i] >= 0 && w->cost[i][map[i]] == INVALID)
            map[i] = -1;
    }
}

static void look(struct diart *d, struct window *w, const float *segmentation, int n_frames,
                 const float *embeddings)
{
    for (int i = 0; i < d->n_local; i++) {
        double most = 0.0, sum = 0.0, nan = 0.0;
        for (int f = 0; f < n_frames; f++) {
            most = fmax(most, segmentation[f * d->n_local + i]);
            sum += segmentation[f * d->n_local + i];
        }
        for (int e = 0; e < d->width; e++)
            nan += embeddings[i * d->width + e] * 0.0;
        w->active[i] = most >= d->tau && nan == 0.0;
        w->is_long[i] = sum / n_frames >= d->rho;
        for (int k = 0; k < d->max_speakers; k++)
            w->distance[i][k] = w->cost[i][k] =
                w->active[i] && k < d->n_known
                    ? distance(d, embeddings + (size_t)i * (size_t)d->width, d->centre[k])
                    : INVALID;
    }
}

static int add_centre(struct diart *d, const float *x)
{
    for (int e = 0; e < d->width; e++)
        d->centre[d->n_known][e] = x[e];
    return d->n_known++;
}

/* The nearest known centre that nobody has gets distance 0. */
static void give_nearest(const struct diart *d, struct window *w, int i)
{
    int map[DIART_MAX_LOCAL], best = -1;

    solve(d, w, map);
    for (int k = 0; k < d->n_known; k++) {
        int taken = 0;
        for (int j = 0; j < d->n_local; j++)
            taken |= map[j] == k;
        if (!taken && (best < 0 || w->distance[i][k] < w->distance[i][best]))
            best = k;
    }
    if (best >= 0)
        w->cost[i][best] = 0.0;
}

static void match(struct diart *d, struct window *w, int *map, const float *embeddings)
{
    int missed[DIART_MAX_LOCAL], fresh[DIART_MAX_LOCAL], n_fresh = 0;

    assign(d, w, map);
    for (int i = 0; i < d->n_local; i++) {
        for (int k = 0; map[i] >= 0 && w->distance[i][map[i]] >= d->delta &&
                        k < d->max_speakers; k++)
            w->cost[i][k] = INVALID;
    }
    for (int i = 0; i < d->n_local; i++) {
        missed[i] = w->active[i];
        for (int k = 0; k < d->max_speakers; k++)
            missed[i] &= w->cost[i][k] == INVALID;
    }
    for (int i = 0; i < d->n_local; i++) {
        if (missed[i] && w->is_long[i] && n_fresh < d->max_speakers - d->n_known)
            fresh[n_fresh++] = i;
        else if (missed[i])
            give_nearest(d, w, i);
    }
    solve(d, w, map);
    for (int i = 0; i < d->n_local; i++) {
        for (int e = 0; map[i] >= 0 && !missed[i] && w->is_long[i] && e < d->width; e++)
            d->centre[map[i]][e] += embeddings[i * d->width + e];
    }
    for (int k = 0; k < n_fresh; k++)
        w->cost[fresh[k]][add_centre(d, embeddings + (size_t)fresh[k] * (size_t)d->width)] = 0.0;
    solve(d, w, map);
}

void diart_step(struct diart *d, int *map, const float *segmentation, int n_frames,
                const float *embeddings)
{
    struct window w;

    look(d, &w, segmentation, n_frames, embeddings);
    if (d->started) {
        match(d, &w, map, embeddings);
        return;
    }
    d->started = 1;
    for (int i = 0; i < d->n_local; i++)
        map[i] = w.active[i] && d->n_known < d->max_speakers
                     ? add_centre(d, embeddings + (size_t)i * (size_t)d->width)
                     : -1;
}
