// SPDX-License-Identifier: MIT
#include "stream/online.h"

#include "stream/frame.h"

#include <time.h>

/* What the worker tells, gathered on its thread. */
struct listener {
    struct told *told;
    atomic_llong *samples;
    int64_t heard;    // samples
    struct error failure;
    int failed;
};

/* Thread: the engine's worker. */
static void take(void *user, const struct report *r)
{
    struct listener *l = user;

    if (r->type == REPORT_BLOCK) {
        int64_t heard = (int64_t)(r->block.end * FRAME_HZ);
        if (l->samples)
            atomic_fetch_add_explicit(l->samples, heard - l->heard, memory_order_relaxed);
        l->heard = heard;
    }
    if (!l->failed && told_take(l->told, r, &l->failure))
        l->failed = 1;
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

int online_run(struct told *told, const char *path, const struct engine_settings *settings,
               atomic_llong *samples, struct error *err)
{
    struct source_settings source = source_defaults();
    struct engine_settings s = *settings;
    struct sinks none = {0};
    struct listener l = {.told = told, .samples = samples};
    int status;

    *told = (struct told){0};
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
        status = told_settle(told, err);
    if (status == 0)
        told_join_names(told);
    source_close(&s.source);
    return status;
}
