// SPDX-License-Identifier: MIT
#include "stream/ahc.h"

#include "stream/linkage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct tree {
    const double *x;
    int n, d;
    double threshold;
    int min_size;
    struct merge *merges;  // [n - 1]
    double *order;         // [n - 1] 0, 1, 2 ...: heights by which a cut is the first merges
    struct place *nearest; // [n - 1] merges by how near to the threshold they are
    int *size;             // [n] of clusters
    int *map;              // [n] of cluster numbers
    double *centroid;      // [n,d] of clusters
};

struct place {
    double away;
    int index;
};

static int by_distance(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->away != y->away)
        return x->away < y->away ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int tree_open(struct tree *t, struct error *err)
{
    size_t n = (size_t)t->n;

    t->merges = calloc(n, sizeof(*t->merges));
    t->order = malloc(n * sizeof(double));
    t->nearest = malloc(n * sizeof(*t->nearest));
    t->size = malloc(n * sizeof(int));
    t->map = malloc(n * sizeof(int));
    if (!t->merges || !t->order || !t->nearest || !t->size || !t->map)
        return fail(err, "out of memory: %d vectors", t->n);
    if (linkage_centroid(t->merges, t->x, t->n, t->d, err))
        return -1;
    for (int i = 0; i < t->n - 1; i++) {
        t->order[i] = i;
        t->nearest[i] = (struct place){fabs(t->merges[i].height - t->threshold), i};
    }
    qsort(t->nearest, n - 1, sizeof(*t->nearest), by_distance);
    return 0;
}

static void tree_close(struct tree *t)
{
    free(t->merges);
    free(t->order);
    free(t->nearest);
    free(t->size);
    free(t->map);
    free(t->centroid);
}

/* Sizes of the clusters of a labelling, and how many are large. */
static int count_large(struct tree *t, const int *label, int n_clusters)
{
    int n_large = 0;

    memset(t->size, 0, (size_t)t->n * sizeof(int));
    for (int i = 0; i < t->n; i++)
        t->size[label[i]]++;
    for (int k = 0; k < n_clusters; k++)
        n_large += t->size[k] >= t->min_size;
    return n_large;
}

/* The labels of the first merges up to a number; how many are large, *n of all. */
static int cut_after(struct tree *t, int *label, int last, int *n, struct error *err)
{
    *n = linkage_cut(label, t->merges, t->order, t->n, last, err);
    return *n < 0 ? -1 : count_large(t, label, *n);
}

/* Looks for the cut nearest to the threshold that has `target` large clusters,
 * or as nearly so many as there is. Returns how many, *n of all. */
static int cut_into(struct tree *t, int *label, int target, int *n, struct error *err)
{
    int best = t->n - 1, best_large = 1;

    for (int k = 0; k < t->n - 1; k++) {
        int at = t->nearest[k].index;
        if (t->merges[at].size < t->min_size)
            continue;
        int n_large = cut_after(t, label, at, n, err);
        if (n_large < 0 || n_large == target)
            return n_large;
        if (abs(n_large - target) < abs(best_large - target)) {
            best = at;
            best_large = n_large;
        }
    }
    return cut_after(t, label, best, n, err);
}

static double apart(const double *x, const double *y, int d)
{
    double xy = 0.0, xx = 0.0, yy = 0.0;

    for (int i = 0; i < d; i++) {
        xy += x[i] * y[i];
        xx += x[i] * x[i];
        yy += y[i] * y[i];
    }
    return 1.0 - xy / sqrt(xx * yy);
}

/* Gives small clusters to the large one nearest to them, all decided before any
 * is moved, and numbers the large ones from 0. */
static int give_away(struct tree *t, int *label, int n_clusters, struct error *err)
{
    size_t d = (size_t)t->d;
    int n_large = 0;

    t->centroid = calloc((size_t)n_clusters * d, sizeof(double));
    if (!t->centroid)
        return fail(err, "out of memory: %d clusters", n_clusters);
    for (int i = 0; i < t->n; i++) {
        for (size_t k = 0; k < d; k++)
            t->centroid[(size_t)label[i] * d + k] +=
                t->x[(size_t)i * d + k] / t->size[label[i]];
    }
    for (int k = 0; k < n_clusters; k++)
        t->map[k] = t->size[k] >= t->min_size ? n_large++ : -1;
    for (int k = 0; k < n_clusters; k++) {
        double least = INFINITY;
        int to = 0;
        if (t->size[k] >= t->min_size)
            continue;
        for (int j = 0; j < n_clusters; j++) {
            if (t->size[j] < t->min_size)
                continue;
            double away = apart(t->centroid + (size_t)j * d, t->centroid + (size_t)k * d, t->d);
            if (away < least) {
                least = away;
                to = t->map[j];
            }
        }
        t->map[k] = to;
    }
    for (int i = 0; i < t->n; i++)
        label[i] = t->map[label[i]];
    return n_large;
}

static int cluster(struct tree *t, int *label, const struct ahc_settings *s, struct error *err)
{
    int n, n_large, target;

    if (tree_open(t, err))
        return -1;
    n = linkage_cut(label, t->merges, NULL, t->n, s->threshold, err);
    if (n < 0)
        return -1;
    n_large = count_large(t, label, n);
    target = n_large < s->min_clusters ? s->min_clusters : n_large;
    target = target > s->max_clusters ? s->max_clusters : target;
    if (n_large != target)
        n_large = cut_into(t, label, target, &n, err);
    if (n_large < 0)
        return -1;
    if (n_large == 0) {
        memset(label, 0, (size_t)t->n * sizeof(int));
        return 1;
    }
    return give_away(t, label, n, err);
}

/* Half to even, as upstream's round. */
static int tenth(int n)
{
    int size = (int)rint(0.1 * n);

    return size > 1 ? size : 1;
}

int ahc(int *label, const double *x, int n, int d, const struct ahc_settings *s,
        struct error *err)
{
    struct tree t = {.x = x, .n = n, .d = d, .threshold = s->threshold, .min_size = s->min_size};

    if (n == 1) {
        label[0] = 0;
        return 1;
    }
    t.min_size = t.min_size < tenth(n) ? t.min_size : tenth(n);
    int found = cluster(&t, label, s, err);
    tree_close(&t);
    return found;
}
