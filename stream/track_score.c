// SPDX-License-Identifier: MIT
/* track_score.c - what slots sound like, and which voices that makes them. */
#include "stream/track_slots.h"

#include "model/hungarian.h"

#include <math.h>
#include <string.h>

static const float SURE = 0.8f, SURELY_NOT = 0.2f; // of clean frames
static const float COUNTED = 40.0f; // clean frames of a piece that tell who speaks without its slot
static const double MEMORY = 40.0;  // pieces from which it is learnt how much slots can be trusted
static const float LEAST = 15.0f;   // clean frames of a piece that a voice learns from

void track_forget(struct tracker *t, struct track_slot *s)
{
    s->n = 0.0f;
    s->n_rows = s->counted = 0;
    s->since = -1;
    if (t->settings.embedding)
        memset(s->sum, 0, (size_t)t->settings.embedding * sizeof(float));
}

static void hear_frame(struct track_slot *s, int64_t frame)
{
    s->active++;
    if (s->since < 0) {
        s->since = frame;
        s->gap = frame - s->heard - 1;
    }
    s->heard = frame;
}

static void take_vector(struct tracker *t, struct track_slot *s, const float *vector)
{
    size_t width = (size_t)t->settings.embedding;

    for (size_t e = 0; e < width; e++)
        s->sum[e] += vector[e];
    s->n += 1.0f;
    if (!t->voices.space.fixed && s->n_rows < TRACK_PIECE + t->settings.block_frames)
        memcpy(s->rows + (size_t)s->n_rows++ * width, vector, width * sizeof(float));
}

static int is_finite(const float *x, int n)
{
    float sum = 0.0f;

    for (int i = 0; i < n; i++)
        sum += x[i] * 0.0f;
    return sum == 0.0f;
}

static void listen_frame(struct tracker *t, const float *row, const float *vector, int64_t frame)
{
    int n_local = t->settings.n_local, alone = -1, sure = 1;

    for (int i = 0; i < n_local; i++) {
        if (row[i] > 0.5f)
            hear_frame(&t->slot[i], frame);
        if (row[i] >= SURE)
            alone = alone < 0 ? i : n_local;
        else
            sure &= row[i] <= SURELY_NOT;
    }
    if (vector && sure && alone >= 0 && alone < n_local &&
        is_finite(vector, t->settings.embedding))
        take_vector(t, &t->slot[alone], vector);
    for (int i = 0; i < n_local; i++) {
        for (int k = 0; k < i && row[i] > 0.5f; k++) {
            int a = t->slot[i].voice, b = t->slot[k].voice;
            if (row[k] > 0.5f && a != b && a != TRACK_NOBODY && b != TRACK_NOBODY)
                voices_heard_together(&t->voices, a, b, 1);
        }
    }
}

void track_listen(struct tracker *t, const float *prob, const float *vectors, int64_t frame,
                  int n_frames)
{
    int n_local = t->settings.n_local, width = t->settings.embedding;

    for (int i = 0; i < n_local; i++)
        t->slot[i].active = 0;
    for (int f = 0; f < n_frames; f++)
        listen_frame(t, prob + (size_t)f * (size_t)n_local,
                     width && vectors ? vectors + (size_t)f * (size_t)width : NULL, frame + f);
    for (int i = 0; i < n_local; i++) {
        struct track_slot *s = &t->slot[i];
        if (s->active && s->voice != TRACK_NOBODY)
            t->voices.list[s->voice].last_heard = s->heard;
    }
}

float track_odds(const struct tracker *t, const struct track_slot *s, int voice)
{
    return voices_odds(&t->voices, voice, s->at, s->n);
}

/* How much it counts that the slot was this voice before: what makes the share of
 * pieces that stay with their slot's voice of all voices being as likely. */
static double bond(const struct tracker *t, const struct track_slot *s, int voice)
{
    const struct tracker_settings *set = &t->settings;
    double stays = t->stays / t->pieces, others = t->voices.n_used > 2 ? t->voices.n_used - 1 : 1;
    double most = log(stays * others / (1.0 - stays));

    if (s->was != voice)
        return 0.0;
    if (s->gap > set->context_frames)
        return (double)set->loose_bond;
    most = fmin(fmax(most, 0.0), (double)set->most_bond);
    return s->gap <= TRACK_PAUSE
               ? most
               : most * (1.0 - 0.5 * (double)s->gap / (double)(set->context_frames + 1));
}

/* How much it counts that the voice spoke from another slot, which the model told
 * apart from this one. */
