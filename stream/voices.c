// SPDX-License-Identifier: MIT
#include "stream/voices.h"

#include "model/hungarian.h"

#include <math.h>
#include <string.h>

static const float PROTOTYPE_MOST = 500.0f; // frames a merged prototype weighs at most
static const float BALANCE = 500.0f;        // frames after which a voice weighs fully in the mean
static const float LOOKED_AT = 25.0f;       // frames of a prototype that may go elsewhere
static const float SETTLED = 150.0f;        // frames of a voice that may become another
static const float MARGIN = 1.0f;           // log odds by which it must be better there
static const float SECOND = 50.0f;          // frames

void voices_place(struct voices *v, int width, int room, struct arena *arena)
{
    size_t n = (size_t)room, w = (size_t)width;

    v->width = width;
    v->room = room;
    v->list = arena_bytes(arena, n * sizeof(*v->list));
    v->raw = arena_floats(arena, n * w);
    v->at = arena_floats(arena, n * w);
    v->prototype = arena_bytes(arena, VOICE_PROTOTYPES * sizeof(*v->prototype));
    v->prototype_raw = arena_floats(arena, VOICE_PROTOTYPES * w);
    v->prototype_at = arena_floats(arena, VOICE_PROTOTYPES * w);
    v->half = arena_floats(arena, w);
    regroup_place(&v->regroup, VOICE_PROTOTYPES, width, room, arena);
    v->pieces = arena_bytes(arena, VOICE_PROTOTYPES * sizeof(*v->pieces));
    v->order = arena_bytes(arena, VOICE_PROTOTYPES * sizeof(int));
    v->label = arena_bytes(arena, VOICE_PROTOTYPES * sizeof(int));
    v->points = arena_floats(arena, VOICE_PROTOTYPES * w);
    v->group_of = arena_bytes(arena, n * sizeof(int));
    v->voice_of = arena_bytes(arena, n * sizeof(int));
    v->moved_last = arena_bytes(arena, n * sizeof(int));
    v->moves = arena_bytes(arena, VOICE_PROTOTYPES * sizeof(*v->moves));
    v->shared = arena_doubles(arena, n * n);
    v->scratch = arena_bytes(arena, hungarian_scratch_bytes(room, room));
    v->together = arena_bytes(arena, n * n * sizeof(*v->together));
    voice_space_place(&v->space, width, arena);
}

static float *row(const struct voices *v, float *rows, int i)
{
    return rows + (size_t)i * (size_t)v->width;
}

static float cosine_of(const struct voices *v, const float *a, const float *b)
{
    return voice_space_cosine(&v->space, a, b);
}

static uint16_t *pair(const struct voices *v, int a, int b)
{
    return &v->together[(size_t)(a < b ? a : b) * (size_t)v->room + (size_t)(a < b ? b : a)];
}

void voices_drop(struct voices *v, int i)
{
    v->n_used -= v->list[i].used;
    v->list[i] = (struct voice){0};
    for (int k = 0; k < v->room; k++)
        *pair(v, i, k) = 0;
    for (int k = 0; k < VOICE_PROTOTYPES; k++) {
        if (v->prototype[k].voice == i)
            v->prototype[k].voice = -1;
    }
    while (v->high > 0 && !v->list[v->high - 1].used)
        v->high--;
}

void voices_sum_up(struct voices *v, int i)
{
    struct voice *who = &v->list[i];
    float *mean = row(v, v->raw, i);

    who->n = 0.0f;
    who->n_prototypes = 0;
    memset(mean, 0, (size_t)v->width * sizeof(float));
    for (int k = 0; k < VOICE_PROTOTYPES; k++) {
        const float *at = row(v, v->prototype_raw, k);
        float n = v->prototype[k].n;
        if (v->prototype[k].voice != i)
            continue;
        for (int e = 0; e < v->width; e++)
            mean[e] += n * at[e];
        who->n += n;
        who->n_prototypes++;
    }
    for (int e = 0; e < v->width && who->n > 0.0f; e++)
        mean[e] /= who->n;
    voice_space_map(row(v, v->at, i), &v->space, mean, 1);
}

void voices_reset(struct voices *v)
{
    voice_space_reset(&v->space);
    for (int k = 0; k < VOICE_PROTOTYPES; k++) {
        if (!v->prototype[k].enrolled)
            v->prototype[k].voice = -1;
    }
    for (int i = v->high - 1; i >= 0; i--) {
        if (!v->list[i].enrolled) {
            voices_drop(v, i);
        } else {
            v->list[i].id = 0;
            voices_sum_up(v, i);
        }
    }
    memset(v->together, 0, (size_t)v->room * (size_t)v->room * sizeof(*v->together));
    v->learnt = v->settled_at = v->regrouped_at = 0.0f;
    v->next = v->next_prototype = 0;
}

static int is_among(int i, const int *list, int n)
{
    for (int k = 0; k < n; k++) {
        if (list[k] == i)
            return 1;
    }
    return 0;
}

