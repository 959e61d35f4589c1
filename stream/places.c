// SPDX-License-Identifier: MIT
#include "stream/places.h"

#include "model/hungarian.h"

#include <assert.h>
#include <string.h>

void places_place(struct places *p, int n_speakers, int max_frames, struct arena *arena)
{
    size_t n = (size_t)max_frames * (size_t)n_speakers;

    p->n_speakers = n_speakers;
    p->max_frames = max_frames;
    p->prob = arena_floats(arena, n);
    p->before = arena_floats(arena, n);
    p->scratch = arena_bytes(arena, hungarian_scratch_bytes(n_speakers, n_speakers));
}

void places_reset(struct places *p)
{
    p->frame = 0;
    p->n_frames = 0;
    memset(p->heard, 0, sizeof(p->heard));
}

static int is_active(float prob)
{
    return prob > 0.5f;
}

/* How far the new window's local speaker is from what the window before said of a
 * place, over the frames that both have. */
static double difference(const struct places *p, int local, int place, int64_t frame)
{
    int S = p->n_speakers, shared = (int)(p->frame + p->n_frames - frame);
    const float *old = p->before + (frame - p->frame) * S + place, *new = p->prob + local;
    double sum = 0.0;

    for (int t = 0; t < shared; t++) {
        double d = (double)new[(size_t)t * (size_t)S] - (double)old[(size_t)t * (size_t)S];
        sum += d * d;
    }
    return sum;
}

/* Whom the shared frames do not place goes where somebody was heard last: below
 * half a frame's difference in all, the rest decides. */
static double preference(const struct places *p, int place)
{
    int later = 0;

    for (int s = 0; s < p->n_speakers; s++)
        later += p->heard[s] > p->heard[place] || (p->heard[s] == p->heard[place] && s < place);
    return 0.5 * later / (p->n_speakers * p->n_speakers);
}

static int speaks(const float *prob, int n_frames, int n_speakers)
{
    int n = 0;

    for (int t = 0; t < n_frames; t++)
        n += is_active(prob[(size_t)t * (size_t)n_speakers]);
    return n > 0;
}

/* The place of each local speaker of the window whose activity is in prob. */
static void find_places(struct places *p, int64_t frame, int n_frames)
{
    int S = p->n_speakers;

    for (int local = 0; local < S; local++) {
        int speaking = speaks(p->prob + local, n_frames, S);
        for (int place = 0; place < S; place++)
            p->cost[local * S + place] = difference(p, local, place, frame) +
                                         (speaking ? preference(p, place) : 0.0);
    }
    hungarian_in(p->scratch, p->place, p->cost, S, S);
}

static void put_in_places(struct places *p, int64_t frame, int n_frames)
{
    int S = p->n_speakers;

    for (int t = 0; t < n_frames; t++) {
        float row[POWERSET_MAX_SPEAKERS], *prob = p->prob + (int64_t)t * S;
        memcpy(row, prob, (size_t)S * sizeof(float));
        for (int local = 0; local < S; local++) {
            int place = p->place[local];
            prob[place] = row[local];
            if (is_active(row[local]) && frame + t + 1 > p->heard[place])
                p->heard[place] = frame + t + 1;
        }
    }
}

void places_take(struct places *p, const float *logp, const struct powerset *powerset, int64_t frame,
                 int n_frames)
{
    float *prob = p->before;

    assert(n_frames <= p->max_frames && frame >= p->frame);
    p->before = p->prob;
    p->prob = prob;
    powerset_activity(prob, logp, powerset, n_frames);
    find_places(p, frame, n_frames);
    put_in_places(p, frame, n_frames);
    p->frame = frame;
    p->n_frames = n_frames;
}
