// SPDX-License-Identifier: MIT
#include "stream/source.h"

#include "stream/source_kind.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RING_SECONDS = 4, RATE_MIN = 1000, RATE_MAX = 768000, CHANNELS_MAX = 64 };

struct source_settings source_defaults(void)
{
    return (struct source_settings){.rate_hz = 16000, .channels = 1};
}

static int allocate_rings(struct source *s, struct error *err)
{
    size_t ticks = 1, item = (size_t)s->channels * sizeof(float);

    while (ticks < (size_t)s->rate_hz * RING_SECONDS)
        ticks *= 2;
    s->storage = calloc(ticks, item);
    if (!s->storage)
        return fail(err, "out of memory");
    memset(s->storage, 0, ticks * item); // touched before the callback needs it
    ring_init(&s->ring, s->storage, ticks, item);
    ring_init(&s->gaps, s->gap_storage, sizeof(s->gap_storage) / sizeof(*s->gap_storage),
              sizeof(*s->gap_storage));
    return 0;
}

static int check_shape(const struct source *s, struct error *err)
{
    if (s->rate_hz < RATE_MIN || s->rate_hz > RATE_MAX)
        return fail(err, "%s: a rate of %d Hz; expected %d to %d", s->name, s->rate_hz, RATE_MIN,
                    RATE_MAX);
    if (s->channels < 1 || s->channels > CHANNELS_MAX)
        return fail(err, "%s: %d channels; expected 1 to %d", s->name, s->channels, CHANNELS_MAX);
    return 0;
}

int source_open(struct source **out, const struct source_settings *settings, struct error *err)
{
    struct source *s = aligned_alloc(64, (sizeof(*s) + 63) / 64 * 64);

    *out = NULL;
    if (!s)
        return fail(err, "out of memory");
    memset(s, 0, sizeof(*s));
    s->fast = settings->fast;
    s->kind = !settings->input                ? &source_kind_device
              : strcmp(settings->input, "-") ? &source_kind_file
                                             : &source_kind_stdin;
    if (s->kind->open(s, settings, err) || check_shape(s, err) || allocate_rings(s, err)) {
        source_close(&s);
        return -1;
    }
    *out = s;
    return 0;
}

int source_start(struct source *s, struct error *err)
{
    source_set_clock(s, 0, source_now());
    return s->kind->start(s, err);
}

void source_stop(struct source *s)
{
    atomic_store(&s->stopping, 1);
    s->kind->stop(s);
    atomic_store_explicit(&s->ended, 1, memory_order_release);
}

void source_close(struct source **s)
{
    if (!*s)
        return;
    source_stop(*s);
    (*s)->kind->close(*s);
    free((*s)->storage);
    free(*s);
    *s = NULL;
}

int source_rate_hz(const struct source *s)
{
    return s->rate_hz;
}

int source_channels(const struct source *s)
{
    return s->channels;
}

const char *source_name(const struct source *s)
{
    return s->name;
}

int source_is_live(const struct source *s)
{
    return s->kind->live;
}

void source_offer(struct source *s, const float *ticks, size_t n)
{
    size_t room = ring_writable(&s->ring), moved = 0;

    if (room > 0 && s->pending > 0) {
        struct gap gap = {atomic_load_explicit(&s->ring.written, memory_order_relaxed),
                          s->pending};
        if (ring_write(&s->gaps, &gap, 1))
            s->pending = 0;
    }
    if (s->pending == 0) // else the gap could not be told: what follows is lost with it
        moved = ring_write(&s->ring, ticks, n);
    if (moved < n) {
        if (s->pending == 0)
            atomic_fetch_add_explicit(&s->overruns, 1, memory_order_relaxed);
        s->pending += n - moved;
        atomic_fetch_add_explicit(&s->lost_ticks, (long long)(n - moved), memory_order_relaxed);
    }
}

static void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

    nanosleep(&t, NULL);
}

