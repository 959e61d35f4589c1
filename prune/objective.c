// SPDX-License-Identifier: MIT
#include "prune/objective.h"

#include "model/hungarian.h"
#include "model/op.h"
#include "prune/unit.h"

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

/* Frames in which one speaker is alone, of all clips. */
struct solo {
    int n, n_speakers;
    int *row;    // [n] of the vectors
    int *who;    // [n] 0 .. n_speakers - 1
    float *unit; // [n,E]
    int count[CLIP_MAX_EXCERPTS * CLIP_MAX_SPEAKERS]; // frames of each speaker
};

/* Who speaks in a clip's column: the one who had that number before, or somebody new. */
static int solo_speaker(int *n_speakers, int32_t *numbers, int32_t number)
{
    for (int s = 0; number >= 0 && s < *n_speakers; s++) {
        if (numbers[s] == number)
            return s;
    }
    numbers[*n_speakers] = number;
    return (*n_speakers)++;
}

static void gather_solo(struct solo *solo, const float *vectors, const struct clip *clips,
                        int n_clips, int E)
{
    int32_t numbers[CLIP_MAX_EXCERPTS * CLIP_MAX_SPEAKERS];
    int first = 0;

    for (int c = 0; c < n_clips; first += clips[c].n_frames, c++) {
        int who[CLIP_MAX_SPEAKERS];
        for (int k = 0; k < CLIP_MAX_SPEAKERS; k++)
            who[k] = k < clips[c].n_speakers
                         ? solo_speaker(&solo->n_speakers, numbers, clips[c].speaker[k]) : -1;
        for (int t = 0; t < clips[c].n_frames; t++) {
            int column = clip_alone(&clips[c], t), n = solo->n;
            if (column < 0 || who[column] < 0)
                continue;
            solo->row[n] = first + t;
            solo->who[n] = who[column];
            solo->count[who[column]]++;
            unit_make(solo->unit + (size_t)n * (size_t)E,
                      vectors + (size_t)(first + t) * (size_t)E, E);
            solo->n++;
        }
    }
}

size_t objective_scratch_floats(int n_clips, int T, int E)
{
    size_t rows = (size_t)n_clips * (size_t)T, width = (size_t)E;

    return 2 * rows * width + 2 * rows + width * (width + (size_t)n_clips * CLIP_MAX_SPEAKERS);
}

/* n^2 L = |V'V|^2 - 2 |V'Y|^2 + |Y'Y|^2, with vv [E,E] = V'V and vy [S,E] = Y'V. */
static double affinity_loss(const struct solo *solo, const float *vv, const float *vy, int E)
{
    double loss = 0.0;

    for (int i = 0; i < E * E; i++)
        loss += (double)vv[i] * vv[i];
    for (int i = 0; i < solo->n_speakers * E; i++)
        loss -= 2.0 * (double)vy[i] * vy[i];
    for (int s = 0; s < solo->n_speakers; s++)
        loss += (double)solo->count[s] * solo->count[s];
    return loss / ((double)solo->n * solo->n);
}

/* With unit vectors as rows of V [n,E] and one-hot labels Y [n,S]:
 * n^2 dL/dV = 4 (V V'V - Y Y'V). */
void objective_affinity(struct objective_sums *sums, float *slopes, const float *vectors,
                        const struct clip *clips, int n_clips, int E, float weight,
                        float *scratch)
{
    size_t rows = (size_t)n_clips * (size_t)clips[0].n_frames, width = (size_t)E;
    float *by_unit = scratch + rows * width, *vv = by_unit + rows * width, *vy = vv + E * E;
    int *indices = (int *)(void *)(vy + (size_t)n_clips * CLIP_MAX_SPEAKERS * width);
    struct solo solo = {.row = indices, .who = indices + rows, .unit = scratch};

    memset(slopes, 0, rows * width * sizeof(float));
    gather_solo(&solo, vectors, clips, n_clips, E);
    if (solo.n < 2)
        return;
    memset(vy, 0, (size_t)solo.n_speakers * width * sizeof(float));
    for (int k = 0; k < solo.n; k++) {
        for (int e = 0; e < E; e++)
            vy[solo.who[k] * E + e] += solo.unit[(size_t)k * width + (size_t)e];
    }
    gemm_tn(vv, E, solo.unit, E, solo.unit, E, E, E, solo.n, 1.0f, 0.0f);
    sums->affinity += n_clips * affinity_loss(&solo, vv, vy, E);

    float scale = 4.0f * weight * (float)n_clips / ((float)solo.n * (float)solo.n);
    gemm_nn(by_unit, E, solo.unit, E, vv, E, solo.n, E, E, 1.0f, 0.0f);
    for (int k = 0; k < solo.n; k++) {
        float *by = by_unit + (size_t)k * width, *u = solo.unit + (size_t)k * width;
        size_t row = (size_t)solo.row[k] * width;
        for (int e = 0; e < E; e++)
            by[e] = scale * (by[e] - vy[solo.who[k] * E + e]);
        unit_back(slopes + row, by, u, unit_make(u, vectors + row, E), E);
    }
}
