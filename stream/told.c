// SPDX-License-Identifier: MIT
#include "stream/told.h"

#include "stream/utf8.h"

#include <stdlib.h>
#include <string.h>

/* Names [n], the new ones empty. */
static int reserve(struct told *t, int n, struct error *err)
{
    if (n <= t->n_names)
        return 0;
    char **names = realloc(t->names, (size_t)n * sizeof(*names));
    t->names = names ? names : t->names;
    int *into = realloc(t->merged_into, (size_t)n * sizeof(*into));
    t->merged_into = into ? into : t->merged_into;
    if (!names || !into)
        return fail(err, "out of memory: %d speakers", n);
    for (; t->n_names < n; t->n_names++) {
        t->names[t->n_names] = calloc(1, REPORT_NAME_BYTES);
        t->merged_into[t->n_names] = t->n_names;
        if (!t->names[t->n_names])
            return fail(err, "out of memory: %d speakers", n);
    }
    return 0;
}

static int take_speaker(struct told *t, const struct report *r, struct error *err)
{
    const struct report_speaker *s = &r->speaker;
    int speaker = t->forgotten + s->id - 1, merged = t->forgotten + s->merged_id - 1;
    int is_merge = r->type == REPORT_SPEAKER_MERGE;

    if (reserve(t, (is_merge && merged > speaker ? merged : speaker) + 1, err))
        return -1;
    if (is_merge || (t->names[speaker][0] && strcmp(t->names[speaker], s->name)))
        t->put_right = 1;
    strcpy(t->names[speaker], s->name);
    if (is_merge)
        t->merged_into[merged] = speaker;
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
    case REPORT_SPEAKER_MERGE: return take_speaker(t, r, err);
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

void told_settle(struct told *t)
{
    struct regions *r = &t->regions;
    size_t to = 0;

    for (size_t i = 0; i < r->n; i++) {
        int *speaker = &r->list[i].speaker;
        for (int hops = 0; t->merged_into[*speaker] != *speaker && hops < t->n_names; hops++)
            *speaker = t->merged_into[*speaker];
    }
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
    free(t->merged_into);
    regions_release(&t->regions);
    *t = (struct told){0};
}