int voices_least_wanted(const struct voices *v, const int *busy, int n_busy)
{
    int least = -1;

    for (int i = 0; i < v->high; i++) {
        const struct voice *a = &v->list[i], *b = least < 0 ? NULL : &v->list[least];
        if (!a->used || a->enrolled || is_among(i, busy, n_busy))
            continue;
        if (!b || a->named < b->named ||
            (a->named == b->named && a->last_heard < b->last_heard))
            least = i;
    }
    return least;
}

int voices_add(struct voices *v, int64_t frame)
{
    int i = 0;

    while (i < v->room && v->list[i].used)
        i++;
    if (i == v->room)
        return -1;
    v->list[i] = (struct voice){.used = 1, .last_heard = frame};
    v->n_used++;
    v->high = i < v->high ? v->high : i + 1;
    return i;
}

/* Two prototypes as one, at a. */
static void join(struct voices *v, int a, int b, float most)
{
    struct prototype *x = &v->prototype[a], *y = &v->prototype[b];
    float *to = row(v, v->prototype_raw, a), *from = row(v, v->prototype_raw, b);
    float share = x->n / (x->n + y->n);

    for (int e = 0; e < v->width; e++)
        to[e] = share * to[e] + (1.0f - share) * from[e];
    x->n = fminf(x->n + y->n, most);
    x->frame = x->frame > y->frame ? x->frame : y->frame;
    x->since = x->since < y->since ? x->since : y->since;
    x->slot = -1;
    y->voice = -1;
    voice_space_map(row(v, v->prototype_at, a), &v->space, to, 1);
}

/* Makes room: the two oldest of the voice that has most. Returns a free place. */
static int make_room(struct voices *v)
{
    int rich = 0, first = -1, second = -1;

    for (int i = 0; i < v->high; i++)
        rich = v->list[i].n_prototypes > v->list[rich].n_prototypes ? i : rich;
    for (int k = 0; k < VOICE_PROTOTYPES; k++) {
        const struct prototype *p = &v->prototype[k];
        if (p->voice != rich || p->enrolled)
            continue;
        if (first < 0 || p->frame < v->prototype[first].frame) {
            second = first;
            first = k;
        } else if (second < 0 || p->frame < v->prototype[second].frame) {
            second = k;
        }
    }
    if (second < 0)
        return -1; // all enrolled
    join(v, first, second, PROTOTYPE_MOST);
    return second;
}

int voices_learn(struct voices *v, int i, const float *mean, float n, int slot, int64_t since,
                 int64_t frame)
{
    int k = 0;

    if (!v->width || !(n > 0.0f))
        return -1;
    while (k < VOICE_PROTOTYPES && v->prototype[k].voice >= 0)
        k++;
    if (k == VOICE_PROTOTYPES && (k = make_room(v)) < 0)
        return -1;
    v->prototype[k] = (struct prototype){.voice = i, .n = n, .slot = slot, .since = since,
                                          .frame = frame};
    memcpy(row(v, v->prototype_raw, k), mean, (size_t)v->width * sizeof(float));
    voice_space_map(row(v, v->prototype_at, k), &v->space, mean, 1);
    v->learnt += n;
    voices_sum_up(v, i);
    return k;
}

/* The middle of the voices heard in this stream; enrolled ones count a little. */
static void centre(struct voices *v)
{
    float total = 1e-9f, *mean = v->half;

    memset(mean, 0, (size_t)v->width * sizeof(float));
    for (int i = 0; i < v->high; i++) {
        const struct voice *who = &v->list[i];
        float weight = fminf(who->n, who->enrolled && !who->id ? 0.1f * BALANCE : BALANCE);
        if (!who->used)
            continue;
        total += weight;
        for (int e = 0; e < v->width; e++)
            mean[e] += weight * row(v, v->raw, i)[e];
    }
    for (int e = 0; e < v->width; e++)
        mean[e] /= total;
    voice_space_centre(&v->space, mean);
}

int voices_settle(struct voices *v)
{
    float step = fminf(fmaxf(0.1f * v->learnt, 50.0f), 1500.0f);
    int fit = v->width && voice_space_due(&v->space);

    if (!v->width || v->space.fixed || v->learnt <= 0.0f ||
        (!fit && v->learnt - v->settled_at < step))
        return 0;
    if (fit)
        voice_space_fit(&v->space);
    if (v->learnt > 1e6f)
        v->learnt = 0.5e6f; // only differences matter
    v->settled_at = v->learnt;
    centre(v);
    voice_space_map(v->prototype_at, &v->space, v->prototype_raw, VOICE_PROTOTYPES);
    voice_space_map(v->at, &v->space, v->raw, v->high);
    return 1;
}

float voices_stranger(const struct voices *v)
{
    float known = v->space.fixed ? log1pf(v->learnt / SECOND) : 0.0f;

    return v->thresholds.stranger + logf((float)(v->n_used > 1 ? v->n_used : 1)) - known;
}

