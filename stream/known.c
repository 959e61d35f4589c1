// SPDX-License-Identifier: MIT
#include "stream/known.h"

#include "model/hungarian.h"

#include <math.h>
#include <stdlib.h>

/* sums [n_clusters,width] of vectors, each as often as it has frames. */
static void sum_clusters(double *sums, const int *label, const struct heard *h)
{
    for (int i = 0; i < h->n_windows * h->n_slots; i++) {
        int window = i / h->n_slots, active, alone;
        const float *x = heard_vector(h, window, i % h->n_slots);
        if (label[i] < 0 || !heard_is_vector(x, h->width))
            continue;
        heard_frames(&active, &alone, heard_window(h, window), h->n_frames, i % h->n_slots);
        for (int k = 0; k < h->width; k++)
            sums[(size_t)label[i] * (size_t)h->width + (size_t)k] += alone * (double)x[k];
    }
}

/* sums [n_known,width] likewise. */
static void sum_known(double *sums, const struct speakers *known)
{
    for (int i = 0; i < known->n; i++) {
        const struct known_speaker *who = &known->list[i];
        for (int j = 0; j < who->n; j++) {
            for (int k = 0; k < known->width; k++)
                sums[(size_t)i * (size_t)known->width + (size_t)k] +=
                    (double)(who->frames[j] * who->vectors[j * known->width + k]);
        }
    }
}

/* 0 if one of them is nothing. */
static double cosine(const double *x, const double *y, int width)
{
    double xy = 0.0, xx = 0.0, yy = 0.0;

    for (int k = 0; k < width; k++) {
        xy += x[k] * y[k];
        xx += x[k] * x[k];
        yy += y[k] * y[k];
    }
    return xx > 0.0 && yy > 0.0 ? xy / sqrt(xx * yy) : 0.0;
}

int known_find(int *who, int n_clusters, const int *label, const struct heard *h,
               const struct speakers *known, float threshold, struct error *err)
{
    size_t W = (size_t)h->width, C = (size_t)n_clusters, K = (size_t)known->n;
    double *heard = calloc(C * W + 1, sizeof(double)), *people = calloc(K * W + 1, sizeof(double));
    double *cost = calloc(C * K + 1, sizeof(double));
    int status = heard && people && cost ? 0 : fail(err, "out of memory: %d known speakers", known->n);

    for (size_t i = 0; i < C; i++)
        who[i] = -1;
    if (status == 0 && C * K > 0) {
        sum_clusters(heard, label, h);
        sum_known(people, known);
        for (size_t i = 0; i < C * K; i++) {
            double near = cosine(heard + i / K * W, people + i % K * W, h->width) -
                          (1.0 - (double)threshold);
            cost[i] = near > 0.0 ? -near : 0.0;
        }
        status = hungarian(who, cost, n_clusters, known->n, err);
        for (size_t i = 0; i < C && status == 0; i++)
            who[i] = who[i] >= 0 && cost[i * K + (size_t)who[i]] < 0.0 ? who[i] : -1;
    }
    free(heard);
    free(people);
    free(cost);
    return status;
}
