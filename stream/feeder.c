// SPDX-License-Identifier: MIT
/* feeder.c - the thread behind a file or standard input. It waits where a
 * device would lose: for its hour to come, and for room in the ring. */
#include "stream/source_kind.h"

#include "model/clock.h"

#include <signal.h>
#include <string.h>

static int is_stopping(struct source *s)
{
    return atomic_load_explicit(&s->stopping, memory_order_acquire);
}

/* Ticks of a file exist when a device would have captured the last of them.
 * The schedule stands from the start: who was held up catches up. */
static void feeder_keep_pace(struct source *s, size_t n_ticks)
{
    double due = s->start_monotonic + (double)(s->n_written + n_ticks) / s->rate_hz;
    double left;

    while (!is_stopping(s) && (left = due - clock_monotonic()) > 0.0)
        sleep_seconds(left < 0.05 ? left : 0.05);
}

static void feeder_write(struct source *s, const float *ticks, size_t n_ticks)
{
    while (n_ticks > 0 && !is_stopping(s)) {
        size_t n = ring_write(&s->ticks, ticks, n_ticks);
        s->n_written += n;
        atomic_fetch_add_explicit(&s->n_captured, n, memory_order_release);
        ticks += n * (size_t)s->channels;
        n_ticks -= n;
        if (n_ticks > 0)
            sleep_seconds(s->fast ? 0.0002 : 0.002);
    }
}

static void *feeder_run(void *user)
{
    struct source *s = user;
    enum source_state end = SOURCE_ENDED;

    while (!is_stopping(s)) {
        long n = s->kind->pull(s, s->feed, s->feed_ticks, &s->failure);
        if (n < 0)
            end = SOURCE_FAILED;
        if (n <= 0)
            break;
        if (!s->fast)
            feeder_keep_pace(s, (size_t)n);
        feeder_write(s, s->feed, (size_t)n);
    }
    source_finish(s, end);
    return NULL;
}

int feeder_start(struct source *s, struct error *err)
{
    sigset_t all, before;

    // Signals are main's affair.
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&s->feeder, NULL, feeder_run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0)
        return fail(err, "%s: no thread to read it: %s", s->name, strerror(code));
    s->feeder_runs = 1;
    return 0;
}

void feeder_stop(struct source *s)
{
    if (!s->feeder_runs)
        return;
    atomic_store_explicit(&s->stopping, 1, memory_order_release);
    pthread_join(s->feeder, NULL);
    s->feeder_runs = 0;
}
