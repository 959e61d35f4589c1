// SPDX-License-Identifier: MIT
#include "stream/regroup.h"

#include "model/gemm.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 12, FULL_ROUNDS = 4 /* before groups beyond the most are dropped */ };

/* Chosen on simulated meetings of 3 to 12 people, apart from those in the README. */
static const float PHI = 0.58f, FA = 0.4f;
static const float WORTH_AT = 10000.0f, GROWTH = 0.3f; // clean frames of a person, and a power up to there
static const float EXCLUSION = 6.0f;    // log odds, of pieces said side by side,
static const float NEVER = 1000.0f;     // and their distance: so far that no mean hides it
static const float CHANNEL = 0.5f, FRAME = 40.0f;
static const float NEAR = 0.55f;        // cosine distance of groups to begin with
static const float BEGINS = 0.9f;       // of a piece's weight in its group at first
static const float LATE = 1500.0f;      // clean frames
static const float LEAST_SHARE = 2e-3f; // of all speech; groups with less die out

void regroup_place(struct regroup *r, int room, int width, int most, struct arena *arena)
{
    size_t n = (size_t)room, w = (size_t)width, m = (size_t)most;

    r->room = room;
    r->width = r->used = width;
    r->late = 0;
    r->most = most;
    r->distance = arena_floats(arena, n * n);
    r->weight = arena_floats(arena, n);
    r->bias = arena_floats(arena, m);
    r->rho = arena_floats(arena, n * w);
    r->weighted = arena_floats(arena, n * m);
    r->alpha = arena_floats(arena, m * w);
    r->inverse = arena_floats(arena, m);
    r->gamma = arena_floats(arena, n * m);
    r->forward = arena_floats(arena, n * m);
    r->backward = arena_floats(arena, n * m);
    r->pi = arena_floats(arena, m);
    r->height = arena_floats(arena, n);
    r->parent = arena_bytes(arena, n * sizeof(int));
    r->size = arena_bytes(arena, n * sizeof(int));
    r->chain = arena_bytes(arena, n * sizeof(int));
}

/* --- average linkage ---------------------------------------------------- */

static int side_by_side(const struct regroup_piece *pieces, int i, int k)
{
    return i != k && pieces[i].moment >= 0 && pieces[i].moment == pieces[k].moment;
}

static void measure_distances(struct regroup *r, const float *x, const struct regroup_piece *pieces,
                              int n)
{
    for (int i = 0; i < n; i++) { // of unit length, for now in rho
        const float *from = x + (size_t)i * (size_t)r->width;
        float *to = r->rho + (size_t)i * (size_t)r->used, sum = 1e-20f;
        for (int e = 0; e < r->used; e++)
            sum += from[e] * from[e];
        for (int e = 0; e < r->used; e++)
            to[e] = from[e] / sqrtf(sum);
    }
    gemm_nt(r->distance, n, r->rho, r->used, r->rho, r->used, n, n, r->used, -1.0f, 0.0f);
    for (int i = 0; i < n; i++) { // the same both ways and a number, or chains would not end
        for (int k = 0; k <= i; k++) {
            float d = 1.0f + r->distance[(size_t)i * (size_t)n + (size_t)k];
            d = d >= 0.0f && d <= 2.0f ? d : d > 2.0f ? 2.0f : 0.0f;
            d = side_by_side(pieces, i, k) ? NEVER : d;
            r->distance[(size_t)i * (size_t)n + (size_t)k] = d;
            r->distance[(size_t)k * (size_t)n + (size_t)i] = d;
        }
    }
}

/* The nearest living cluster; of equals `rather`, so that chains end. */
static int nearest(const struct regroup *r, int i, int rather, int n)
{
    const float *row = r->distance + (size_t)i * (size_t)n;
    int best = rather;

    for (int k = 0; k < n; k++) {
        if (k != i && r->size[k] && (best < 0 || row[k] < row[best]))
            best = k;
    }
    return best;
}

