// SPDX-License-Identifier: MIT
#include "stream/assign.h"

#include "model/hungarian.h"
#include "stream/clustering.h"

#include <math.h>
#include <stdlib.h>

static int speaks(const struct heard *h, int window, int slot)
{
    int active, alone;

    heard_frames(&active, &alone, heard_window(h, window), h->n_frames, slot);
    return active > 0;
}

static void fill_unknown(double *soft, size_t n)
{
    double worst = INFINITY;

    for (size_t i = 0; i < n; i++)
        worst = soft[i] < worst ? soft[i] : worst;
    for (size_t i = 0; i < n; i++)
        soft[i] = isnan(soft[i]) ? isinf(worst) ? 0.0 : worst : soft[i];
}

/* One window. cost [n_slots,n_clusters] is scratch. */
static int assign_window(int *label, double *cost, const double *soft, const struct heard *h,
                         int window, int n_clusters, int compat, struct error *err)
{
    int slot_of[POWERSET_MAX_SPEAKERS], map[POWERSET_MAX_SPEAKERS], n = 0;

    for (int s = 0; s < h->n_slots; s++) {
        label[s] = CLUSTER_NONE;
        if (!compat && !speaks(h, window, s))
            continue;
        for (int k = 0; k < n_clusters; k++)
            cost[n * n_clusters + k] = -soft[s * n_clusters + k];
        slot_of[n++] = s;
    }
    if (n == 0)
        return 0;
    if (hungarian(map, cost, n, n_clusters, err))
        return -1;
    for (int i = 0; i < n; i++) {
        if (map[i] >= 0)
            label[slot_of[i]] = compat ? (int8_t)map[i] : map[i];
    }
    return 0;
}

int assign_apart(int *label, double *soft, const struct heard *h, int n_clusters, int compat,
                 struct error *err)
{
    size_t slots = (size_t)h->n_slots, one = slots * (size_t)n_clusters;
    double *cost = malloc(one * sizeof(double));
    int status = 0;

    if (!cost)
        return fail(err, "out of memory: %d clusters", n_clusters);
    fill_unknown(soft, (size_t)h->n_windows * one);
    for (int c = 0; status == 0 && c < h->n_windows; c++)
        status = assign_window(label + (size_t)c * slots, cost, soft + (size_t)c * one, h, c,
                               n_clusters, compat, err);
    free(cost);
    return status;
}

int assign_free(int *label, const double *soft, const struct heard *h, int n_clusters)
{
    size_t n = (size_t)h->n_windows * (size_t)h->n_slots;

    for (size_t i = 0; i < n; i++) {
        const double *row = soft + i * (size_t)n_clusters;
        label[i] = 0;
        for (int k = 1; k < n_clusters; k++)
            label[i] = row[k] > row[label[i]] ? k : label[i];
    }
    return 0;
}

int assign_renumber(int *label, size_t n, struct error *err)
{
    const int least = INT8_MIN; // of a label that went through 8 bits
    int most = least, n_seen = 0;

    for (size_t i = 0; i < n; i++)
        most = label[i] > most ? label[i] : most;
    int *place = calloc((size_t)(most - least) + 1, sizeof(int));
    if (!place)
        return fail(err, "out of memory");
    for (size_t i = 0; i < n; i++)
        place[label[i] - least] = 1;
    for (int k = 0; k <= most - least; k++) {
        n_seen += place[k];
        place[k] = n_seen - 1;
    }
    for (size_t i = 0; i < n; i++)
        label[i] = place[label[i] - least];
    free(place);
    return 0;
}

void assign_silence(int *label, const struct heard *h)
{
    for (int c = 0; c < h->n_windows; c++) {
        for (int s = 0; s < h->n_slots; s++) {
            if (!speaks(h, c, s))
                label[c * h->n_slots + s] = CLUSTER_NONE;
        }
    }
}