int source_feed(struct source *s, const float *ticks, size_t n)
{
    while (n > 0) {
        size_t moved = ring_write(&s->ring, ticks, n);
        if (atomic_load_explicit(&s->stopping, memory_order_relaxed))
            return -1;
        if (!moved)
            sleep_ms(2);
        ticks += moved * (size_t)s->channels;
        n -= moved;
    }
    return 0;
}

/* The next gap, if it stands within the ticks that can be read. The caller has
 * looked at the ring first: a gap is told before the ticks behind it. */
static void look_for_gap(struct source *s)
{
    if (!s->has_gap)
        s->has_gap = ring_read(&s->gaps, &s->gap, 1) == 1;
}

static void clean(struct source *s, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            x[i] = 0.0f;
            atomic_fetch_add_explicit(&s->bad_samples, 1, memory_order_relaxed);
        }
    }
}

size_t source_read(struct source *s, float *dst, size_t n)
{
    size_t done = 0, channels = (size_t)s->channels;

    while (done < n) {
        size_t readable = ring_readable(&s->ring), want = n - done;
        look_for_gap(s);
        if (s->has_gap && s->gap.position == s->position) {
            size_t silent = s->gap.n < want ? s->gap.n : want;
            memset(dst + done * channels, 0, silent * channels * sizeof(float));
            s->gap.n -= silent;
            s->has_gap = s->gap.n > 0;
            done += silent;
            continue;
        }
        want = want < readable ? want : readable;
        if (s->has_gap && want > s->gap.position - s->position)
            want = s->gap.position - s->position;
        if (want == 0)
            break;
        ring_read(&s->ring, dst + done * channels, want);
        clean(s, dst + done * channels, want * channels);
        s->position += want;
        done += want;
    }
    return done;
}

int source_wait(struct source *s, int ms)
{
    for (int waited = 0;; waited += 2) {
        int ended = atomic_load_explicit(&s->ended, memory_order_acquire);
        if (ring_readable(&s->ring) > 0 || s->has_gap)
            return 1;
        if (ended)
            return 0;
        if (waited >= ms)
            return 1;
        sleep_ms(2);
    }
}

struct source_counts source_counts(const struct source *s)
{
    return (struct source_counts){
        .lost_ticks = atomic_load_explicit(&s->lost_ticks, memory_order_relaxed),
        .overruns = atomic_load_explicit(&s->overruns, memory_order_relaxed),
        .bad_samples = atomic_load_explicit(&s->bad_samples, memory_order_relaxed),
    };
}

void source_set_clock(struct source *s, int64_t tick, double wall)
{
    unsigned sequence = atomic_load_explicit(&s->clock_sequence, memory_order_relaxed);

    atomic_store_explicit(&s->clock_sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&s->clock_tick, tick, memory_order_relaxed);
    atomic_store_explicit(&s->clock_wall, wall, memory_order_relaxed);
    atomic_store_explicit(&s->clock_sequence, sequence + 2, memory_order_release);
}

double source_wall(const struct source *s, int64_t tick)
{
    unsigned before, after;
    int64_t base;
    double wall;

    do {
        before = atomic_load_explicit(&s->clock_sequence, memory_order_acquire);
        base = atomic_load_explicit(&s->clock_tick, memory_order_relaxed);
        wall = atomic_load_explicit(&s->clock_wall, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&s->clock_sequence, memory_order_relaxed);
    } while (before != after || before % 2);
    return wall + (double)(tick - base) / s->rate_hz;
}

void source_fail(struct source *s, const struct error *err)
{
    s->failure = *err;
    atomic_store_explicit(&s->failed, 1, memory_order_release);
    atomic_store_explicit(&s->ended, 1, memory_order_release);
}

int source_failed(const struct source *s, struct error *err)
{
    if (!atomic_load_explicit(&s->failed, memory_order_acquire))
        return 0;
    *err = s->failure;
    return 1;
}

double source_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