static float excluded(const struct tracker *t, int slot, int voice)
{
    float most = 0.0f, context = (float)t->settings.context_frames + 1.0f;

    for (int i = 0; i < t->settings.n_local; i++) {
        const struct track_slot *other = &t->slot[i];
        float ago = (float)(t->frame - other->heard), against;
        if (i == slot || ago >= context || voice != (other->voice < 0 ? other->was : other->voice))
            continue;
        against = other->active ? t->settings.exclusion
                                : t->settings.exclusion * (1.0f - ago / context);
        most = fmaxf(most, against);
    }
    return most;
}

/* What the vectors say of a piece of some length, its slot set aside, tells how often
 * slots stay with their voice. */
static void count_stay(struct tracker *t, struct track_slot *s, const double *odds)
{
    double most = -1e9, sum = 0.0, share = 1.0 - 1.0 / MEMORY;

    if (s->counted || s->n < COUNTED || s->was < 0 || s->gap > t->settings.context_frames ||
        t->voices.n_used < 2)
        return;
    s->counted = 1;
    for (int k = 0; k < t->voices.high; k++)
        most = fmax(most, odds[k]);
    for (int k = 0; k < t->voices.high; k++)
        sum += exp(odds[k] - most);
    if (t->pieces * share + 1.0 < MEMORY)
        share = 1.0;
    t->stays = share * t->stays + exp(odds[s->was] - most) / sum;
    t->pieces = share * t->pieces + 1.0;
    t->stays = fmin(fmax(t->stays, 0.02 * t->pieces), 0.98 * t->pieces);
}

void track_score(struct tracker *t)
{
    for (int i = 0; i < t->settings.n_local; i++) {
        struct track_slot *s = &t->slot[i];
        double *score = track_score_of(t, i, 0);

        if (!s->active && s->held_since < 0)
            continue;
        if (s->n >= 1.0f) {
            for (int e = 0; e < t->settings.embedding; e++)
                s->raw[e] = s->sum[e] / s->n;
            voice_space_map(s->at, &t->voices.space, s->raw, 1);
        }
        for (int k = 0; k < t->voices.high; k++)
            score[k] = t->voices.list[k].used ? (double)track_odds(t, s, k) : -1e6;
        count_stay(t, s, score);
        for (int k = 0; k < t->voices.high; k++)
            score[k] += bond(t, s, k) - (double)excluded(t, i, k);
    }
}

void track_assign(struct tracker *t, int *map)
{
    int n = 0, rows[POWERSET_MAX_SPEAKERS], chosen[POWERSET_MAX_SPEAKERS];
    int n_voices = t->voices.high;

    for (int i = 0; i < t->settings.n_local; i++) {
        map[i] = TRACK_NOBODY;
        if (t->slot[i].active)
            rows[n++] = i;
    }
    if (!n || !n_voices)
        return;
    for (int r = 0; r < n; r++) { // and a "nobody of these" for each
        double *cost = t->cost + r * (n_voices + n);
        for (int k = 0; k < n_voices; k++)
            cost[k] = -track_score_of(t, rows[r], 0)[k];
        for (int k = 0; k < n; k++)
            cost[n_voices + k] = k == r ? -(double)voices_stranger(&t->voices) : 1e6;
    }
    hungarian_in(t->scratch, chosen, t->cost, n, n_voices + n);
    for (int r = 0; r < n; r++)
        map[rows[r]] = chosen[r] < n_voices ? chosen[r] : TRACK_NOBODY;
}

/* Frames less what they should be near: their speaker, or their own mean. */
static void add_scatter(struct tracker *t, const struct track_slot *s)
{
    int width = t->settings.embedding;
    const float *from = s->raw;

    if (t->voices.list[s->voice].n >= 100.0f)
        from = t->voices.raw + (size_t)s->voice * (size_t)width;
    for (int i = 0; i < s->n_rows; i++) {
        for (int e = 0; e < width; e++)
            t->deviations[i * width + e] = s->rows[i * width + e] - from[e];
    }
    voice_space_add(&t->voices.space, t->deviations, s->n_rows);
}

void track_learn(struct tracker *t, struct track_slot *s)
{
    int width = t->settings.embedding;

    if (!width || s->voice == TRACK_NOBODY || s->n < LEAST)
        return;
    for (int e = 0; e < width; e++)
        s->raw[e] = s->sum[e] / s->n;
    if (!t->voices.space.fixed)
        add_scatter(t, s);
    voices_learn(&t->voices, s->voice, s->raw, s->n, (int)(s - t->slot), s->since, s->heard);
}
