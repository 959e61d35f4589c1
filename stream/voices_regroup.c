// SPDX-License-Identifier: MIT
/* voices_regroup.c - the voices anew from all prototypes, and who of the old is who of the new. */
#include "stream/voices.h"

#include "model/hungarian.h"

#include <math.h>
#include <string.h>

static const float WORTH = 3.0f;      // of a voice, as regroup.h says it
/* That the next piece is by who said the one before it, as measured (chance set aside): where
 * the model goes on in another slot at once it is the same person more often than not. */
enum { SHORT_GAP = 25, LONG_GAP = 250 }; // frames
static const struct stay { float at_once, soon, later; } SAME_SLOT = {0.9f, 0.6f, 0.3f},
                                                        OTHER_SLOT = {0.7f, 0.3f, 0.1f};
static const float FIRST = 1000.0f, AGAIN = 0.05f; // clean frames, and share of all, between two
static const float AT_END = 3000.0f;  // clean frames in all, for the last

/* Both are one piece, and the model remembered. */
static int goes_on(const struct prototype *p, const struct prototype *before, int context_frames)
{
    return before && p->slot >= 0 && before->slot >= 0 && p->since - before->frame <= context_frames;
}

static float stay(const struct prototype *p, const struct prototype *before)
{
    const struct stay *of = p->slot == before->slot ? &SAME_SLOT : &OTHER_SLOT;
    int64_t gap = p->since - before->frame;

    return gap <= SHORT_GAP ? of->at_once : gap <= LONG_GAP ? of->soon : of->later;
}

/* Prototypes in use by time (insertion: they nearly are), their points, who is fixed. */
static int gather(struct voices *v, int *n_fixed, int context_frames)
{
    int n = 0;

    *n_fixed = 0;
    for (int i = 0; i < v->room; i++)
        v->group_of[i] = v->list[i].used && v->list[i].enrolled && v->list[i].n_prototypes
                             ? (*n_fixed)++ : -1;
    for (int k = 0; k < VOICE_PROTOTYPES; k++) {
        int at = n;
        if (v->prototype[k].voice < 0)
            continue;
        for (; at > 0 && v->prototype[v->order[at - 1]].frame > v->prototype[k].frame; at--)
            v->order[at] = v->order[at - 1];
        v->order[at] = k;
        n++;
    }
    for (int i = 0; i < n; i++) {
        const struct prototype *p = &v->prototype[v->order[i]];
        const struct prototype *before = i ? &v->prototype[v->order[i - 1]] : NULL;
        int follows = goes_on(p, before, context_frames);
        v->pieces[i] = (struct regroup_piece){
            .n = p->n,
            .before = follows ? i - 1 : -1, .stay = follows ? stay(p, before) : 0.0f,
            .fixed = p->enrolled ? v->group_of[p->voice] : -1, .moment = -1,
        };
        memcpy(v->points + (size_t)i * (size_t)v->width,
               v->prototype_at + (size_t)v->order[i] * (size_t)v->width,
               (size_t)v->width * sizeof(float));
    }
    return n;
}

/* Which voice each group is, as most of its speech says: voice_of [n_groups], or -1. */
static void match(struct voices *v, int n, int n_groups)
{
    int columns = v->high;

    memset(v->shared, 0, (size_t)n_groups * (size_t)columns * sizeof(*v->shared));
    for (int i = 0; i < n; i++)
        v->shared[v->label[i] * columns + v->prototype[v->order[i]].voice] -=
            (double)v->pieces[i].n;
    for (int k = 0; k < columns; k++) {
        if (v->group_of[k] >= 0)
            v->shared[v->group_of[k] * columns + k] -= 1e9; // enrolled
    }
    hungarian_in(v->scratch, v->voice_of, v->shared, n_groups, columns);
    for (int g = 0; g < n_groups; g++) {
        if (v->voice_of[g] >= 0 && v->shared[g * columns + v->voice_of[g]] >= 0.0)
            v->voice_of[g] = -1;
    }
}

