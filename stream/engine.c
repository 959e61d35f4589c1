// SPDX-License-Identifier: MIT
#include "stream/engine.h"

#include "model/clock.h"
#include "stream/frame.h"
#include "stream/resample.h"
#include "stream/stepper.h"
#include "stream/track.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { READ_TICKS = 4096 };

struct engine {
    struct engine_settings settings;
    struct resampler resampler;
    struct stepper stepper;
    struct tracker tracker;
    struct track_output output;
    float *ticks;   // [READ_TICKS,channels]
    float *vectors; // [block rows,EMBEDDING]
    struct arena arena;
    float load;   // smoothed
    int64_t n_blocks;
    double compute_seconds;
    pthread_t thread;
    int has_thread, started, realtime_refused;
    atomic_int ended;
};

static void place(struct engine *e)
{
    size_t channels = (size_t)source_channels(e->settings.source);

    e->ticks = arena_floats(&e->arena, READ_TICKS * channels);
    e->vectors = arena_floats(&e->arena, (size_t)e->settings.model->reach.block_frames *
                                             (size_t)e->settings.model->config.readout.embedding);
}

static void push_report(void *user, const struct report *r)
{
    struct engine *e = user;

    if (e->settings.on_report)
        e->settings.on_report(e->settings.user, r);
    sinks_push(e->settings.sinks, r);
}

static int open_tracker(struct engine *e, struct error *err)
{
    const struct model *m = e->settings.model;
    struct tracker_settings t = e->settings.track;

    t.n_local = m->config.readout.n_speakers;
    t.embedding = t.local ? 0 : m->config.readout.embedding;
    t.embedding_late = t.local ? 0 : m->config.readout.embedding_projection;
    t.calibrated = m->config.readout.embedding_threshold > 0.0f;
    if (!(t.threshold > 0.0f))
        t.threshold = t.calibrated ? m->config.readout.embedding_threshold
                                   : tracker_defaults().threshold;
    t.block_frames = m->reach.block_frames;
    t.context_frames = stepper_memory_frames(&e->stepper);
    e->output = (struct track_output){push_report, e};
    if (tracker_open(&e->tracker, &t, err))
        return -1;
    return e->settings.known ? tracker_enroll(&e->tracker, e->settings.known, err) : 0;
}

static int engine_fill(struct engine *e, struct error *err)
{
    const struct engine_settings *s = &e->settings;
    const struct readout_config *readout = &s->model->config.readout;

    if (!readout->present)
        return fail(err, "%s: a bare WavLM without a readout cannot tell speakers; it works with "
                         "`antiphon features`", s->model_name);
    if (resampler_open(&e->resampler, source_rate_hz(s->source), source_channels(s->source),
                       s->channel, err) ||
        stepper_open(&e->stepper, s->model, s->steady_seconds,
                     resampler_room(&e->resampler, READ_TICKS), err) ||
        open_tracker(e, err))
        return -1;
    place(e);
    if (arena_commit(&e->arena, err))
        return -1;
    place(e);
    return 0;
}

int engine_open(struct engine **out, const struct engine_settings *settings, struct error *err)
{
    struct engine *e = calloc(1, sizeof(*e));

    *out = NULL;
    if (!e)
        return fail(err, "out of memory");
    e->settings = *settings;
    if (engine_fill(e, err)) {
        engine_close(&e);
        return -1;
    }
    *out = e;
    return 0;
}

/* When a 16 kHz sample was captured; a file that runs ahead of its own pace
 * plays now. */
static double sample_wall(const struct engine *e, int64_t sample)
{
    int rate = source_rate_hz(e->settings.source);
    double wall = source_wall(e->settings.source, sample * rate / FRAME_HZ), now = clock_wall();

    return wall < now ? wall : now;
}

static float level_dbfs(const float *x, int n)
{
    double squares = 0.0;

    for (int i = 0; i < n; i++)
        squares += (double)x[i] * (double)x[i];
    double level = n > 0 && squares > 0.0 ? 10.0 * log10(squares / n) : -120.0;
    return level > -120.0 ? (float)level : -120.0f;
}

/* The name of a source as RTTM's file field: of a file its last part without the
 * extension; no blanks. */
static void recording_name(char *dst, size_t size, const char *name, int is_file)
{
    const char *slash = is_file ? strrchr(name, '/') : NULL;
    char *dot;

    snprintf(dst, size, "%s", slash && slash[1] ? slash + 1 : name);
    dot = strrchr(dst, '.');
    if (is_file && dot && dot > dst)
        *dot = 0;
    for (char *c = dst; *c; c++)
        *c = (unsigned char)*c <= ' ' ? '_' : *c;
}

static void tell_start(struct engine *e)
{
    const struct engine_settings *s = &e->settings;
    struct report r = {.type = REPORT_START};

    r.start.rate_hz = FRAME_HZ;
    r.start.block_ms = s->model->reach.block_frames * 20;
    r.start.window_ms = reach_window_ms(&s->model->reach);
    r.start.wall = sample_wall(e, 0);
    snprintf(r.start.model, sizeof(r.start.model), "%s", s->model_name);
    snprintf(r.start.source, sizeof(r.start.source), "%s", source_name(s->source));
    recording_name(r.start.recording, sizeof(r.start.recording), source_name(s->source),
                   !source_is_live(s->source));
    control_set_hello(s->control, r.start.rate_hz, r.start.block_ms);
    push_report(e, &r);
}

