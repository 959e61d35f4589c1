// SPDX-License-Identifier: MIT
#include "stream/source.h"

#include "model/clock.h"
#include "stream/resample.h"
#include "stream/source_kind.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const size_t max_ring_bytes = (size_t)64 << 20; // what 64 channels fill in 5 s

struct source_settings source_defaults(void)
{
    return (struct source_settings){
        .ring_ms = 4000,
        .rate_hz = 16000,
        .channels = 1,
    };
}

void sleep_seconds(double seconds)
{
    struct timespec pause;

    if (seconds <= 0.0)
        return;
    pause.tv_sec = (time_t)seconds;
    pause.tv_nsec = (long)((seconds - (double)pause.tv_sec) * 1e9);
    nanosleep(&pause, NULL);
}

/* A power of two of ticks, for at least ring_ms unless that is absurdly much. */
static size_t ring_ticks(const struct source *s, int ring_ms)
{
    size_t tick_bytes = (size_t)s->channels * sizeof(float);
    uint64_t wanted = (uint64_t)s->rate_hz * (uint64_t)ring_ms / 1000;
    size_t n = 64;

    while (n < wanted && n * 2 * tick_bytes <= max_ring_bytes)
        n *= 2;
    return n;
}

static void source_place(struct source *s, size_t n_ticks, struct arena *memory)
{
    size_t C = (size_t)s->channels;
    float *ticks = arena_floats(memory, n_ticks * C);
    void *gaps = arena_bytes(memory, SOURCE_N_GAPS * sizeof(struct gap));

    s->feed_ticks = (size_t)s->rate_hz / SOURCE_FEED_PER_SECOND;
    s->feed = arena_floats(memory, s->feed_ticks * C);
    s->bytes_room = s->feed_ticks * C * pcm_sample_bytes(s->format);
    s->bytes = arena_bytes(memory, s->bytes_room);
    ring_init(&s->ticks, ticks, n_ticks, C * sizeof(float));
    ring_init(&s->gap_ring, gaps, SOURCE_N_GAPS, sizeof(struct gap));
}

int source_allocate(struct source *s, int ring_ms, struct error *err)
{
    size_t n_ticks = ring_ticks(s, ring_ms);

    source_place(s, n_ticks, &s->memory);
    if (arena_commit(&s->memory, err))
        return -1;
    source_place(s, n_ticks, &s->memory);
    return 0;
}

static int source_check(const struct source *s, int channel, struct error *err)
{
    if (s->rate_hz < RESAMPLE_MIN_HZ || s->rate_hz > RESAMPLE_MAX_HZ)
        return fail(err, "%s: a sample rate of %d Hz; %d to %d Hz was expected", s->name,
                    s->rate_hz, RESAMPLE_MIN_HZ, RESAMPLE_MAX_HZ);
    if (s->channels < 1 || s->channels > RESAMPLE_MAX_CHANNELS)
        return fail(err, "%s: %d channels; 1 to %d were expected", s->name, s->channels,
                    RESAMPLE_MAX_CHANNELS);
    if (channel < 0 || channel > s->channels)
        return fail(err, "%s: there is no channel %d; choose 1 to %d, or none to mix them all",
                    s->name, channel, s->channels);
    return 0;
}

static const struct source_kind *kind_of(const struct source_settings *settings)
{
    if (!settings->input)
        return &source_device;
    return strcmp(settings->input, "-") == 0 ? &source_stdin : &source_file;
}

int source_open(struct source **source, const struct source_settings *settings,
                struct error *err)
{
    struct source *s = aligned_alloc(_Alignof(struct source), sizeof(*s));

    assert(settings->ring_ms > 0);
    *source = NULL;
    if (!s)
        return fail(err, "out of memory for the audio source");
    *s = (struct source){.kind = kind_of(settings), .fast = settings->fast};
    if (s->kind->open(s, settings, err) || source_check(s, settings->channel, err) ||
        source_allocate(s, settings->ring_ms, err)) {
        source_close(&s);
        return -1;
    }
    *source = s;
    return 0;
}