/* Cluster b becomes part of a: Lance and Williams' update. */
static void join(struct regroup *r, int a, int b, int n)
{
    float *to = r->distance + (size_t)a * (size_t)n;
    const float *from = r->distance + (size_t)b * (size_t)n;
    float share = (float)r->size[a] / (float)(r->size[a] + r->size[b]);

    for (int k = 0; k < n; k++) {
        to[k] = share * to[k] + (1.0f - share) * from[k];
        r->distance[(size_t)k * (size_t)n + (size_t)a] = to[k];
    }
    r->size[a] += r->size[b];
    r->size[b] = 0;
}

/* parent and height of every piece but one: the tree, by chains of nearest neighbours. */
static void grow_tree(struct regroup *r, int n)
{
    int length = 0, first = 0;

    for (int i = 0; i < n; i++) {
        r->size[i] = 1;
        r->parent[i] = -1;
    }
    for (int left = n; left > 1;) {
        if (!length) {
            while (!r->size[first])
                first++;
            r->chain[length++] = first;
        }
        int top = r->chain[length - 1], before = length > 1 ? r->chain[length - 2] : -1;
        int next = nearest(r, top, before, n);
        if (next != before) {
            r->chain[length++] = next;
            continue;
        }
        r->height[top] = r->distance[(size_t)top * (size_t)n + (size_t)next];
        r->parent[top] = next;
        join(r, next, top, n);
        length -= 2;
        left--;
    }
}

static int clusters_at(const struct regroup *r, int n, float height)
{
    int left = n;

    for (int i = 0; i < n; i++)
        left -= r->parent[i] >= 0 && r->height[i] <= height;
    return left;
}

/* Where to cut: NEAR, or higher so that no more than `most` clusters are left. */
static float height_for(const struct regroup *r, int n, int most)
{
    float low = NEAR, high = 2.1f;

    if (clusters_at(r, n, low) <= most)
        return low;
    for (int i = 0; i < 24; i++) {
        float middle = 0.5f * (low + high);
        *(clusters_at(r, n, middle) <= most ? &high : &low) = middle;
    }
    return high;
}

static int root(const struct regroup *r, int i, float height)
{
    while (r->parent[i] >= 0 && r->height[i] <= height)
        i = r->parent[i];
    return i;
}

/* First groups, numbered behind the fixed ones; those with fixed pieces are theirs. */
static int begin(struct regroup *r, int *label, const struct regroup_piece *pieces, int n,
                 int n_fixed)
{
    float height = height_for(r, n, r->most > n_fixed + 1 ? r->most - n_fixed : 1);
    int n_groups = n_fixed;

    for (int i = 0; i < n; i++)
        r->size[i] = -1; // a root's group
    for (int i = 0; i < n; i++) {
        if (pieces[i].fixed >= 0 && r->size[root(r, i, height)] < 0)
            r->size[root(r, i, height)] = pieces[i].fixed;
    }
    for (int i = 0; i < n; i++) {
        int *group = &r->size[root(r, i, height)];
        if (*group < 0)
            *group = n_groups < r->most ? n_groups++ : r->most - 1;
        label[i] = pieces[i].fixed >= 0 ? pieces[i].fixed : *group;
    }
    return n_groups;
}

/* --- variational Bayes -------------------------------------------------- */

static float *row_of(const struct regroup *r, float *rows, int i)
{
    return rows + (size_t)i * (size_t)r->most;
}

static void only(float *row, int group, int n_groups)
{
    memset(row, 0, (size_t)n_groups * sizeof(*row));
    row[group] = 1.0f;
}

/* What groups sound like: alpha and inverse from gamma. */
static void update_groups(struct regroup *r, int n, int K, float ratio)
{
    size_t width = (size_t)r->used;

    for (int i = 0; i < n; i++) {
        for (int s = 0; s < K; s++)
            row_of(r, r->weighted, i)[s] = r->weight[i] * row_of(r, r->gamma, i)[s];
    }
    gemm_tn(r->alpha, r->used, r->weighted, r->most, r->rho, r->used, K, r->used, n, ratio,
            0.0f);
    for (int s = 0; s < K; s++) {
        float sum = 0.0f, *alpha = r->alpha + (size_t)s * width, squares = 0.0f;
        for (int i = 0; i < n; i++)
            sum += row_of(r, r->weighted, i)[s];
        r->inverse[s] = 1.0f / (1.0f + ratio * sum * PHI);
        for (size_t e = 0; e < width; e++) {
            alpha[e] *= r->inverse[s];
            squares += alpha[e] * alpha[e];
        }
        r->bias[s] = 0.5f * PHI * (r->inverse[s] * (float)width + squares);
    }
}

