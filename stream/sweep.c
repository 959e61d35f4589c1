// SPDX-License-Identifier: MIT
#include "stream/sweep.h"

#include <stdlib.h>
#include <string.h>

static int side_open(struct sweep_side *side, int n_speakers, struct error *err)
{
    side->n_speakers = n_speakers;
    side->speaking = calloc((size_t)n_speakers + 1, sizeof(int));
    side->depth = calloc((size_t)n_speakers + 1, sizeof(int));
    return side->speaking && side->depth ? 0 : fail(err, "out of memory");
}

int sweep_open(struct sweep *s, int n_reference, int n_system, struct error *err)
{
    *s = (struct sweep){0};
    return side_open(&s->reference, n_reference, err) || side_open(&s->system, n_system, err)
               ? -1 : 0;
}

int sweep_add(struct sweep *s, enum sweep_kind kind, int speaker, int64_t begin, int64_t end,
              struct error *err)
{
    if (begin >= end)
        return 0;
    if (s->n + 2 > s->room) {
        size_t room = s->room ? 2 * s->room : 256;
        struct sweep_event *more = realloc(s->events, room * sizeof(*more));
        if (!more)
            return fail(err, "out of memory");
        s->events = more;
        s->room = room;
    }
    s->events[s->n++] = (struct sweep_event){begin, kind, speaker, 1};
    s->events[s->n++] = (struct sweep_event){end, kind, speaker, -1};
    return 0;
}

static int by_time(const void *a, const void *b)
{
    const struct sweep_event *x = a, *y = b;

    return (x->time > y->time) - (x->time < y->time);
}

static void side_reset(struct sweep_side *side)
{
    side->n = 0;
    memset(side->depth, 0, (size_t)side->n_speakers * sizeof(int));
}

void sweep_start(struct sweep *s)
{
    if (s->n)
        qsort(s->events, s->n, sizeof(*s->events), by_time);
    s->next = 0;
    s->region = s->collar = 0;
    side_reset(&s->reference);
    side_reset(&s->system);
}

static void side_change(struct sweep_side *side, int speaker, int change)
{
    int before = side->depth[speaker], at = 0;

    side->depth[speaker] += change;
    if (before == 0) { // an end is never first: no interval is empty
        side->speaking[side->n++] = speaker;
    } else if (side->depth[speaker] == 0) {
        while (side->speaking[at] != speaker)
            at++;
        side->speaking[at] = side->speaking[--side->n];
    }
}

static void change(struct sweep *s, const struct sweep_event *e)
{
    switch (e->kind) {
    case SWEEP_REFERENCE: side_change(&s->reference, e->speaker, e->change); break;
    case SWEEP_SYSTEM: side_change(&s->system, e->speaker, e->change); break;
    case SWEEP_REGION: s->region += e->change; break;
    case SWEEP_COLLAR: s->collar += e->change; break;
    case SWEEP_KINDS: break;
    }
}

int sweep_next(struct sweep *s)
{
    int64_t now;

    if (s->next >= s->n)
        return 0;
    now = s->events[s->next].time;
    while (s->next < s->n && s->events[s->next].time == now)
        change(s, &s->events[s->next++]);
    if (s->next == s->n)
        return 0; // the last boundary has nothing behind it
    s->begin = now;
    s->end = s->events[s->next].time;
    return 1;
}

void sweep_close(struct sweep *s)
{
    free(s->events);
    free(s->reference.speaking);
    free(s->reference.depth);
    free(s->system.speaking);
    free(s->system.depth);
    *s = (struct sweep){0};
}
