// SPDX-License-Identifier: MIT
#include "stream/online.h"

#include "stream/frame.h"
#include "stream/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the worker tells, gathered on its thread. */
struct listener {
    struct online *online;
    int *merged_into; // [n_names] who a speaker turned out to be; itself: nobody else
    atomic_llong *samples;
    int64_t told;     // samples
    struct error failure;
    int failed;
};

/* Speakers up to number n, from 1. */
static int reserve(struct listener *l, int n)
{
    struct online *o = l->online;
    char **names = realloc(o->names, (size_t)n * sizeof(*names));

    o->names = names ? names : o->names;
    int *into = realloc(l->merged_into, (size_t)n * sizeof(*into));
    l->merged_into = into ? into : l->merged_into;
    if (!names || !into)
        return fail(&l->failure, "out of memory: %d speakers", n);
    for (; o->n_names < n; o->n_names++) {
        o->names[o->n_names] = calloc(1, REPORT_NAME_BYTES);
        l->merged_into[o->n_names] = o->n_names;
        if (!o->names[o->n_names])
            return fail(&l->failure, "out of memory: %d speakers", n);
    }
    return 0;
}

static int add_region(struct listener *l, const struct report_speaker *s)
{
    struct regions *r = &l->online->regions;

    if (r->n == r->room) {
        size_t room = r->room ? 2 * r->room : 64;
        struct turn *list = realloc(r->list, room * sizeof(*list));
        if (!list)
            return fail(&l->failure, "out of memory: %zu turns", r->n);
        r->list = list;
        r->room = room;
    }
    r->list[r->n++] = (struct turn){s->start, s->end, s->id - 1};
    return 0;
}

static int take_speaker(struct listener *l, const struct report *r)
{
    const struct report_speaker *s = &r->speaker;
    int most = r->type == REPORT_SPEAKER_MERGE && s->merged_id > s->id ? s->merged_id : s->id;

    if (most > l->online->n_names && reserve(l, most))
        return -1;
    utf8_field(l->online->names[s->id - 1], REPORT_NAME_BYTES, s->name);
    if (r->type == REPORT_SPEAKER_MERGE)
        l->merged_into[s->merged_id - 1] = s->id - 1;
    return r->type == REPORT_SPEAKER_OFF ? add_region(l, s) : 0;
}

/* Thread: the engine's worker. */
static void take(void *user, const struct report *r)
{
    struct listener *l = user;

    switch (r->type) {
    case REPORT_SPEAKER_NEW:
    case REPORT_SPEAKER_OFF:
    case REPORT_SPEAKER_NAME:
    case REPORT_SPEAKER_MERGE:
        l->failed = l->failed || take_speaker(l, r);
        break;
    case REPORT_BLOCK: {
        int64_t heard = (int64_t)(r->block.end * FRAME_HZ);
        if (l->samples)
            atomic_fetch_add_explicit(l->samples, heard - l->told, memory_order_relaxed);
        l->told = heard;
        break;
    }
    default: break;
    }
}

static int by_speaker(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    if (x->speaker != y->speaker)
        return x->speaker < y->speaker ? -1 : 1;
    return x->start < y->start ? -1 : x->start > y->start;
}

/* Turns go to whom their speakers turned out to be; what then overlaps is one. */
static void merge(struct listener *l)
{
    struct regions *r = &l->online->regions;
    size_t to = 0;

    for (size_t i = 0; i < r->n; i++) {
        int *speaker = &r->list[i].speaker;
        for (int hops = 0; l->merged_into[*speaker] != *speaker && hops < l->online->n_names; hops++)
            *speaker = l->merged_into[*speaker];
    }
    if (r->n)
        qsort(r->list, r->n, sizeof(*r->list), by_speaker);
    for (size_t i = 1; i < r->n; i++) {
        struct turn *last = &r->list[to], *t = &r->list[i];
        if (t->speaker == last->speaker && t->start <= last->end)
            last->end = t->end > last->end ? t->end : last->end;
        else
            r->list[++to] = *t;
    }
    r->n = r->n ? to + 1 : 0;
}

static int listen(struct engine_settings *settings, struct error *err)
{
    struct timespec nap = {0, 5000000};
    struct engine *engine = NULL;
    int status;

    if (engine_open(&engine, settings, err) || engine_start(engine, err)) {
        engine_close(&engine);
        return -1;
    }
    while (!engine_ended(engine))
        nanosleep(&nap, NULL);
    engine_stop(engine);
    status = source_failed(settings->source, err) ? -1 : 0;
    if (status == 0 && engine_summary(engine).n_blocks == 0)
        status = fail(err, "%s: too short: not even one frame (400 samples at 16 kHz)",
                      source_name(settings->source));
    engine_close(&engine);
    return status;
}

int online_run(struct online *o, const char *path, const struct engine_settings *settings,
               atomic_llong *samples, struct error *err)
{
    struct source_settings source = source_defaults();
    struct engine_settings s = *settings;
    struct sinks none = {0};
    struct listener l = {.online = o, .samples = samples};
    int status;

    *o = (struct online){0};
    source.input = path;
    source.fast = 1;
    source.channel = s.channel;
    if (source_open(&s.source, &source, err))
        return -1;
    s.sinks = &none;
    s.on_report = take;
    s.user = &l;
    status = listen(&s, err);
    if (status == 0 && l.failed) {
        *err = l.failure;
        status = -1;
    }
    if (status == 0)
        merge(&l);
    source_close(&s.source);
    free(l.merged_into);
    return status;
}

void online_release(struct online *o)
{
    for (int i = 0; i < o->n_names; i++)
        free(o->names[i]);
    free(o->names);
    regions_release(&o->regions);
    *o = (struct online){0};
}
