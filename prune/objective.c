// SPDX-License-Identifier: MIT
#include "prune/objective.h"

#include "model/hungarian.h"
#include "model/op.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Upstream's to_powerset: the set itself, or of larger ones the first of those
 * that share most with it. */
static uint8_t class_of_mask(const struct powerset *p, unsigned mask)
{
    int best = -1;
    uint8_t class = 0;

    for (int c = 0; c < p->n_classes; c++) {
        if (p->mask[c] == mask)
            return (uint8_t)c;
        int shared = __builtin_popcount(p->mask[c] & mask);
        if ((p->mask[c] & ~mask) == 0 && shared > best) {
            best = shared;
            class = (uint8_t)c;
        }
    }
    return class;
}

void objective_init(struct objective *o, const struct readout_config *r)
{
    *o = (struct objective){.exact = 1};
    powerset_init(&o->powerset, r->n_speakers, r->at_once);
    for (unsigned mask = 0; mask < 1u << r->n_speakers; mask++)
        o->class_of[mask] = class_of_mask(&o->powerset, mask);
}

static unsigned mask_of(const uint8_t *labels, int n)
{
    unsigned mask = 0;

    for (int s = 0; s < n; s++)
        mask |= (unsigned)(labels[s] != 0) << s;
    return mask;
}

static unsigned permute(unsigned mask, const int *to, int n)
{
    unsigned out = 0;

    for (int s = 0; s < n; s++) {
        if (mask >> s & 1)
            out |= 1u << to[s];
    }
    return out;
}

/* The next permutation in lexicographic order; 0 after the last. */
static int next_permutation(int *a, int n)
{
    int i = n - 2, j = n - 1;

    while (i >= 0 && a[i] > a[i + 1])
        i--;
    if (i < 0)
        return 0;
    while (a[j] < a[i])
        j--;
    int swap = a[i];
    a[i] = a[j];
    a[j] = swap;
    for (int left = i + 1, right = n - 1; left < right; left++, right--) {
        swap = a[left];
        a[left] = a[right];
        a[right] = swap;
    }
    return 1;
}

/* to[s]: the output that label s goes to, such that the NLL is least. */
static void least_nll(int *to, const struct objective *o, const float *scores,
                      const struct clip *clip)
{
    enum { MOST = 1 << 8 };
    int n = o->powerset.n_speakers, classes = o->powerset.n_classes, a[8];
    double nll[MOST][POWERSET_MAX_CLASSES], best = INFINITY; // by set of labels and class
    unsigned char used[MOST] = {0};

    for (int t = 0; t < clip->n_frames; t++) {
        unsigned mask = mask_of(clip->labels + (size_t)t * CLIP_MAX_SPEAKERS, n);
        if (!used[mask]) {
            used[mask] = 1;
            memset(nll[mask], 0, sizeof(nll[mask]));
        }
        for (int c = 0; c < classes; c++)
            nll[mask][c] -= scores[(size_t)t * (size_t)classes + (size_t)c];
    }
    for (int s = 0; s < n; s++)
        a[s] = to[s] = s;
    do {
        double sum = 0.0;
        for (unsigned mask = 0; mask < 1u << n; mask++) {
            if (used[mask])
                sum += nll[mask][o->class_of[permute(mask, a, n)]];
        }
        if (sum < best) {
            best = sum;
            memcpy(to, a, (size_t)n * sizeof(int));
        }
    } while (next_permutation(a, n));
}

/* Upstream's: by how often the likeliest classes' speakers differ from the
 * labels. Labels beyond the outputs go to nobody: -1. */
void objective_assign_hard(int *to, const struct objective *o, const float *scores,
                           const uint8_t *labels, int T, int n_targets)
{
    enum { ASSIGN_MAX = CLIP_MAX_SPEAKERS }; // as many local speakers as a model may have
    int n = o->powerset.n_speakers, rows = n_targets > n ? n_targets : n, map[ASSIGN_MAX];
    int differ[ASSIGN_MAX][ASSIGN_MAX] = {{0}};
    double cost[ASSIGN_MAX * ASSIGN_MAX], scratch[6 * ASSIGN_MAX], most = 0.0;

    for (int t = 0; t < T; t++) {
        unsigned hard = powerset_argmax(scores + (size_t)t * (size_t)o->powerset.n_classes,
                                        &o->powerset);
        for (int i = 0; i < n; i++) {
            for (int j = 0; j < n_targets; j++)
                differ[i][j] += (hard >> i & 1) !=
                                (unsigned)(labels[(size_t)t * CLIP_MAX_SPEAKERS + (size_t)j] != 0);
        }
    }
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n_targets; j++) {
            cost[i * n_targets + j] = (double)((float)differ[i][j] / (float)T);
            most = cost[i * n_targets + j] > most ? cost[i * n_targets + j] : most;
        }
    }
    for (int i = n * n_targets; i < rows * n_targets; i++)
        cost[i] = most + 1.0;
    assert(hungarian_scratch_bytes(rows, n_targets) <= sizeof(scratch));
    hungarian_in(scratch, map, cost, rows, n_targets);
    for (int j = 0; j < n_targets; j++)
        to[j] = -1;
    for (int i = 0; i < n; i++) {
        if (map[i] >= 0)
            to[map[i]] = i;
    }
}

