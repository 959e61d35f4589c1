// SPDX-License-Identifier: MIT
/* source_file.c - a feeder thread that plays a file, by libsndfile. */
#include "stream/audio_file.h"
#include "stream/source_kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct file {
    SNDFILE *sndfile;
    float *ticks;
    size_t n_ticks; // of a chunk: 10 ms
};

static int file_open(struct source *s, const struct source_settings *settings, struct error *err)
{
    struct file *f = calloc(1, sizeof(*f));
    SF_INFO info;

    s->own = f;
    if (!f)
        return fail(err, "out of memory");
    snprintf(s->name, sizeof(s->name), "%s", settings->input);
    f->sndfile = audio_file_open(&info, settings->input, err);
    if (!f->sndfile)
        return -1;
    s->rate_hz = info.samplerate;
    s->channels = info.channels;
    f->n_ticks = (size_t)info.samplerate / 100;
    f->ticks = malloc(f->n_ticks * (size_t)info.channels * sizeof(float));
    return f->ticks ? 0 : fail(err, "out of memory");
}

/* Sleeps until tick is due, counted from start. */
static void keep_pace(const struct timespec *start, int64_t tick, int rate_hz)
{
    struct timespec due = *start;
    int64_t ns = due.tv_nsec + tick % rate_hz * 1000000000 / rate_hz;

    due.tv_sec += (time_t)(tick / rate_hz + ns / 1000000000);
    due.tv_nsec = (long)(ns % 1000000000);
#ifdef __linux__
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    double wait = (double)(due.tv_sec - now.tv_sec) + 1e-9 * (double)(due.tv_nsec - now.tv_nsec);
    if (wait > 0.0)
        nanosleep(&(struct timespec){(time_t)wait, (long)((wait - (double)(time_t)wait) * 1e9)},
                  NULL);
#endif
}

static void *file_feed(void *user)
{
    struct source *s = user;
    struct file *f = s->own;
    struct timespec start;
    int64_t tick = 0;
    sf_count_t n;

    clock_gettime(CLOCK_MONOTONIC, &start);
    while ((n = sf_readf_float(f->sndfile, f->ticks, (sf_count_t)f->n_ticks)) > 0) {
        tick += n;
        if (!s->fast) // a chunk is heard when its last tick has been played
            keep_pace(&start, tick, s->rate_hz);
        if (source_feed(s, f->ticks, (size_t)n))
            break;
    }
    if (n == 0 && sf_error(f->sndfile)) {
        struct error err;
        fail(&err, "%s: broke off after %.1f s: %s", s->name, (double)tick / s->rate_hz,
             sf_strerror(f->sndfile));
        source_fail(s, &err);
    }
    atomic_store_explicit(&s->ended, 1, memory_order_release);
    return NULL;
}

static int file_start(struct source *s, struct error *err)
{
    if (pthread_create(&s->thread, NULL, file_feed, s))
        return fail(err, "cannot start a thread");
    s->has_thread = 1;
    return 0;
}

static void file_stop(struct source *s)
{
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    s->has_thread = 0;
}

static void file_close(struct source *s)
{
    struct file *f = s->own;

    if (!f)
        return;
    if (f->sndfile)
        sf_close(f->sndfile);
    free(f->ticks);
    free(f);
}

const struct source_kind source_kind_file = {0, file_open, file_start, file_stop, file_close};
