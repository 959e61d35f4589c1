// SPDX-License-Identifier: MIT
#include "stream/reconstruct.h"

#include "stream/aggregate.h"
#include "stream/clustering.h"

#include <math.h>
#include <stdlib.h>

/* The column of a label, -1 for nobody, -2 for none of any meaning. */
static int column_of(int label, int n_columns, int compat)
{
    if (label >= 0)
        return label;
    if (!compat || label == CLUSTER_NONE)
        return -1;
    return label + n_columns >= 0 ? label + n_columns : -2;
}

/* values [n_frames,n_columns]: 1 or 0 for persons in the window, NaN for others. */
static int fill_window(float *values, const struct heard *h, int window, const int *label,
                       int n_columns, int compat)
{
    const uint8_t *sets = heard_window(h, window);

    for (int i = 0; i < h->n_frames * n_columns; i++)
        values[i] = NAN;
    for (int s = 0; s < h->n_slots; s++) {
        int k = column_of(label[s], n_columns, compat);
        if (k == -2)
            return -1;
        for (int t = 0; k >= 0 && t < h->n_frames; t++) {
            float *value = &values[t * n_columns + k];
            *value = sets[t] >> s & 1 || *value > 0.0f ? 1.0f : 0.0f;
        }
    }
    return 0;
}

static int sum_windows(struct aggregate *a, const struct heard *h, const int *label, int n_columns,
                       int compat, struct error *err)
{
    float *values = malloc((size_t)h->n_frames * (size_t)n_columns * sizeof(float));
    int status = values ? 0 : fail(err, "out of memory: %d speakers", n_columns);

    for (int c = 0; status == 0 && c < h->n_windows; c++) {
        if (fill_window(values, h, c, label + c * h->n_slots, n_columns, compat))
            status = fail(err, "more than 127 speakers: DiariZen stops here with an error, and so "
                               "does --compat diarizen");
        else
            aggregate_add(a, c, values);
    }
    if (status == 0)
        aggregate_sum(a, 0.0f);
    free(values);
    return status;
}

/* Of each frame the `count` most active columns. */
static void choose(struct reconstruction *r, const uint8_t *count, int compat)
{
    size_t K = (size_t)r->n_columns;

    for (int64_t t = 0; t < r->n_frames; t++) {
        const float *active = r->activations + (size_t)t * K;
        uint8_t *speaks = r->speaks + (size_t)t * K;
        for (int i = 0; i < count[t] && i < r->n_columns; i++) {
            size_t best = K;
            for (size_t k = 0; k < K; k++) {
                if (!speaks[k] && (best == K || active[k] > active[best]))
                    best = k;
            }
            if (compat || active[best] > 0.0f)
                speaks[best] = 1;
        }
    }
}

/* The activations, in columns that are as many as the largest count needs. */
static int take(struct reconstruction *r, const struct aggregate *a, struct error *err)
{
    size_t n = (size_t)r->n_frames, K = (size_t)r->n_columns, columns = (size_t)a->n_columns;

    r->activations = calloc(n * K, sizeof(float));
    r->speaks = calloc(n * K, 1);
    if (!r->activations || !r->speaks)
        return fail(err, "out of memory: %d speakers", r->n_columns);
    for (size_t t = 0; t < n; t++) {
        for (size_t k = 0; k < columns; k++)
            r->activations[t * K + k] = a->sum[t * columns + k];
    }
    return 0;
}

int reconstruct(struct reconstruction *r, const struct heard *h, const struct windows *w,
                const int *label, const uint8_t *count, const double *weights, int compat,
                struct error *err)
{
    struct aggregate a;
    int n_columns = 0, most = 0, status;

    *r = (struct reconstruction){0};
    for (int i = 0; i < h->n_windows * h->n_slots; i++)
        n_columns = label[i] >= n_columns ? label[i] + 1 : n_columns;
    if (n_columns == 0)
        return 0;
    if (aggregate_open(&a, w, h->n_windows, n_columns, weights, err))
        return -1;
    r->n_frames = a.n_frames;
    for (int64_t t = 0; t < r->n_frames; t++)
        most = count[t] > most ? count[t] : most;
    r->n_columns = n_columns > most ? n_columns : most;
    status = sum_windows(&a, h, label, n_columns, compat, err) || take(r, &a, err) ? -1 : 0;
    aggregate_close(&a);
    if (status)
        reconstruction_release(r);
    else
        choose(r, count, compat);
    return status;
}

void reconstruction_release(struct reconstruction *r)
{
    free(r->activations);
    free(r->speaks);
    *r = (struct reconstruction){0};
}