static float speech_of(const struct voices *v, int group, int n)
{
    float sum = 0.0f;

    for (int i = 0; i < n; i++)
        sum += v->label[i] == group ? v->pieces[i].n : 0.0f;
    return sum;
}

/* Voices for groups that are nobody yet, if they have said enough. */
static void add_voices(struct voices *v, int n, int n_groups, int most, int64_t frame)
{
    for (int g = 0; g < n_groups; g++) {
        if (v->voice_of[g] < 0 && v->n_used < most && speech_of(v, g, n) >= v->thresholds.least)
            v->voice_of[g] = voices_add(v, frame);
    }
}

/* The voice that has most of what was voice i's before; -1 if it had nothing, or has some
 * of it still. */
static int heir_of(const struct voices *v, int i, int n)
{
    int best = -1;
    float most = 0.0f;

    for (int k = 0; k < n; k++) {
        int now = v->voice_of[v->label[k]];
        float sum = 0.0f;
        if (v->prototype[v->order[k]].voice != i)
            continue;
        if (now < 0 || now == i)
            return -1;
        for (int m = k; m < n; m++)
            sum += v->prototype[v->order[m]].voice == i && v->voice_of[v->label[m]] == now
                       ? v->pieces[m].n : 0.0f;
        if (sum > most) {
            most = sum;
            best = now;
        }
    }
    return best;
}

/* Two people with names are two people: all stays with voice i. */
static void keep(struct voices *v, int i, int n)
{
    for (int k = 0; k < n; k++)
        v->label[k] = v->prototype[v->order[k]].voice == i ? -1 : v->label[k];
}

/* Prototype k goes to voice `to`. What it says, and what the one before of the same voice that went
 * there with it says, is one move. */
static void move(struct voices *v, int k, int to)
{
    struct prototype *p = &v->prototype[k];
    int *last = &v->moved_last[p->voice];

    if (*last >= 0 && v->moves[*last].to == to) {
        v->moves[*last].frame = p->frame;
    } else {
        v->moves[v->n_moves] = (struct voices_move){p->voice, to, p->since, p->frame};
        *last = v->n_moves++;
    }
    p->voice = to;
}

static void move_all(struct voices *v, int n)
{
    v->n_moves = 0;
    for (int i = 0; i < v->room; i++)
        v->moved_last[i] = -1;
    for (int i = 0; i < n; i++) {
        const struct prototype *p = &v->prototype[v->order[i]];
        int to = v->label[i] >= 0 ? v->voice_of[v->label[i]] : -1;
        if (to >= 0 && to != p->voice && !p->enrolled)
            move(v, v->order[i], to);
        else
            v->moved_last[p->voice] = -1;
    }
}

int voices_regroup_due(const struct voices *v, int at_end)
{
    if (!v->space.fixed)
        return 0;
    return at_end ? v->learnt >= AT_END : v->learnt - v->regrouped_at >= fmaxf(FIRST, AGAIN * v->learnt);
}

int voices_regroup(struct voices *v, struct voices_heir *heirs, int most, int context_frames,
                   int64_t frame)
{
    int n, n_fixed, n_groups, n_heirs = 0;

    v->n_moves = 0;
    v->regrouped_at = v->learnt;
    n = gather(v, &n_fixed, context_frames);
    if (n < 2 || n_fixed >= most)
        return 0;
    n_groups = regroup(&v->regroup, v->label, v->points, v->pieces, n, n_fixed, most, WORTH);
    match(v, n, n_groups);
    add_voices(v, n, n_groups, most, frame);
    for (int i = 0; i < v->high; i++) {
        int into = v->list[i].used && !v->list[i].enrolled ? heir_of(v, i, n) : -1;
        if (into >= 0 && v->list[i].named && v->list[into].named)
            keep(v, i, n);
        else if (into >= 0)
            heirs[n_heirs++] = (struct voices_heir){i, into};
    }
    move_all(v, n);
    for (int i = 0; i < v->high; i++) {
        if (v->list[i].used)
            voices_sum_up(v, i);
    }
    return n_heirs;
}
