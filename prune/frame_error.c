// SPDX-License-Identifier: MIT
#include "prune/frame_error.h"

#include "model/hungarian.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BITS = 16 };

/* First frame whose middle is not before that time. */
static int frame_at(double seconds, double from, int n)
{
    double f = ceil((seconds - from - 0.0125) / 0.02 - 1e-6);

    return f < 0.0 ? 0 : f > n ? n : (int)f;
}

static void mark(uint8_t *row, int n, double from, const struct turn *t)
{
    int first = frame_at(t->start, from, n), end = frame_at(t->end, from, n);

    if (end > first)
        memset(row + first, 1, (size_t)(end - first));
}

/* active [speakers, n], scored [n] */
static void mark_all(uint8_t *active, uint8_t *scored, int n, double from,
                     const struct recording *reference, const struct recording *uem)
{
    for (size_t i = 0; reference && i < reference->n_turns; i++)
        mark(active + (size_t)reference->turns[i].speaker * (size_t)n, n, from,
             &reference->turns[i]);
    if (!uem)
        memset(scored, 1, (size_t)n);
    for (size_t i = 0; uem && i < uem->n_turns; i++)
        mark(scored, n, from, &uem->turns[i]);
}

/* Adds all but confusion; shared [speakers, BITS] counts who speaks with whom.
 * Returns the frames that both sides have. */
static double count(struct frame_errors *e, double *shared, const uint16_t *said,
                    const uint8_t *active, const uint8_t *scored, int n, int speakers)
{
    double common = 0.0;

    for (int t = 0; t < n; t++) {
        int want = 0, bits, got;
        for (int s = 0; s < speakers; s++)
            want += active[(size_t)s * (size_t)n + (size_t)t];
        bits = said ? said[t] : want > 0;
        got = __builtin_popcount((unsigned)bits);
        if (!scored[t])
            continue;
        e->speech += want;
        e->missed += want > got ? want - got : 0;
        e->false_alarm += got > want ? got - want : 0;
        common += want < got ? want : got;
        for (int s = 0; s < speakers && bits; s++) {
            for (int k = 0; active[(size_t)s * (size_t)n + (size_t)t] && k < BITS; k++)
                shared[s * BITS + k] -= bits >> k & 1; // the assignment of least cost
        }
    }
    return common;
}

int frame_errors_add(struct frame_errors *e, const uint16_t *said, int n_frames, double from,
                     const struct recording *reference, const struct recording *uem,
                     struct error *err)
{
    int speakers = reference ? reference->n_speakers : 0, status = -1;
    uint8_t *active = calloc((size_t)speakers * (size_t)n_frames + 1, 1);
    uint8_t *scored = calloc((size_t)n_frames + 1, 1);
    double *shared = calloc((size_t)speakers * BITS + 1, sizeof(*shared)), common, agreed = 0.0;
    int *map = calloc((size_t)speakers + 1, sizeof(*map));

    if (active && scored && shared && map) {
        mark_all(active, scored, n_frames, from, reference, uem);
        common = count(e, shared, said, active, scored, n_frames, speakers);
        status = speakers ? hungarian(map, shared, speakers, BITS, err) : 0;
        for (int s = 0; status == 0 && s < speakers; s++)
            agreed -= map[s] >= 0 ? shared[s * BITS + map[s]] : 0.0;
        e->confusion += common - agreed;
    } else {
        fail(err, "out of memory for %d frames", n_frames);
    }
    free(active);
    free(scored);
    free(shared);
    free(map);
    return status;
}

double frame_errors_percent(const struct frame_errors *e, double part)
{
    return e->speech > 0.0 ? 100.0 * part / e->speech : part > 0.0 ? 100.0 : 0.0;
}
