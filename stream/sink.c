// SPDX-License-Identifier: MIT
#include "stream/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RING_REPORTS = 1024 };

static void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

    nanosleep(&t, NULL);
}

int sinks_add(struct sinks *s, const struct sink_kind *kind, const char *target,
              struct error *err)
{
    struct sink *sink;

    if (s->n == SINKS_MAX)
        return fail(err, "more than %d outputs", SINKS_MAX);
    sink = aligned_alloc(64, (sizeof(*sink) + 63) / 64 * 64);
    if (!sink)
        return fail(err, "out of memory");
    memset(sink, 0, sizeof(*sink));
    sink->kind = kind;
    snprintf(sink->target, sizeof(sink->target), "%s", target ? target : "");
    sink->storage = calloc(RING_REPORTS, sizeof(*sink->storage));
    if (!sink->storage || (kind && kind->open(sink, err))) {
        if (!sink->storage)
            fail(err, "out of memory");
        free(sink->storage);
        free(sink);
        return -1;
    }
    memset(sink->storage, 0, RING_REPORTS * sizeof(*sink->storage));
    ring_init(&sink->ring, sink->storage, RING_REPORTS, sizeof(*sink->storage));
    s->list[s->n++] = sink;
    return 0;
}

static void tell_trouble(struct sink *s, const struct error *err)
{
    if (atomic_load_explicit(&s->told, memory_order_relaxed))
        return;
    s->trouble = *err;
    atomic_store_explicit(&s->told, 1, memory_order_release);
}

static void *run(void *user)
{
    struct sink *s = user;
    struct report r;
    struct error err;
    int broken = 0;

    for (;;) {
        int ended = atomic_load_explicit(&s->ended, memory_order_acquire);
        if (!ring_read(&s->ring, &r, 1)) {
            if (ended)
                break;
            sleep_ms(4);
            continue;
        }
        int status = broken ? 0 : s->kind->take(s, &r, &err);
        if (status)
            tell_trouble(s, &err);
        if (status < 0) {
            broken = 1;
            atomic_store_explicit(&s->failed, 1, memory_order_release);
        }
    }
    if (s->kind->close(s, &err) && !broken) {
        tell_trouble(s, &err);
        atomic_store_explicit(&s->failed, 1, memory_order_release);
    }
    atomic_store_explicit(&s->finished, 1, memory_order_release);
    return NULL;
}

int sinks_start(struct sinks *s, struct error *err)
{
    for (int i = 0; i < s->n; i++) {
        struct sink *sink = s->list[i];
        if (sink->kind && pthread_create(&sink->thread, NULL, run, sink))
            return fail(err, "cannot start a thread");
        sink->has_thread = sink->kind != NULL;
    }
    return 0;
}

void sinks_push(struct sinks *s, const struct report *r)
{
    for (int i = 0; i < s->n; i++) {
        struct sink *sink = s->list[i];
        while (!ring_write(&sink->ring, r, 1)) {
            if (!s->wait || atomic_load_explicit(&sink->failed, memory_order_acquire)) {
                atomic_fetch_add_explicit(&sink->dropped, 1, memory_order_relaxed);
                break;
            }
            sleep_ms(2);
        }
    }
}

int sink_take(struct sink *tap, struct report *r)
{
    return ring_read(&tap->ring, r, 1) == 1;
}

int sinks_next_trouble(struct sinks *s, struct error *err)
{
    for (int i = 0; i < s->n; i++) {
        struct sink *sink = s->list[i];
        if (atomic_load_explicit(&sink->told, memory_order_acquire) == 1) {
            *err = sink->trouble;
            atomic_store_explicit(&sink->told, 2, memory_order_relaxed);
            return 1;
        }
    }
    return 0;
}

/* Ends one sink; returns 1 if it is stuck and had to be left alone. */
static int end_sink(struct sink *s)
{
    struct error ignored;

    atomic_store_explicit(&s->ended, 1, memory_order_release);
    if (!s->has_thread) {
        if (s->kind)
            s->kind->close(s, &ignored);
        return 0;
    }
    for (int ms = 0; ms < 1000; ms += 5) {
        if (atomic_load_explicit(&s->finished, memory_order_acquire)) {
            pthread_join(s->thread, NULL);
            return 0;
        }
        sleep_ms(5);
    }
    /* Only a network can hold it: its thread ends with the process. */
    if (s->kind == &sink_osc) {
        pthread_detach(s->thread);
        return 1;
    }
    pthread_join(s->thread, NULL);
    return 0;
}

int sinks_close(struct sinks *s, struct error *err)
{
    int status = 0;

    for (int i = 0; i < s->n; i++) {
        struct sink *sink = s->list[i];
        int stuck = end_sink(sink), file = sink->kind && sink->kind != &sink_osc;
        if (file && atomic_load(&sink->failed) && status == 0) {
            *err = sink->trouble;
            status = -1;
        }
        if (!stuck) {
            free(sink->storage);
            free(sink);
        }
    }
    s->n = 0;
    return status;
}