int source_start(struct source *s, struct error *err)
{
    assert(!s->started);
    s->started = 1;
    s->start_wall = clock_wall();
    s->start_monotonic = clock_monotonic();
    return s->kind->start(s, err);
}

void source_stop(struct source *s)
{
    s->kind->stop(s);
    source_finish(s, SOURCE_ENDED);
}

void source_close(struct source **source)
{
    struct source *s = *source;

    if (!s)
        return;
    source_stop(s);
    s->kind->close(s);
    *source = NULL;
    if (s->abandoned)
        return; // its stream still points here
    arena_release(&s->memory);
    free(s);
}

void source_finish(struct source *s, enum source_state state)
{
    int running = SOURCE_RUNNING;

    atomic_compare_exchange_strong_explicit(&s->state, &running, (int)state,
                                            memory_order_acq_rel, memory_order_relaxed);
}

/* Publishes the pending gap as soon as there is room behind it. Returns 0 when
 * a gap still pends: then nothing may be written. */
static int put_gap(struct source *s)
{
    if (s->pending.n_ticks == 0)
        return 1;
    if (ring_writable(&s->ticks) == 0 || ring_write(&s->gap_ring, &s->pending, 1) == 0)
        return 0;
    s->pending.n_ticks = 0;
    return 1;
}

