// SPDX-License-Identifier: MIT
/* track_score.c - what slots sound like, and which voices that makes them.
 *
 * The log odds that n clean frames of cosine c with a voice are that voice's and
 * not a new one's:  slope n / (n + 10) (c - theta(n)), theta(n) = theta
 * sqrt(n / (n + 80)). Few frames have small cosines even with their own voice:
 * theta(n) follows the threshold of equal errors measured for 0.3 to 6 s. */
#include "stream/track_slots.h"

#include "model/hungarian.h"

#include <math.h>
#include <string.h>

static const float SURE = 0.8f, SURELY_NOT = 0.2f; // of clean frames
static const float MEMORY = 150.0f;                // clean frames of a slot that are compared
static const float FEW = 4.0f; // voices beyond the first from which on cosines alone count
static const int PAUSE = 50;                       // frames of silence after which it starts anew

void track_forget(struct tracker *t, struct track_slot *s)
{
    s->n = 0.0f;
    s->n_rows = 0;
    s->prototype = -1;
    if (t->settings.embedding)
        memset(s->sum, 0, (size_t)t->settings.embedding * sizeof(float));
}

static void hear_frame(struct tracker *t, struct track_slot *s, int64_t frame)
{
    if (!s->active++) {
        s->gap = frame - s->heard - 1;
        if (s->gap > PAUSE) {
            track_learn(t, s);
            track_forget(t, s);
        }
        if (s->gap > t->settings.context_frames && t->settings.embedding) {
            s->was = s->voice != TRACK_NOBODY ? s->voice : s->was;
            s->voice = TRACK_NOBODY;
            s->bound_n = 0.0f;
        }
    }
    s->heard = frame;
}

static void take_vector(struct tracker *t, struct track_slot *s, const float *vector)
{
    size_t width = (size_t)t->settings.embedding;

    if (s->n >= MEMORY) {
        for (size_t e = 0; e < width; e++)
            s->sum[e] *= (MEMORY - 1.0f) / s->n;
        s->n = MEMORY - 1.0f;
    }
    for (size_t e = 0; e < width; e++)
        s->sum[e] += vector[e];
    s->n += 1.0f;
    s->bound_n += 1.0f;
    if (s->n_rows == TRACK_LEARN + t->settings.block_frames) { // unbound for long
        memmove(s->rows, s->rows + width, (size_t)(s->n_rows - 1) * width * sizeof(float));
        s->n_rows--;
    }
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
            hear_frame(t, &t->slot[i], frame);
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

/* By distance, in units of how far frames are from their own speaker: middle(n) is
 * where a voice's own stretches and others' err as often. */
static float odds_by_distance(struct tracker *t, const struct track_slot *s, int voice)
{
    float middle = 0.2f + 9.0f / s->n;

    if (!t->voices.space.fitted)
        return 0.0f;
    return 0.5f * t->settings.slope *
           fmaxf(1.0f - voices_distance(&t->voices, voice, s->at) / middle, -4.0f);
}

static float odds(struct tracker *t, const struct track_slot *s, int voice)
{
    float theta = (1.0f - t->settings.threshold) * sqrtf(s->n / (s->n + 80.0f));
    float by_cosine = 0.0f, by_distance = 0.0f;
    float share = fminf((float)(t->voices.n_used - 1) / FEW, 1.0f);

    if (s->n < 1.0f || !t->voices.list[voice].n_prototypes)
        return 0.0f;
    if (share > 0.0f)
        by_cosine = t->settings.slope * (voices_similarity(&t->voices, voice, s->at) - theta);
    if (share < 1.0f)
        by_distance = odds_by_distance(t, s, voice);
    return s->n / (s->n + 10.0f) * (share * by_cosine + (1.0f - share) * by_distance);
}

/* How much it counts that the slot was this voice before. */
static float bond(const struct tracker *t, const struct track_slot *s, int voice)
{
    const struct tracker_settings *set = &t->settings;
    float grown = s->bound_n < 100.0f ? s->bound_n / 100.0f : 1.0f;

    if (s->voice == voice) {
        float left = 1.0f - 0.5f * (float)s->gap / (float)(set->context_frames + 1);
        return left * (set->loose_bond + grown * (set->bond - set->loose_bond));
    }
    return s->voice == TRACK_NOBODY && s->was == voice ? set->loose_bond : 0.0f;
}

/* How much it counts that the voice spoke from another slot, which the model told
 * apart from this one. */
static float excluded(const struct tracker *t, int slot, int voice)
{
    float most = 0.0f, context = (float)t->settings.context_frames + 1.0f;

    for (int i = 0; i < t->settings.n_local; i++) {
        const struct track_slot *other = &t->slot[i];
        float ago = (float)(t->frame - other->heard), against;
        if (i == slot || other->voice != voice || other->bound_n < 25.0f || ago >= context)
            continue;
        against = other->active ? t->settings.exclusion
                                : t->settings.exclusion * (1.0f - ago / context);
        most = fmaxf(most, against);
    }
    return most;
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
            score[k] = t->voices.list[k].used
                           ? odds(t, s, k) + bond(t, s, k) - excluded(t, i, k)
                           : -1e6;
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
            cost[n_voices + k] = k == r ? 0.0 : 1e6;
    }
    hungarian_in(t->scratch, chosen, t->cost, n, n_voices + n);
    for (int r = 0; r < n; r++)
        map[rows[r]] = chosen[r] < n_voices ? chosen[r] : TRACK_NOBODY;
}

/* Frames less what they should be near: their speaker, or their own mean. */
static void add_scatter(struct tracker *t, const struct track_slot *s, const float *own)
{
    int width = t->settings.embedding;
    const float *from = own;

    if (t->voices.list[s->voice].n >= 100.0f) {
        from = t->voices.raw + (size_t)s->voice * (size_t)width;
    }
    for (int i = 0; i < s->n_rows; i++) {
        for (int e = 0; e < width; e++)
            t->deviations[i * width + e] = s->rows[i * width + e] - from[e];
    }
    voice_space_add(&t->voices.space, t->deviations, s->n_rows);
}

/* Whether the frames are the bound voice's rather than another's. */
static int is_own(struct tracker *t, const struct track_slot *s, const float *at)
{
    float own = voices_similarity(&t->voices, s->voice, at);

    if (t->voices.n_used < 2 || !t->voices.list[s->voice].n_prototypes)
        return 1;
    for (int k = 0; k < t->voices.high; k++) {
        if (k != s->voice && t->voices.list[k].used &&
            voices_similarity(&t->voices, k, at) > own)
            return 0;
    }
    return 1;
}

void track_learn(struct tracker *t, struct track_slot *s)
{
    int width = t->settings.embedding;
    float *mean = s->raw; // free until the next score

    if (!width || s->voice == TRACK_NOBODY || s->n_rows < TRACK_LEARN / 2)
        return;
    memset(mean, 0, (size_t)width * sizeof(float));
    for (int i = 0; i < s->n_rows; i++) {
        for (int e = 0; e < width; e++)
            mean[e] += s->rows[i * width + e] / (float)s->n_rows;
    }
    voice_space_map(t->mean, &t->voices.space, mean, 1);
    if (is_own(t, s, t->mean)) {
        add_scatter(t, s, mean);
        s->prototype = voices_learn(&t->voices, s->voice, s->prototype, mean, (float)s->n_rows,
                                    s->heard);
    }
    s->n_rows = 0;
}
