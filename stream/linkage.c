// SPDX-License-Identifier: MIT
/* linkage.c - Muellner's generic algorithm (2011, figure 3): every cluster keeps a
 * lower bound of the distance to its nearest one. Merging can only make a bound
 * too low, which is noticed when it is the lowest of all; then the cluster looks
 * again. Clusters that are left stand packed, so that looking gets cheaper. */
#include "stream/linkage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 8 };

struct packed {
    int n, d;         // clusters left
    double *centroid; // [n,d] d padded with zeros to whole lanes
    int *id, *size;
    double *bound;    // [n] of the squared distance to the nearest
    int *nearest;     // [n] its place, or -1: the bound may be too low
};

static double distance(const double *x, const double *y, int d)
{
    double lane[LANES] = {0}, sum = 0.0;

    for (int i = 0; i < d; i += LANES) {
        for (int l = 0; l < LANES; l++) {
            double difference = x[i + l] - y[i + l];
            lane[l] += difference * difference;
        }
    }
    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

static double *centroid(const struct packed *p, int i)
{
    return p->centroid + (size_t)i * (size_t)p->d;
}

static void look(struct packed *p, int i)
{
    p->bound[i] = INFINITY;
    p->nearest[i] = -1;
    for (int j = 0; j < p->n; j++) {
        double apart = j == i ? INFINITY : distance(centroid(p, i), centroid(p, j), p->d);
        if (apart < p->bound[i]) {
            p->bound[i] = apart;
            p->nearest[i] = j;
        }
    }
}

/* The place whose nearest is nearest of all. */
static int closest(struct packed *p)
{
    for (;;) {
        int best = 0;
        for (int i = 1; i < p->n; i++)
            best = p->bound[i] < p->bound[best] ? i : best;
        if (p->nearest[best] >= 0)
            return best;
        look(p, best);
    }
}

/* The last cluster moves to place i, which is free. */
static void fill_place(struct packed *p, int i)
{
    int last = --p->n;

    if (i != last) {
        memcpy(centroid(p, i), centroid(p, last), (size_t)p->d * sizeof(double));
        p->id[i] = p->id[last];
        p->size[i] = p->size[last];
        p->bound[i] = p->bound[last];
        p->nearest[i] = p->nearest[last];
    }
    for (int k = 0; k < p->n; k++)
        p->nearest[k] = p->nearest[k] == last ? i : p->nearest[k];
}

static struct merge merge(struct packed *p, int i, int j, int id)
{
    int lower = p->id[i] < p->id[j] ? i : j, upper = lower == i ? j : i;
    struct merge m = {p->id[lower], p->id[upper], sqrt(p->bound[i]), p->size[i] + p->size[j]};
    double *x = centroid(p, i), *y = centroid(p, j);
    double wx = (double)p->size[i] / m.size, wy = (double)p->size[j] / m.size;

    for (int k = 0; k < p->d; k++)
        x[k] = wx * x[k] + wy * y[k];
    p->id[i] = id;
    p->size[i] = m.size;
    for (int k = 0; k < p->n; k++)
        p->nearest[k] = p->nearest[k] == i || p->nearest[k] == j ? -1 : p->nearest[k];
    if (i == p->n - 1) // it is the one that moves
        i = j;
    fill_place(p, j);
    p->bound[i] = INFINITY;
    p->nearest[i] = -1;
    for (int k = 0; k < p->n; k++) {
        double apart = k == i ? INFINITY : distance(centroid(p, i), centroid(p, k), p->d);
        if (apart < p->bound[k]) {
            p->bound[k] = apart;
            p->nearest[k] = i;
        }
        if (apart < p->bound[i]) {
            p->bound[i] = apart;
            p->nearest[i] = k;
        }
    }
    return m;
}

static int packed_open(struct packed *p, const double *x, int n, int d, struct error *err)
{
    p->n = n;
    p->d = (d + LANES - 1) / LANES * LANES;
    p->centroid = calloc((size_t)n * (size_t)p->d + 1, sizeof(double));
    p->bound = malloc((size_t)n * sizeof(double));
    p->id = malloc((size_t)n * sizeof(int));
    p->size = malloc((size_t)n * sizeof(int));
    p->nearest = malloc((size_t)n * sizeof(int));
    if (!p->centroid || !p->bound || !p->id || !p->size || !p->nearest)
        return fail(err, "out of memory: %d vectors", n);
    for (int i = 0; i < n; i++) {
        memcpy(centroid(p, i), x + (size_t)i * (size_t)d, (size_t)d * sizeof(double));
        p->id[i] = i;
        p->size[i] = 1;
    }
    for (int i = 0; i < n; i++)
        look(p, i);
    return 0;
}

int linkage_centroid(struct merge *merges, const double *x, int n, int d, struct error *err)
{
    struct packed p = {0};
    int status = packed_open(&p, x, n, d, err);

    for (int i = 0; status == 0 && i < n - 1; i++) {
        int place = closest(&p);
        merges[i] = merge(&p, place, p.nearest[place], n + i);
    }
    free(p.centroid);
    free(p.bound);
    free(p.id);
    free(p.size);
    free(p.nearest);
    return status;
}

/* --- cuts -------------------------------------------------------------- */

/* The highest merge within each one's subtree. */
static void highest(double *top, const struct merge *merges, const double *heights, int n)
{
    for (int i = 0; i < n - 1; i++) {
        top[i] = heights ? heights[i] : merges[i].height;
        if (merges[i].a >= n && top[merges[i].a - n] > top[i])
            top[i] = top[merges[i].a - n];
        if (merges[i].b >= n && top[merges[i].b - n] > top[i])
            top[i] = top[merges[i].b - n];
    }
}

/* scipy's walk: down to the left merge, then to the right one, then the points. */
static int walk(int *label, int *path, char *seen, const struct merge *merges, const double *top,
                int n, double threshold)
{
    int n_clusters = 0, leader = -1, depth = 0;

    memset(seen, 0, (size_t)n);
    path[0] = n - 2;
    while (depth >= 0) {
        int at = path[depth], down = -1;
        const int child[] = {merges[at].a, merges[at].b};
        if (leader < 0 && top[at] <= threshold) {
            leader = at;
            n_clusters++;
        }
        for (int side = 0; side < 2 && down < 0; side++) {
            if (child[side] >= n && !seen[child[side] - n])
                down = child[side] - n;
        }
        if (down >= 0) {
            seen[down] = 1;
            path[++depth] = down;
            continue;
        }
        for (int side = 0; side < 2; side++) {
            if (child[side] < n) {
                n_clusters += leader < 0;
                label[child[side]] = n_clusters - 1;
            }
        }
        leader = leader == at ? -1 : leader;
        depth--;
    }
    return n_clusters;
}

struct cut {
    double *top;
    int *path;
    char *seen;
};

static int cut_open(struct cut *c, const struct merge *merges, const double *heights, int n,
                    struct error *err)
{
    c->top = malloc((size_t)n * sizeof(double));
    c->path = malloc((size_t)n * sizeof(int));
    c->seen = malloc((size_t)n);
    if (!c->top || !c->path || !c->seen)
        return fail(err, "out of memory: a tree of %d", n);
    highest(c->top, merges, heights, n);
    return 0;
}

static void cut_close(struct cut *c)
{
    free(c->top);
    free(c->path);
    free(c->seen);
}

int linkage_cut(int *label, const struct merge *merges, const double *heights, int n,
                double threshold, struct error *err)
{
    struct cut c = {0};
    int found = -1;

    if (n == 1) {
        label[0] = 0;
        return 1;
    }
    if (cut_open(&c, merges, heights, n, err) == 0)
        found = walk(label, c.path, c.seen, merges, c.top, n, threshold);
    cut_close(&c);
    return found;
}

int linkage_cut_most(int *label, const struct merge *merges, int n, int k, struct error *err)
{
    struct cut c = {0};
    int found = -1, low = 0, high = n - 1;

    if (n == 1) {
        label[0] = 0;
        return 1;
    }
    if (cut_open(&c, merges, NULL, n, err) == 0) {
        while (high - low > 1) {
            int middle = (low + high) / 2;
            if (walk(label, c.path, c.seen, merges, c.top, n, c.top[middle]) > k)
                low = middle;
            else
                high = middle;
        }
        high = high < n - 1 ? high : n - 2;
        found = walk(label, c.path, c.seen, merges, c.top, n, c.top[high]);
    }
    cut_close(&c);
    return found;
}