static void normalise(float *row, int K)
{
    float sum = 1e-37f;

    for (int s = 0; s < K; s++)
        sum += row[s];
    for (int s = 0; s < K; s++)
        row[s] /= sum;
}

/* Against those whom the pieces beside piece i were found to be by, the round before. */
static void exclude(const struct regroup *r, float *row, const struct regroup_piece *pieces, int i,
                    int n, int K)
{
    int first = i, end = i + 1;

    while (first > 0 && side_by_side(pieces, i, first - 1))
        first--;
    while (end < n && side_by_side(pieces, i, end))
        end++;
    for (int k = first; k < end; k++) {
        const float *other = row_of(r, r->weighted, k);
        for (int s = 0; s < K && k != i; s++)
            row[s] -= EXCLUSION * other[s] / r->weight[k];
    }
}

/* gamma becomes the likelihoods, the largest of a piece 1. */
static void listen(struct regroup *r, const struct regroup_piece *pieces, int n, int K)
{
    gemm_nt(r->gamma, r->most, r->rho, r->used, r->alpha, r->used, n, K, r->used, 1.0f, 0.0f);
    for (int i = 0; i < n; i++) {
        float *row = row_of(r, r->gamma, i), most = -1e30f;
        for (int s = 0; s < K; s++)
            row[s] = FA * r->weight[i] * (row[s] - r->bias[s]);
        exclude(r, row, pieces, i, n, K);
        for (int s = 0; s < K; s++)
            most = row[s] > most ? row[s] : most;
        for (int s = 0; s < K; s++)
            row[s] = expf(row[s] - most) + 1e-20f;
        if (pieces[i].fixed >= 0)
            only(row, pieces[i].fixed, K);
    }
}

/* gamma from likelihoods to what all pieces of a chain say (forward and backward). */
static void smooth(struct regroup *r, const struct regroup_piece *pieces, int n, int K)
{
    for (int i = 0; i < n; i++) {
        const struct regroup_piece *p = &pieces[i];
        const float *like = row_of(r, r->gamma, i);
        float *to = row_of(r, r->forward, i);
        const float *before = p->before >= 0 ? row_of(r, r->forward, p->before) : r->pi;
        float stay = p->before >= 0 ? p->stay : 0.0f;
        for (int s = 0; s < K; s++) {
            to[s] = like[s] * (stay * before[s] + (1.0f - stay) * r->pi[s]);
            row_of(r, r->backward, i)[s] = 1.0f;
        }
        normalise(to, K);
    }
    for (int i = n - 1; i >= 0; i--) {
        const struct regroup_piece *p = &pieces[i];
        float *row = row_of(r, r->gamma, i), *after = row_of(r, r->backward, i), any = 0.0f;
        for (int s = 0; s < K; s++) {
            row[s] *= after[s];
            any += r->pi[s] * row[s];
        }
        for (int s = 0; s < K && p->before >= 0; s++)
            row_of(r, r->backward, p->before)[s] = p->stay * row[s] + (1.0f - p->stay) * any;
        if (p->before >= 0)
            normalise(row_of(r, r->backward, p->before), K);
        for (int s = 0; s < K; s++)
            row[s] = row_of(r, r->forward, i)[s] * after[s];
        normalise(row, K);
    }
}