static void obey(struct engine *e)
{
    int64_t now = e->stepper.chunk.at.frames;
    struct report hello = {.type = REPORT_HELLO, .time = frame_begin_seconds(now)};
    struct control_command c;

    while (control_next(e->settings.control, &c)) {
        switch (c.type) {
        case CONTROL_NAME:
            tracker_rename(&e->tracker, c.id, c.name, now, &e->output);
            break;
        case CONTROL_RESET: tracker_reset(&e->tracker, now, &e->output); break;
        case CONTROL_PING: push_report(e, &hello); break;
        case CONTROL_THRESHOLD: decoder_set_onset(&e->tracker.decoder, c.value); break;
        }
    }
}

/* What the report says of time: after the model has run. */
static void fill_times(struct engine *e, struct report_block *r, const struct block *b,
                       double seconds)
{
    struct source_counts counts = source_counts(e->settings.source);
    double audio = (double)b->own * FRAME_SECONDS, late;
    float share = (float)(seconds / audio), weight = (float)(audio / 5.0); // over some 5 s

    weight = e->n_blocks ? (weight < 1.0f ? weight : 1.0f) : 1.0f;
    e->load += weight * (share - e->load);
    r->load = e->load;
    late = clock_wall() - sample_wall(e, e->stepper.chunk.at.samples + b->own_samples);
    r->latency_ms = late > seconds ? (float)(late * 1e3) : (float)(seconds * 1e3);
    r->dropped_samples = counts.lost_ticks * FRAME_HZ / source_rate_hz(e->settings.source);
    r->overruns = counts.overruns;
}

static void run_step(struct engine *e, struct step *step)
{
    const struct block *b = &step->block;
    struct report r = {.type = REPORT_BLOCK};
    double begin = clock_monotonic();

    obey(e);
    r.block.number = e->n_blocks;
    r.block.start = frame_begin_seconds(b->frame);
    r.block.end = frame_begin_seconds(b->frame + b->own);
    r.block.wall = sample_wall(e, e->stepper.chunk.at.samples);
    r.block.level_dbfs = level_dbfs(step->samples, b->own_samples);
    r.time = r.block.end;
    stepper_run(&e->stepper, step);
    if (e->tracker.settings.embedding)
        model_vectors(e->vectors, e->settings.model, step->traits, b->own);
    tracker_block(&e->tracker, &r.block, step->prob, e->vectors, b->frame, b->own, &e->output);

    double seconds = clock_monotonic() - begin;
    e->compute_seconds += seconds;
    fill_times(e, &r.block, b, seconds);
    push_report(e, &r);
    e->n_blocks++;
}

static void run_steps(struct engine *e, int ended)
{
    struct step step;

    while (stepper_next(&e->stepper, &step, ended)) {
        run_step(e, &step);
        stepper_done(&e->stepper, &step);
    }
}

static void ask_for_realtime(struct engine *e)
{
    struct sched_param param = {.sched_priority = 20};

    if (!e->settings.realtime)
        return;
    e->realtime_refused = pthread_setschedparam(pthread_self(), SCHED_FIFO, &param);
    if (mlockall(MCL_CURRENT | MCL_FUTURE) && !e->realtime_refused)
        e->realtime_refused = -1;
}

static void *run(void *user)
{
    struct engine *e = user;
    struct chunk *chunk = &e->stepper.chunk;
    struct report end = {.type = REPORT_END};
    size_t n;

    ask_for_realtime(e);
    tell_start(e);
    while (source_wait(e->settings.source, 100)) {
        while ((n = source_read(e->settings.source, e->ticks, READ_TICKS)) > 0) {
            chunk_put(chunk, resampler_process(&e->resampler, chunk_tail(chunk), e->ticks, n));
            run_steps(e, 0);
        }
    }
    chunk_put(chunk, resampler_finish(&e->resampler, chunk_tail(chunk)));
    run_steps(e, 1);
    tracker_finish(&e->tracker, chunk->at.frames, &e->output);
    end.time = frame_begin_seconds(chunk->at.frames);
    push_report(e, &end);
    atomic_store_explicit(&e->ended, 1, memory_order_release);
    return NULL;
}

int engine_start(struct engine *e, struct error *err)
{
    if (source_start(e->settings.source, err))
        return -1;
    e->started = 1;
    if (pthread_create(&e->thread, NULL, run, e)) {
        source_stop(e->settings.source);
        return fail(err, "cannot start a thread");
    }
    e->has_thread = 1;
    return 0;
}

int engine_ended(const struct engine *e)
{
    return atomic_load_explicit(&e->ended, memory_order_acquire);
}

void engine_stop(struct engine *e)
{
    if (e->started)
        source_stop(e->settings.source);
    if (e->has_thread)
        pthread_join(e->thread, NULL);
    e->has_thread = 0;
}

void engine_close(struct engine **e)
{
    if (!*e)
        return;
    engine_stop(*e);
    tracker_close(&(*e)->tracker);
    stepper_close(&(*e)->stepper);
    resampler_close(&(*e)->resampler);
    arena_release(&(*e)->arena);
    free(*e);
    *e = NULL;
}

int engine_speakers(const struct engine *e, struct speakers *known, struct error *err)
{
    return tracker_export(&e->tracker, known, err);
}

struct engine_summary engine_summary(const struct engine *e)
{
    return (struct engine_summary){
        .audio_seconds = (double)e->stepper.chunk.at.samples / FRAME_HZ,
        .compute_seconds = e->compute_seconds,
        .n_blocks = e->n_blocks,
        .realtime_refused = e->realtime_refused,
    };
}
