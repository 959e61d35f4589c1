// SPDX-License-Identifier: MIT
#include "stream/sink.h"

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { RING_REPORTS = 1024, STALL_MS = 1000, LINGER_MS = 10000, STOP_MS = 300 };

static void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

    nanosleep(&t, NULL);
}

static void sink_free(struct sink *s)
{
    sem_destroy(&s->wake);
    free(s->storage);
    free(s);
}

static struct sink *sink_new(const struct sink_kind *kind, const char *target, int stop_fd)
{
    struct sink *s = aligned_alloc(64, (sizeof(*s) + 63) / 64 * 64);

    if (!s)
        return NULL;
    memset(s, 0, sizeof(*s));
    s->kind = kind;
    s->stop_fd = stop_fd;
    snprintf(s->target, sizeof(s->target), "%s", target ? target : "");
    sem_init(&s->wake, 0, 0);
    s->storage = malloc(RING_REPORTS * sizeof(*s->storage));
    if (!s->storage) {
        sink_free(s);
        return NULL;
    }
    memset(s->storage, 0, RING_REPORTS * sizeof(*s->storage)); // touched now, not in the worker
    ring_init(&s->ring, s->storage, RING_REPORTS, sizeof(*s->storage));
    ring_init(&s->troubles, s->trouble_storage, SINK_TROUBLES, sizeof(*s->trouble_storage));
    return s;
}

int sinks_add(struct sinks *s, const struct sink_kind *kind, const char *target,
              struct error *err)
{
    struct sink *sink;