/* pi anew; groups that are not needed go, the fixed ones stay. Returns how many are left. */
static int update_shares(struct regroup *r, const struct regroup_piece *pieces, int n, int K,
                         int n_fixed, int most)
{
    int kept = 0, largest = 0;
    float least = LEAST_SHARE;

    memset(r->pi, 0, (size_t)K * sizeof(*r->pi));
    for (int i = 0; i < n; i++) {
        for (int s = 0; s < K; s++)
            r->pi[s] += pieces[i].n * row_of(r, r->gamma, i)[s];
    }
    normalise(r->pi, K);
    for (int s = 1; s < K; s++)
        largest = r->pi[s] > r->pi[largest] ? s : largest;
    for (int extra = K - most; extra > 0; extra--) { // the smallest go first
        float smallest = 2.0f;
        for (int s = n_fixed; s < K; s++) {
            if (r->pi[s] >= least && r->pi[s] < smallest)
                smallest = r->pi[s];
        }
        least = smallest < 2.0f ? nextafterf(smallest, 2.0f) : least;
    }
    for (int s = 0; s < K; s++) {
        if (s >= n_fixed && s != largest && r->pi[s] < least)
            continue;
        for (int i = 0; i < n && kept != s; i++)
            row_of(r, r->gamma, i)[kept] = row_of(r, r->gamma, i)[s];
        r->pi[kept++] = r->pi[s] > LEAST_SHARE ? r->pi[s] : LEAST_SHARE;
    }
    for (int i = 0; i < n && kept < K; i++)
        normalise(row_of(r, r->gamma, i), kept);
    normalise(r->pi, kept);
    return kept;
}

/* Each piece's likeliest group; groups without one are closed up. */
static int settle(struct regroup *r, int *label, int n, int K, int n_fixed)
{
    int kept = n_fixed, *number = r->size;

    for (int s = 0; s < K; s++)
        number[s] = s < n_fixed ? s : -1;
    for (int i = 0; i < n; i++) {
        const float *row = row_of(r, r->gamma, i);
        label[i] = 0;
        for (int s = 1; s < K; s++)
            label[i] = row[s] > row[label[i]] ? s : label[i];
        if (number[label[i]] < 0)
            number[label[i]] = kept++;
        label[i] = number[label[i]];
    }
    return kept;
}

/* How many there are who all talk as much (the perplexity of their shares). */
static float people(const float *share, int K)
{
    float entropy = 0.0f;

    for (int s = 0; s < K; s++)
        entropy -= share[s] > 0.0f ? share[s] * logf(share[s]) : 0.0f;
    return expf(entropy);
}

/* Fb where each has said so many clean frames in the mean. */
static float worth_of(float worth, float said)
{
    float share = said / WORTH_AT;

    return worth * (share < 1.0f ? powf(share, GROWTH) : share);
}

int regroup(struct regroup *r, int *label, const float *x, const struct regroup_piece *pieces,
            int n, int n_fixed, int most, float worth)
{
    int K, used;
    float total = 0.0f;

    for (int i = 0; i < n; i++)
        total += pieces[i].n;
    used = r->used = r->width - (total < LATE ? r->late : 0);
    measure_distances(r, x, pieces, n);
    grow_tree(r, n);
    K = begin(r, label, pieces, n, n_fixed);
    for (int i = 0; i < n; i++) {
        float *row = row_of(r, r->gamma, i);
        r->weight[i] = (CHANNEL + FRAME / 100.0f) / (CHANNEL + FRAME / pieces[i].n);
        for (int e = 0; e < used; e++)
            r->rho[(size_t)i * (size_t)used + (size_t)e] =
                sqrtf(PHI) * x[(size_t)i * (size_t)r->width + (size_t)e];
        for (int s = 0; s < K; s++)
            row[s] = (1.0f - BEGINS) / (float)K + (s == label[i] ? BEGINS : 0.0f);
        if (pieces[i].fixed >= 0)
            only(row, pieces[i].fixed, K);
    }
    for (int s = 0; s < K; s++)
        r->pi[s] = 1.0f / (float)K;
    for (int i = 0; i < ROUNDS; i++) {
        update_groups(r, n, K, FA / worth_of(worth, total / people(r->pi, K)));
        listen(r, pieces, n, K);
        smooth(r, pieces, n, K);
        K = update_shares(r, pieces, n, K, n_fixed, i < FULL_ROUNDS ? r->most : most);
    }
    return settle(r, label, n, K, n_fixed);
}