void objective_scores(const struct objective *o, struct objective_sums *sums, float *slopes,
                      const float *scores, const struct clip *clip, float weight)
{
    int T = clip->n_frames, n = o->powerset.n_speakers, classes = o->powerset.n_classes, to[8];
    float slope = -weight / (float)T;

    if (o->exact)
        least_nll(to, o, scores, clip);
    else
        objective_assign_hard(to, o, scores, clip->labels, T, n);
    memset(slopes, 0, (size_t)T * (size_t)classes * sizeof(float));
    for (int t = 0; t < T; t++) {
        const float *row = scores + (size_t)t * (size_t)classes;
        unsigned all = mask_of(clip->labels + (size_t)t * CLIP_MAX_SPEAKERS, CLIP_MAX_SPEAKERS);
        unsigned want = permute(all & ((1u << n) - 1), to, n);
        int class = o->class_of[want];
        unsigned got = powerset_argmax(row, &o->powerset);
        int n_want = __builtin_popcount(all), n_got = __builtin_popcount(got);
        int both = __builtin_popcount(want & got), less = n_want < n_got ? n_want : n_got;

        sums->loss -= row[class];
        slopes[(size_t)t * (size_t)classes + (size_t)class] = slope;
        sums->speech += n_want;
        sums->missed += n_want > n_got ? n_want - n_got : 0;
        sums->false_alarm += n_got > n_want ? n_got - n_want : 0;
        sums->confusion += less - both;
    }
    sums->frames += T;
    sums->clips += 1;
}

/* unit[k] = v[t] / |v[t]| of the k-th frame with one speaker; their number. */
static int gather_units(float *unit, const float *vectors, const struct clip *clip, int E)
{
    int n = 0;

    for (int t = 0; t < clip->n_frames; t++) {
        const float *v = vectors + (size_t)t * (size_t)E;
        double squares = 1e-12;
        if (clip_alone(clip, t) < 0)
            continue;
        for (int e = 0; e < E; e++)
            squares += (double)v[e] * v[e];
        float scale = (float)(1.0 / sqrt(squares));
        for (int e = 0; e < E; e++)
            unit[(size_t)n * (size_t)E + (size_t)e] = v[e] * scale;
        n++;
    }
    return n;
}

size_t objective_scratch_floats(int T, int E)
{
    return 2 * (size_t)T * (size_t)E + (size_t)E * (size_t)(E + CLIP_MAX_SPEAKERS);
}

/* With unit vectors as rows of V [n,E] and one-hot labels Y [n,S]:
 * n^2 L = |V'V|^2 - 2 |V'Y|^2 + |Y'Y|^2,  n^2 dL/dV = 4 (V V'V - Y Y'V). */
void objective_affinity(const struct objective *o, struct objective_sums *sums, float *slopes,
                        const float *vectors, const struct clip *clip, int E, float weight,
                        float *scratch)
{
    enum { S = CLIP_MAX_SPEAKERS };
    int n, counts[S] = {0}, k = 0;
    size_t rows = (size_t)clip->n_frames * (size_t)E;
    float *unit = scratch, *by_unit = unit + rows, *vv = by_unit + rows, *vy = vv + E * E;
    double loss = 0.0;

    memset(slopes, 0, (size_t)clip->n_frames * (size_t)E * sizeof(float));
    n = gather_units(unit, vectors, clip, E);
    if (n < 2)
        return;
    memset(vy, 0, (size_t)S * (size_t)E * sizeof(float));
    for (int t = 0; t < clip->n_frames; t++) {
        int who = clip_alone(clip, t);
        if (who < 0)
            continue;
        for (int e = 0; e < E; e++)
            vy[who * E + e] += unit[(size_t)k * (size_t)E + (size_t)e];
        counts[who]++;
        k++;
    }
    gemm_tn(vv, E, unit, E, unit, E, E, E, n, 1.0f, 0.0f);
    for (int i = 0; i < E * E; i++)
        loss += (double)vv[i] * vv[i];
    for (int i = 0; i < S * E; i++)
        loss -= 2.0 * (double)vy[i] * vy[i];
    for (int s = 0; s < S; s++)
        loss += (double)counts[s] * counts[s];
    sums->affinity += loss / ((double)n * n);

    float scale = 4.0f * weight / ((float)n * (float)n);
    gemm_nn(by_unit, E, unit, E, vv, E, n, E, E, 1.0f, 0.0f);
    k = 0;
    for (int t = 0; t < clip->n_frames; t++) {
        int who = clip_alone(clip, t);
        const float *v = vectors + (size_t)t * (size_t)E, *u = unit + (size_t)k * (size_t)E;
        float *d = slopes + (size_t)t * (size_t)E;
        double squares = 1e-12, along = 0.0;
        if (who < 0)
            continue;
        for (int e = 0; e < E; e++) {
            d[e] = scale * (by_unit[(size_t)k * (size_t)E + (size_t)e] - vy[who * E + e]);
            squares += (double)v[e] * v[e];
            along += (double)d[e] * u[e];
        }
        float length = (float)sqrt(squares);
        for (int e = 0; e < E; e++) // through v / |v|
            d[e] = (d[e] - (float)along * u[e]) / length;
        k++;
    }
}