/* Of n frames and a voice of `of` frames, whose cosine is known. */
static float odds(const struct voices *v, float cosine, float n, float of)
{
    const struct voices_thresholds *t = &v->thresholds;
    float middle = (1.0f - t->distance) * sqrtf(n / (n + 40.0f) * of / (of + 60.0f));

    return t->slope * n / (n + 10.0f) * (cosine - middle);
}

float voices_odds(const struct voices *v, int i, const float *at, float n)
{
    if (!v->list[i].n_prototypes || n < 1.0f)
        return n < 1.0f ? 0.0f : voices_stranger(v);
    return odds(v, cosine_of(v, at, row(v, v->at, i)), n, v->list[i].n);
}

/* Of a prototype with its own voice, as that would be without it. */
static float odds_without(struct voices *v, int k)
{
    const struct prototype *p = &v->prototype[k];
    const float *at = row(v, v->prototype_at, k), *all = row(v, v->at, p->voice);
    float n = v->list[p->voice].n, *rest = v->half;

    if (v->list[p->voice].n_prototypes < 2 || n - p->n < 1.0f)
        return voices_stranger(v);
    for (int e = 0; e < v->width; e++)
        rest[e] = (n * all[e] - p->n * at[e]) / (n - p->n);
    return odds(v, cosine_of(v, at, rest), p->n, n - p->n);
}

void voices_give(struct voices *v, int k, int to)
{
    int from = v->prototype[k].voice;

    v->prototype[k].voice = to;
    voices_sum_up(v, from);
    voices_sum_up(v, to);
}

/* Whether a prototype is better elsewhere, and where. */
static enum voices_change look_at_prototype(struct voices *v, int k, int *a, int *b)
{
    const struct prototype *p = &v->prototype[k];
    float own, most = voices_stranger(v), alone = most;
    int best = -1;

    if (p->voice < 0 || p->enrolled || p->n < LOOKED_AT)
        return VOICES_SAME;
    own = odds_without(v, k) + MARGIN;
    for (int i = 0; i < v->high; i++) {
        if (i == p->voice || !v->list[i].used || !v->list[i].n_prototypes)
            continue;
        float other = voices_odds(v, i, row(v, v->prototype_at, k), p->n);
        if (other > most) {
            most = other;
            best = i;
        }
    }
    *a = p->voice;
    *b = best;
    if (best >= 0 && most > own) {
        voices_give(v, k, best);
        return v->list[*a].n_prototypes || v->list[*a].named ? VOICES_SAME : VOICES_ONE;
    }
    *b = k;
    return best < 0 && alone > own && p->n >= v->thresholds.least && v->list[*a].n_prototypes > 1
               ? VOICES_PARTED
               : VOICES_SAME;
}

static int are_one(struct voices *v, int a, int b)
{
    const struct voice *x = &v->list[a], *y = &v->list[b];

    if (a == b || !x->used || !y->used || x->n < SETTLED || y->n < SETTLED ||
        (x->named && y->named) || voices_together(v, a, b) >= 50)
        return 0;
    return cosine_of(v, row(v, v->at, a), row(v, v->at, b)) > v->thresholds.merge;
}

enum voices_change voices_look(struct voices *v, int *a, int *b)
{
    enum voices_change change;

    if (!v->width)
        return VOICES_SAME;
    v->next_prototype = (v->next_prototype + 1) % VOICE_PROTOTYPES;
    for (int i = 0; i < VOICE_PROTOTYPES && v->prototype[v->next_prototype].voice < 0; i++)
        v->next_prototype = (v->next_prototype + 1) % VOICE_PROTOTYPES;
    change = look_at_prototype(v, v->next_prototype, a, b);
    if (change != VOICES_SAME)
        return change;
    v->next = v->next + 1 < v->high ? v->next + 1 : 0;
    *a = v->next;
    for (*b = 0; *b < v->high; ++*b) {
        if (are_one(v, *a, *b))
            return VOICES_ONE;
    }
    return VOICES_SAME;
}

void voices_merge(struct voices *v, int into, int from)
{
    struct voice *a = &v->list[into];
    const struct voice *b = &v->list[from];

    a->last_heard = a->last_heard > b->last_heard ? a->last_heard : b->last_heard;
    for (int k = 0; k < VOICE_PROTOTYPES; k++) {
        if (v->prototype[k].voice == from)
            v->prototype[k].voice = into;
    }
    for (int k = 0; k < v->room; k++) {
        if (k != into && k != from)
            voices_heard_together(v, into, k, *pair(v, from, k));
    }
    voices_drop(v, from);
    voices_sum_up(v, into);
}

void voices_heard_together(struct voices *v, int a, int b, int frames)
{
    uint16_t *p = pair(v, a, b);

    *p = *p + frames > UINT16_MAX ? UINT16_MAX : (uint16_t)(*p + frames);
}

int voices_together(const struct voices *v, int a, int b)
{
    return *pair(v, a, b);
}
