// SPDX-License-Identifier: MIT
#include "stream/told.h"

#include "stream/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double REST = 0.2; // s

/* Names [n], the new ones empty. */
static int reserve(struct told *t, int n, struct error *err)
{
    if (n <= t->n_names)
        return 0;
    char **names = realloc(t->names, (size_t)n * sizeof(*names));
    t->names = names ? names : t->names;
    if (!names)
        return fail(err, "out of memory: %d speakers", n);
    for (; t->n_names < n; t->n_names++) {
        t->names[t->n_names] = calloc(1, REPORT_NAME_BYTES);
        if (!t->names[t->n_names])
            return fail(err, "out of memory: %d speakers", n);
    }
    return 0;
}

static int add_change(struct told *t, struct told_change change, struct error *err)
{
    if (t->n_changes == t->changes_room) {
        int room = t->changes_room ? 2 * t->changes_room : 64;
        struct told_change *changes = realloc(t->changes, (size_t)room * sizeof(*changes));
        if (!changes)
            return fail(err, "out of memory: %d changes", room);
        t->changes = changes;
        t->changes_room = room;
    }
    t->changes[t->n_changes++] = change;
    t->put_right = 1;
    return 0;
}

static int take_speaker(struct told *t, const struct report *r, struct error *err)
{
    const struct report_speaker *s = &r->speaker;
    int speaker = t->forgotten + s->id - 1, other = t->forgotten + s->merged_id - 1;
    int is_merge = r->type == REPORT_SPEAKER_MERGE, is_move = r->type == REPORT_SPEAKER_MOVED;

    if (reserve(t, ((is_merge || is_move) && other > speaker ? other : speaker) + 1, err))
        return -1;
    if (t->names[speaker][0] && strcmp(t->names[speaker], s->name))
        t->put_right = 1;
    strcpy(t->names[speaker], s->name);
    if (is_merge)
        return add_change(t, (struct told_change){other, speaker, -HUGE_VAL, HUGE_VAL}, err);
    if (is_move)
        return add_change(t, (struct told_change){other, speaker, s->start, s->end}, err);
    return r->type == REPORT_SPEAKER_OFF ? regions_add(&t->regions, speaker, s->start, s->end, err)
                                         : 0;
}

int told_take(struct told *t, const struct report *r, struct error *err)
{
    switch (r->type) {
    case REPORT_SPEAKER_NEW:
    case REPORT_SPEAKER_ON:
    case REPORT_SPEAKER_OFF:
    case REPORT_SPEAKER_NAME:
    case REPORT_SPEAKER_MERGE:
    case REPORT_SPEAKER_MOVED: return take_speaker(t, r, err);
    case REPORT_RESET: t->forgotten = t->n_names; break;
    default: break;
    }
    return 0;
}

static int by_speaker(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    if (x->speaker != y->speaker)
        return x->speaker < y->speaker ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* Parts of turns that stay where they were: which change is to be looked at next. */
struct parts {
    int *next; // [n]
    size_t n, room;
};

static int leave(struct told *t, struct parts *p, int speaker, double start, double end, int next,
                 struct error *err)
{
    if (p->n == p->room) {
        size_t room = p->room ? 2 * p->room : 64;
        int *grown = realloc(p->next, room * sizeof(*grown));
        if (!grown)
            return fail(err, "out of memory: %zu turns", room);
        p->next = grown;
        p->room = room;
    }
    p->next[p->n++] = next;
    return regions_add(&t->regions, speaker, start, end, err);
}

/* All changes, in order, from number k on, to region i; what is left before and behind a part
 * that goes becomes a region of its own, at the list's end. */
static int change_region(struct told *t, struct parts *p, size_t i, int k, struct error *err)
{
    for (; k < t->n_changes; k++) {
        const struct told_change *c = &t->changes[k];
        struct turn x = t->regions.list[i];
        if (c->from != x.speaker || c->end <= x.start || c->start >= x.end)
            continue;
        double start = c->start - x.start < REST ? x.start : c->start;
        double end = x.end - c->end < REST ? x.end : c->end;
        if ((start > x.start && leave(t, p, x.speaker, x.start, start, k + 1, err)) ||
            (end < x.end && leave(t, p, x.speaker, end, x.end, k + 1, err)))
            return -1;
        t->regions.list[i] = (struct turn){.speaker = c->into, .start = start, .end = end};
    }
    return 0;
}

/* Regions of one speaker that overlap or meet. */
static void unite(struct regions *r)
{
    size_t to = 0;

    if (r->n)
        qsort(r->list, r->n, sizeof(*r->list), by_speaker);
    for (size_t i = 1; i < r->n; i++) {
        struct turn *last = &r->list[to], *turn = &r->list[i];
        if (turn->speaker == last->speaker && turn->start <= last->end)
            last->end = turn->end > last->end ? turn->end : last->end;
        else
            r->list[++to] = *turn;
    }
    r->n = r->n ? to + 1 : 0;
}

int told_settle(struct told *t, struct error *err)
{
    struct parts parts = {0};
    size_t n = t->regions.n;
    int status = 0;

    for (size_t i = 0; i < t->regions.n && status == 0; i++)
        status = change_region(t, &parts, i, i < n ? 0 : parts.next[i - n], err);
    free(parts.next);
    t->n_changes = 0;
    unite(&t->regions);
    return status;
}

void told_join_names(struct told *t)
{
    char name[REPORT_NAME_BYTES];

    for (int i = 0; i < t->n_names; i++) {
        utf8_field(name, sizeof(name), t->names[i]);
        strcpy(t->names[i], name);
    }
}

void told_release(struct told *t)
{
    for (int i = 0; i < t->n_names; i++)
        free(t->names[i]);
    free(t->names);
    free(t->changes);
    regions_release(&t->regions);
    *t = (struct told){0};
}
