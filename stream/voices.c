// SPDX-License-Identifier: MIT
#include "stream/voices.h"

#include <math.h>
#include <string.h>

static const float PROTOTYPE_MOST = 500.0f; // frames a merged prototype weighs at most
static const float STRETCH = 250.0f;        // frames of a stretch
static const float BALANCE = 500.0f;        // frames after which a voice weighs fully in the mean

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
    v->half = arena_floats(arena, 2 * w);
    v->side = arena_bytes(arena, VOICE_PROTOTYPES);
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

/* A voice's mean from its prototypes. */
static void sum_up(struct voices *v, int i)
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
            sum_up(v, i);
        }
    }
    memset(v->together, 0, (size_t)v->room * (size_t)v->room * sizeof(*v->together));
    v->learnt = v->settled_at = 0.0f;
    v->next = 0;
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

int voices_learn(struct voices *v, int i, int with, const float *mean, float n, int64_t frame)
{
    int k = 0;

    if (!v->width || !(n > 0.0f))
        return -1;
    while (k < VOICE_PROTOTYPES && v->prototype[k].voice >= 0)
        k++;
    if (k == VOICE_PROTOTYPES && (k = make_room(v)) < 0)
        return -1;
    v->prototype[k] = (struct prototype){.voice = i, .n = n, .frame = frame};
    memcpy(row(v, v->prototype_raw, k), mean, (size_t)v->width * sizeof(float));
    voice_space_map(row(v, v->prototype_at, k), &v->space, mean, 1);
    if (with >= 0 && with != k && v->prototype[with].voice == i &&
        v->prototype[with].n + n <= STRETCH) {
        join(v, with, k, STRETCH);
        k = with;
    }
    v->learnt += n;
    sum_up(v, i);
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

/* Prototypes go to the voice they are nearest to, by a margin. */
static void reassign(struct voices *v)
{
    const float margin = 0.1f;

    for (int k = 0; k < VOICE_PROTOTYPES && v->n_used > 2; k++) {
        struct prototype *p = &v->prototype[k];
        const float *at = row(v, v->prototype_at, k);
        int best = p->voice;
        if (p->voice < 0 || p->enrolled || p->n < 50.0f || v->list[p->voice].n < 3.0f * p->n)
            continue;
        float most = cosine_of(v, at, row(v, v->at, p->voice)) + margin;
        for (int i = 0; i < v->high; i++) {
            float cosine = v->list[i].used && v->list[i].n >= 150.0f
                               ? cosine_of(v, at, row(v, v->at, i))
                               : -2.0f;
            if (i != p->voice && cosine > most) {
                most = cosine;
                best = i;
            }
        }
        p->voice = best;
    }
    for (int i = 0; i < v->high; i++) {
        if (v->list[i].used)
            sum_up(v, i);
    }
}

int voices_settle(struct voices *v)
{
    float step = fminf(fmaxf(0.1f * v->learnt, 50.0f), 1500.0f);
    int fit = v->width && voice_space_due(&v->space);

    if (!v->width || v->learnt <= 0.0f || (!fit && v->learnt - v->settled_at < step))
        return 0;
    if (fit)
        voice_space_fit(&v->space);
    if (v->learnt > 1e6f)
        v->learnt = 0.5e6f; // only differences matter
    v->settled_at = v->learnt;
    centre(v);
    voice_space_map(v->prototype_at, &v->space, v->prototype_raw, VOICE_PROTOTYPES);
    voice_space_map(v->at, &v->space, v->raw, v->high);
    reassign(v);
    return 1;
}

float voices_similarity(const struct voices *v, int i, const float *at)
{
    return v->list[i].n_prototypes ? cosine_of(v, at, row(v, v->at, i)) : -1.0f;
}

float voices_distance(const struct voices *v, int i, const float *at)
{
    return voice_space_distance(&v->space, at, row(v, v->at, i));
}

/* The prototype of a voice that is farthest from a vector. */
static int farthest(struct voices *v, int i, const float *at)
{
    float most = -1.0f;
    int far = -1;

    for (int k = 0; k < VOICE_PROTOTYPES; k++) {
        if (v->prototype[k].voice != i || v->prototype[k].n < 50.0f)
            continue;
        float distance = voice_space_distance(&v->space, at, row(v, v->prototype_at, k));
        if (distance > most) {
            most = distance;
            far = k;
        }
    }
    return far;
}

/* Sorts a voice's prototypes by the nearer half, and takes the halves' means. */
static void halve(struct voices *v, int i, float *n)
{
    size_t w = (size_t)v->width;

    n[0] = n[1] = 0.0f;
    for (int k = 0; k < VOICE_PROTOTYPES; k++) {
        const float *at = row(v, v->prototype_at, k);
        if (v->prototype[k].voice == i)
            v->side[k] = voice_space_distance(&v->space, at, v->half + w) <
                         voice_space_distance(&v->space, at, v->half);
    }
    memset(v->half, 0, 2 * w * sizeof(float));
    for (int k = 0; k < VOICE_PROTOTYPES; k++) {
        int side = v->side[k];
        if (v->prototype[k].voice != i)
            continue;
        n[side] += v->prototype[k].n;
        for (size_t e = 0; e < w; e++)
            v->half[(size_t)side * w + e] += v->prototype[k].n *
                                             row(v, v->prototype_at, k)[e];
    }
    for (int side = 0; side < 2; side++) {
        for (size_t e = 0; e < w; e++)
            v->half[(size_t)side * w + e] /= fmaxf(n[side], 1.0f);
    }
}

/* Whether a voice is two: its halves by 2-means are large and far from each other. */
static int is_two(struct voices *v, int i)
{
    size_t w = (size_t)v->width;
    float n[2] = {0};
    int a, b;

    if (!v->space.fitted || v->list[i].n < 400.0f || v->list[i].n_prototypes < 4 ||
        v->list[i].enrolled)
        return 0;
    a = farthest(v, i, row(v, v->at, i));
    b = a < 0 ? -1 : farthest(v, i, row(v, v->prototype_at, a));
    if (b < 0 || a == b)
        return 0;
    memcpy(v->half, row(v, v->prototype_at, a), w * sizeof(float));
    memcpy(v->half + w, row(v, v->prototype_at, b), w * sizeof(float));
    for (int round = 0; round < 4; round++)
        halve(v, i, n);
    if (n[0] < 150.0f || n[1] < 150.0f ||
        voice_space_distance(&v->space, v->half, v->half + w) < v->thresholds.part_distance)
        return 0;
    return v->n_used < 3 || cosine_of(v, v->half, v->half + w) < v->thresholds.part;
}

static int are_one(struct voices *v, int a, int b)
{
    const struct voice *x = &v->list[a], *y = &v->list[b];
    float cosine, distance;

    if (a == b || !y->used || x->n < 150.0f || y->n < 150.0f || (x->named && y->named) ||
        voices_together(v, a, b) >= 50 || !v->space.fitted)
        return 0;
    cosine = cosine_of(v, row(v, v->at, a), row(v, v->at, b));
    distance = voice_space_distance(&v->space, row(v, v->at, a), row(v, v->at, b));
    return (v->n_used > 3 && cosine > v->thresholds.merge) ||
           distance < v->thresholds.merge_distance;
}

enum voices_change voices_look(struct voices *v, int *a, int *b)
{
    int i = v->next < v->high ? v->next : 0;

    v->next = i + 1;
    *a = i;
    *b = -1;
    if (!v->width || !v->list[i].used)
        return VOICES_SAME;
    for (int k = 0; k < v->high; k++) {
        if (are_one(v, i, k)) {
            *b = k;
            return VOICES_ONE;
        }
    }
    return is_two(v, i) ? VOICES_PARTED : VOICES_SAME;
}

void voices_part(struct voices *v, int a, int b)
{
    float n[2] = {0};

    for (int k = 0; k < VOICE_PROTOTYPES; k++) {
        if (v->prototype[k].voice == a)
            n[v->side[k]] += v->prototype[k].n;
    }
    for (int k = 0; k < VOICE_PROTOTYPES; k++) { // the larger half stays
        if (v->prototype[k].voice == a && v->side[k] == (n[1] <= n[0]))
            v->prototype[k].voice = b;
    }
    sum_up(v, a);
    sum_up(v, b);
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
    sum_up(v, into);
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