void source_put(struct source *s, const float *ticks, size_t n_ticks)
{
    size_t n = put_gap(s) && ticks ? ring_write(&s->ticks, ticks, n_ticks) : 0;
    size_t lost = n_ticks - n;

    s->n_written += n;
    if (lost > 0) {
        if (s->pending.n_ticks == 0) {
            s->pending.position = s->n_written;
            atomic_fetch_add_explicit(&s->n_overruns, 1, memory_order_relaxed);
        }
        s->pending.n_ticks += lost;
        atomic_fetch_add_explicit(&s->n_lost, lost, memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&s->n_captured, n_ticks, memory_order_release);
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The ticks that can be given at once: silence of a gap, or what was written
 * up to the next gap. What the ring holds must be asked before the gaps: a gap
 * is published before the ticks after it. */
static size_t read_piece(struct source *s, float *dst, size_t n)
{
    size_t C = (size_t)s->channels;
    size_t ready = ring_readable(&s->ticks);

    if (s->gap.n_ticks == 0 && ring_read(&s->gap_ring, &s->gap, 1) == 0)
        s->gap.n_ticks = 0;
    if (s->gap.n_ticks > 0) {
        if (s->gap.position == s->n_taken) {
            n = (size_t)(s->gap.n_ticks < n ? s->gap.n_ticks : n);
            memset(dst, 0, n * C * sizeof(float));
            s->gap.n_ticks -= n;
            return n;
        }
        ready = (size_t)(s->gap.position - s->n_taken < ready ? s->gap.position - s->n_taken
                                                              : ready);
    }
    n = ring_read(&s->ticks, dst, min_size(n, ready));
    s->n_taken += n;
    size_t n_bad = pcm_make_finite(dst, n * C);
    if (n_bad > 0)
        atomic_fetch_add_explicit(&s->n_bad, n_bad, memory_order_relaxed);
    return n;
}

/* After the end no gap is published any more: what was captured and is in
 * neither ring was lost at the very end. */
static size_t read_lost_end(struct source *s, float *dst, size_t n)
{
    uint64_t missing = atomic_load_explicit(&s->n_captured, memory_order_acquire) - s->n_read;

    n = (size_t)(missing < n ? missing : n);
    memset(dst, 0, n * (size_t)s->channels * sizeof(float));
    return n;
}

size_t source_read(struct source *s, float *dst, size_t n_ticks)
{
    // Asked first: what was written before the end is then visible.
    int state = atomic_load_explicit(&s->state, memory_order_acquire);
    size_t done = 0;

    while (done < n_ticks) {
        float *at = dst + done * (size_t)s->channels;
        size_t n = read_piece(s, at, n_ticks - done);
        if (n == 0 && state != SOURCE_RUNNING)
            n = read_lost_end(s, at, n_ticks - done);
        if (n == 0)
            break;
        s->n_read += n;
        done += n;
    }
    return done;
}

static int source_is_running(const struct source *s)
{
    return atomic_load_explicit(&s->state, memory_order_acquire) == SOURCE_RUNNING;
}

static int source_has_ticks(const struct source *s)
{
    return s->gap.n_ticks > 0 || ring_readable(&s->ticks) > 0 || ring_readable(&s->gap_ring) > 0;
}

int source_ended(struct source *s)
{
    if (s->kind->look)
        s->kind->look(s);
    return !source_is_running(s) &&
           atomic_load_explicit(&s->n_captured, memory_order_acquire) == s->n_read;
}

int source_wait(struct source *s, int ms)
{
    // The callback must not wake anybody, so the worker looks: often enough to add little
    // to the latency, and much more often when the feeder waits for nobody.
    double pause = s->fast ? 0.0002 : 0.002;
    double until = clock_monotonic() + ms * 0.001;

    for (;;) {
        if (source_has_ticks(s))
            return 1;
        if (source_ended(s))
            return 0;
        double left = until - clock_monotonic();
        if (left <= 0.0 || !source_is_running(s))
            return 1;
        sleep_seconds(left < pause ? left : pause);
    }
}

int source_failed(const struct source *s, struct error *err)
{
    if (atomic_load_explicit(&s->state, memory_order_acquire) != SOURCE_FAILED)
        return 0;
    *err = s->failure;
    return 1;
}

/* The clock's latest reading; 0 when there is none. */
static int clock_read(const struct capture_clock *c, uint64_t *tick, double *seconds)
{
    // The data are stored with release and loaded with acquire: whoever sees a new one also
    // sees the odd sequence that was stored before it.
    for (;;) {
        unsigned before = atomic_load_explicit(&c->sequence, memory_order_acquire);
        *tick = atomic_load_explicit(&c->tick, memory_order_acquire);
        *seconds = atomic_load_explicit(&c->seconds, memory_order_acquire);
        unsigned after = atomic_load_explicit(&c->sequence, memory_order_relaxed);
        if (before == after && before % 2 == 0)
            return before != 0;
    }
}

/* Unix time less the stream's clock; NAN when that is no clock we can use: the
 * last reading is of now or of the last seconds, or it is from another clock. */
static double clock_offset(struct source *s, double last_reading)
{
    if (source_is_running(s)) {
        double now = s->kind->clock_seconds(s);
        int fits = now - last_reading > -1.0 && now - last_reading < 10.0;
        s->clock_offset = fits ? clock_wall() - now : (double)NAN;
        s->clock_is_known = 1;
    }
    return s->clock_is_known ? s->clock_offset : (double)NAN;
}

double source_wall(struct source *s, int64_t tick)
{
    double nominal = s->start_wall + (double)tick / s->rate_hz;
    double seconds, offset;
    uint64_t known;

    if (!s->kind->clock_seconds || !clock_read(&s->clock, &known, &seconds))
        return nominal;
    offset = clock_offset(s, seconds);
    if (isnan(offset))
        return nominal;
    return offset + seconds + (double)(tick - (int64_t)known) / s->rate_hz;
}

const char *source_name(const struct source *s)
{
    return s->name;
}

int source_rate_hz(const struct source *s)
{
    return s->rate_hz;
}

int source_channels(const struct source *s)
{
    return s->channels;
}

int source_is_live(const struct source *s)
{
    return s->kind == &source_device;
}

struct source_counts source_counts(const struct source *s)
{
    return (struct source_counts){
        .captured_ticks = (int64_t)atomic_load_explicit(&s->n_captured, memory_order_relaxed),
        .lost_ticks = (int64_t)atomic_load_explicit(&s->n_lost, memory_order_relaxed),
        .overruns = atomic_load_explicit(&s->n_overruns, memory_order_relaxed),
        .bad_samples = (int64_t)atomic_load_explicit(&s->n_bad, memory_order_relaxed),
    };
}