    if (s->n == SINKS_MAX)
        return fail(err, "more than %d outputs", SINKS_MAX);
    if (target && strlen(target) >= sizeof(sink->target))
        return fail(err, "%.40s...: longer than %zu bytes", target, sizeof(sink->target) - 1);
    if (s->n == 0 && (s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return fail(err, "eventfd: %s", strerror(errno));
    sink = sink_new(kind, target, s->stop_fd);
    if (!sink)
        fail(err, "out of memory");
    if (!sink || (kind && kind->open(sink, err))) {
        if (sink)
            sink_free(sink);
        if (s->n == 0)
            close(s->stop_fd);
        return -1;
    }
    s->list[s->n++] = sink;
    return 0;
}

static void sink_fail(struct sink *s, const struct error *err)
{
    s->failure = *err;
    atomic_store_explicit(&s->failed, 1, memory_order_release);
}

static void run_sink(struct sink *s)
{
    struct report r;
    struct error err = {""};
    int broken = 0;

    for (;;) {
        while (sem_wait(&s->wake) && errno == EINTR)
            ;
        if (!ring_read(&s->ring, &r, 1))
            break; // the post that goes with no report is the last
        int status = broken ? 0 : s->kind->take(s, &r, &err);
        if (status)
            ring_write(&s->troubles, &err, 1); // with eight unheard, a ninth may get lost
        if (status < 0) {
            broken = 1;
            sink_fail(s, &err);
        }
    }
    if (s->kind->close(s, &err) && !broken) {
        ring_write(&s->troubles, &err, 1);
        sink_fail(s, &err);
    }
}

static void *run(void *user)
{
    struct sink *s = user;
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);

    if (c_locale)
        uselocale(c_locale);
    run_sink(s);
    if (c_locale) {
        uselocale(LC_GLOBAL_LOCALE);
        freelocale(c_locale);
    }
    atomic_store_explicit(&s->finished, 1, memory_order_release);
    return NULL;
}

int sinks_start(struct sinks *s, struct error *err)
{
    sigset_t all, before;
    int status = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i < s->n && status == 0; i++) {
        struct sink *sink = s->list[i];
        if (!sink->kind)
            continue;
        status = pthread_create(&sink->thread, NULL, run, sink);
        sink->has_thread = status == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status ? fail(err, "cannot start a thread: %s", strerror(status)) : 0;
}

/* Waits for room in a ring; 0 if that is not to be had. */
static int wait_for_room(const struct sinks *s, struct sink *sink)
{
    for (int ms = 0; !ring_writable(&sink->ring); ms += 2) {
        int patient = (!sink->kind || sink->kind->patient) &&
                      !atomic_load_explicit(&s->hurry, memory_order_relaxed);
        if (!s->wait || sink->stalled ||
            atomic_load_explicit(&sink->failed, memory_order_acquire))
            return 0;
        if (!patient && ms >= STALL_MS) {
            sink->stalled = 1;
            return 0;
        }
        sleep_ms(2);
    }
    sink->stalled = 0;
    return 1;
}

void sinks_push(struct sinks *s, const struct report *r)
{
    for (int i = 0; i < s->n; i++) {
        struct sink *sink = s->list[i];
        if (!wait_for_room(s, sink)) {
            atomic_fetch_add_explicit(&sink->dropped, 1, memory_order_relaxed);
            continue;
        }
        ring_write(&sink->ring, r, 1);
        if (sink->kind)
            sem_post(&sink->wake);
    }
}

void sinks_hurry(struct sinks *s)
{
    atomic_store_explicit(&s->hurry, 1, memory_order_relaxed);
}

int sink_take(struct sink *tap, struct report *r)
{
    return ring_read(&tap->ring, r, 1) == 1;
}

/* A failed sink drops everything, and has said so. */
static int dropped_unheard(struct sink *s)
{
    if (!s->kind || s->told_dropped || atomic_load_explicit(&s->failed, memory_order_acquire) ||
        !atomic_load_explicit(&s->dropped, memory_order_relaxed))
        return 0;
    s->told_dropped = 1;
    return 1;
}

int sinks_next_trouble(struct sinks *s, struct error *err)
{
    for (int i = 0; i < s->n; i++) {
        struct sink *sink = s->list[i];
        if (ring_read(&sink->troubles, err, 1))
            return 1;
        if (dropped_unheard(sink)) {
            fail(err, "%s: takes too long, so that some of its events are left out", sink->target);
            return 1;
        }
    }
    return 0;
}

/* 1 once all threads are done. *left becomes the reports that patient ones still have. */
static int all_finished(const struct sinks *s, size_t *left)
{
    int finished = 1;

    *left = 0;
    for (int i = 0; i < s->n; i++) {
        const struct sink *sink = s->list[i];
        if (!sink->has_thread || atomic_load_explicit(&sink->finished, memory_order_acquire))
            continue;
        finished = 0;
        if (sink->kind->patient)
            *left += 1 + ring_readable(&sink->ring);
    }
    return finished;
}

static void wait_for_threads(const struct sinks *s)
{
    const uint64_t one = 1;
    size_t left, before = SIZE_MAX;
    int idle_ms = 0;

    for (int ms = 0; ms < LINGER_MS && idle_ms < STALL_MS; ms += 2) {
        if (all_finished(s, &left))
            return;
        idle_ms = left < before ? 0 : idle_ms + 2;
        if (left == 0) // only networks
            idle_ms = ms;
        before = left;
        sleep_ms(2);
    }
    if (write(s->stop_fd, &one, sizeof(one)) < 0)
        return; // cannot happen with a counter of 0
    for (int ms = 0; ms < STOP_MS && !all_finished(s, &left); ms += 2)
        sleep_ms(2);
}

/* Joins and frees one; returns 1 if it is stuck in a call that cannot be ended
 * (the look-up of a name, a dead file server): it then goes with the process. */
static int end_sink(struct sink *s, int *status, struct error *err)
{
    struct error ignored;
    int patient = s->kind && s->kind->patient;

    if (!s->has_thread && s->kind)
        s->kind->close(s, &ignored);
    if (s->has_thread && !atomic_load_explicit(&s->finished, memory_order_acquire)) {
        pthread_detach(s->thread);
        if (patient && *status == 0)
            *status = fail(err, "%s: is stuck; not everything was written", s->target);
        return 1;
    }
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    if (patient && *status == 0 && atomic_load_explicit(&s->failed, memory_order_acquire)) {
        *err = s->failure;
        *status = -1;
    }
    sink_free(s);
    return 0;
}

int sinks_close(struct sinks *s, struct error *err)
{
    int status = 0, stuck = 0;

    if (s->n == 0)
        return 0;
    for (int i = 0; i < s->n; i++)
        sem_post(&s->list[i]->wake);
    wait_for_threads(s);
    for (int i = 0; i < s->n; i++)
        stuck += end_sink(s->list[i], &status, err);
    if (!stuck)
        close(s->stop_fd);
    s->n = 0;
    return status;
}
