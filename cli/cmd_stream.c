// SPDX-License-Identifier: MIT
/* cmd_stream.c - `stream`: live diarization, from the options to the last line. */
#include "cli/command.h"
#include "cli/load.h"
#include "cli/options.h"
#include "model/op.h"
#include "stream/engine.h"
#include "stream/lines.h"
#include "stream/smooth.h"
#include "stream/view.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct usage usage = {
    "",
    "Says who is speaking, as it happens. With no option: the default microphone, the\n"
    "built-in model and a live view; where stdout is no terminal, a line an event.\n\n"
    "  antiphon stream\n"
    "  antiphon stream --device USB --osc 127.0.0.1:9000 --rttm evening.rttm\n"
    "  antiphon stream --input talk.wav --fast --rttm -\n"
    "  arecord -f S16_LE -r 16000 | antiphon stream --input - --jsonl -",
};

struct arguments {
    struct source_settings source;
    struct tracker_settings track;
    const char *model, *rttm, *jsonl, *speakers, *save_speakers;
    const char **osc, **labels; // ended by NULL
    int osc_port, view, channel, threads, realtime;
    struct live_options live;
    double onset, offset, threshold, steady;
};

/* Everything that is open while the stream runs; zeroed, it can be closed. */
struct session {
    struct loaded loaded;
    struct source *source;
    struct sinks sinks;
    struct sink *tap;
    struct control *control;
    struct engine *engine;
    struct view *view;
    struct speakers known; // from --speakers
    struct lines lines;
    int quiet;      // stdout belongs to a sink
    int paced;      // the audio comes at its own pace
    int told_slow;
    int to_the_end; // nobody stopped it
    struct error said; // last on stderr
};

static volatile sig_atomic_t interrupted; // a handler has no other way

static void on_signal(int number)
{
    interrupted = number;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

static int check_arguments(struct arguments *a, struct error *err)
{
    if (live_options_check(&a->live, err))
        return -1;
    if (!(a->onset > 0.0 && a->onset < 1.0))
        return fail(err, "--onset %g: a probability between 0 and 1", a->onset);
    a->offset = a->offset < 0.0 ? a->onset : a->offset;
    if (!(a->offset > 0.0 && a->offset <= a->onset))
        return fail(err, "--offset %g: a probability above 0 and at most the onset, %g", a->offset,
                    a->onset);
    if (!(a->track.decode.min_on_seconds >= 0.0 && a->track.decode.min_on_seconds <= 60.0) ||
        !(a->track.decode.min_off_seconds >= 0.0 && a->track.decode.min_off_seconds <= 60.0))
        return fail(err, "--min-on and --min-off: 0 to 60 seconds");
    if (!(a->steady >= 0.0 && a->steady <= 60.0))
        return fail(err, "--steady %g: 0 to 60 seconds", a->steady);
    if (!isnan(a->threshold) && !(a->threshold > 0.0 && a->threshold <= 2.0))
        return fail(err, "--threshold %g: a cosine distance above 0 and at most 2", a->threshold);
    if (!(a->track.min_speech_seconds >= 0.2 && a->track.min_speech_seconds <= 60.0))
        return fail(err, "--min-speech %g: 0.2 to 60 seconds", a->track.min_speech_seconds);
    if (a->track.max_speakers < 0 || a->track.max_speakers > REPORT_MAX_SPEAKERS)
        return fail(err, "--max-speakers %d: 1 to %d, or 0: no limit but that",
                    a->track.max_speakers, REPORT_MAX_SPEAKERS);
    if (a->track.local && (a->speakers || a->save_speakers))
        return fail(err, "--local and --speakers: one or the other");
    if (a->threads < 1 || a->threads > 64)
        return fail(err, "--threads %d: should be 1 to 64", a->threads);
    if (a->source.input && a->source.device)
        return fail(err, "--device and --input: one or the other");
    if (a->rttm && a->jsonl && !strcmp(a->rttm, "-") && !strcmp(a->jsonl, "-"))
        return fail(err, "--rttm - and --jsonl -: stdout can only be one of them");
    a->track.decode.onset = (float)a->onset;
    a->track.decode.offset = (float)a->offset;
    a->track.threshold = isnan(a->threshold) ? 0.0f : (float)a->threshold;
    return 0;
}

static int read_speakers(struct session *s, const struct arguments *a, struct error *err)
{
    const struct model *m = &s->loaded.model;

    speakers_init(&s->known, model_fingerprint(m), m->config.readout.embedding);
    if ((a->speakers || a->save_speakers) && !m->config.readout.embedding)
        return fail(err, "%s: a model without speaker vectors knows nobody again",
                    s->loaded.name);
    return a->speakers ? speakers_read(&s->known, a->speakers, err) : 0;
}

/* Whoever has a name now: enrolled, or named over OSC. */
static int save_speakers(const struct session *s, const char *path, struct error *err)
{
    struct speakers named;
    int status;

    speakers_init(&named, s->known.model, s->known.width);
    status = engine_speakers(s->engine, &named, err) || speakers_write(&named, path, err);
    speakers_release(&named);
    return status ? -1 : 0;
}

static int add_outputs(struct session *s, const struct arguments *a, struct error *err)
{
    if (a->rttm && sinks_add(&s->sinks, &sink_rttm, a->rttm, err))
        return -1;
    if (a->jsonl && sinks_add(&s->sinks, &sink_jsonl, a->jsonl, err))
        return -1;
    for (int i = 0; a->labels && a->labels[i]; i++) {
        if (sinks_add(&s->sinks, &sink_labels, a->labels[i], err))
            return -1;
    }
    for (int i = 0; a->osc && a->osc[i]; i++) {
        if (sinks_add(&s->sinks, &sink_osc, a->osc[i], err))
            return -1;
    }
    if (sinks_add(&s->sinks, NULL, NULL, err))
        return -1;
    s->tap = s->sinks.list[s->sinks.n - 1];
    s->quiet = (a->rttm && !strcmp(a->rttm, "-")) || (a->jsonl && !strcmp(a->jsonl, "-"));
    s->paced = !a->source.fast;
    s->sinks.wait = a->source.fast || a->source.input != NULL; // nothing is lost by waiting
    return 0;
}

static int open_session(struct session *s, struct arguments *a, struct error *err)
{
    struct engine_settings settings = {0};

    if (check_arguments(a, err))
        return STATUS_MISUSED;
    a->source.channel = a->channel; // the source refuses one it has not
    if (load_live_model(&s->loaded, a->model, NULL, &a->live, err) || read_speakers(s, a, err) ||
        source_open(&s->source, &a->source, err) ||
        (a->osc_port && control_open(&s->control, a->osc_port, err)))
        return STATUS_FAILED;
    op_set_threads(a->threads);
    op_warm_up();
    settings.model = &s->loaded.model;
    settings.steady_seconds = a->steady;
    settings.source = s->source;
    settings.sinks = &s->sinks;
    settings.control = s->control;
    settings.track = a->track;
    settings.known = &s->known;
    settings.channel = a->channel;
    settings.model_name = s->loaded.name;
    settings.realtime = a->realtime;
    if (engine_open(&s->engine, &settings, err) || add_outputs(s, a, err)) // files last
        return STATUS_FAILED;
    if (s->loaded.model.config.live == LIVE_WINDOW && !s->loaded.model.reach.window_frames)
        fputs("antiphon stream: this model was made for whole windows; block by block it hears "
              "worse\n", stderr);
    if ((a->view || (isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && !a->source.fast)) &&
        !s->quiet && view_open(&s->view, err))
        return STATUS_FAILED;
    s->lines.out = stdout;
    return STATUS_DONE;
}

static void say(struct session *s, const char *text)
{
    if (s->view)
        view_message(s->view, text);
    else
        fprintf(stderr, "antiphon stream: %s\n", text);
}

/* Once, if computing takes longer than the audio: what to do. */
static void tell_if_slow(struct session *s, const struct report *r)
{
    const struct reach *reach = &s->loaded.model.reach;
    double takes_ms = (double)r->block.load * reach->block_frames * 20.0;
    char advice[64], text[256];

    if (s->told_slow || !s->paced || r->type != REPORT_BLOCK || r->block.load <= 1.0f ||
        r->block.end < 2.0) // the first blocks warm up
        return;
    s->told_slow = 1;
    int step_ms = (int)ceil(takes_ms * 1.2 / 100.0) * 100; // some room
    if (!reach->window_frames)
        snprintf(advice, sizeof(advice), "a longer --block");
    else if (step_ms <= (reach->window_frames - reach->right_frames) * 20)
        snprintf(advice, sizeof(advice), "--step %d", step_ms);
    else
        snprintf(advice, sizeof(advice), "a shorter --window");
    snprintf(text, sizeof(text), "cannot keep up: %d ms of audio take %.0f ms to compute; try %s, "
             "more --threads or a smaller (pruned) model", reach->block_frames * 20, takes_ms,
             advice);
    say(s, text);
}

/* What has come since the last look. Returns -1 if stdout is gone. */
static int show(struct session *s)
{
    struct report r;
    struct error trouble;
    int status = 0;

    while (sink_take(s->tap, &r)) {
        tell_if_slow(s, &r);
        if (s->view)
            view_take(s->view, &r);
        else if (!s->quiet && status == 0)
            status = lines_take(&s->lines, &r);
    }
    while (sinks_next_trouble(&s->sinks, &trouble)) {
        say(s, trouble.text);
        if (!s->view)
            s->said = trouble;
    }
    return status;
}

/* Until the source ends, a signal comes or q is pressed. */
static void run_until_end(struct session *s)
{
    struct timespec nap = {0, 10000000};

    while (!interrupted) {
        int ended = engine_ended(s->engine);
        if (show(s) || (s->view && view_update(s->view)))
            break;
        if (ended) {
            s->to_the_end = 1;
            break;
        }
        nanosleep(&nap, NULL);
    }
}

static void print_summary(const struct session *s)
{
    struct engine_summary sum = engine_summary(s->engine);
    struct source_counts counts = source_counts(s->source);

    fprintf(stderr, "%.1f s of audio, computed in %.2f s (real-time factor %.3f)\n",
            sum.audio_seconds, sum.compute_seconds,
            sum.audio_seconds > 0.0 ? sum.compute_seconds / sum.audio_seconds : 0.0);
    if (counts.lost_ticks || counts.overruns)
        fprintf(stderr, "%lld ticks lost in %d overruns\n", (long long)counts.lost_ticks,
                counts.overruns);
    if (counts.bad_samples)
        fprintf(stderr, "%lld samples were NaN or infinite, taken as 0\n",
                (long long)counts.bad_samples);
    if (s->control && control_ignored(s->control))
        fprintf(stderr, "%d OSC messages ignored\n", control_ignored(s->control));
    if (sum.realtime_refused)
        fputs("--realtime was refused by the system; try `ulimit -r 20 -l unlimited`\n", stderr);
}

static int close_session(struct session *s, const struct arguments *a, int status,
                         struct error *err)
{
    struct error failure;

    sinks_hurry(&s->sinks); // outputs that are stuck do not hold the end up
    if (s->engine)
        engine_stop(s->engine);
    if (s->tap && status == STATUS_DONE && show(s))
        status = STATUS_FAILED; // main says why stdout is gone
    view_close(&s->view);
    if (s->engine && status == STATUS_DONE && engine_summary(s->engine).n_blocks)
        print_summary(s);
    if (status == STATUS_DONE && source_failed(s->source, err))
        status = STATUS_FAILED;
    else if (status == STATUS_DONE && s->to_the_end && !engine_summary(s->engine).n_blocks) {
        fail(err, "%s: too short: not even one frame (400 samples at 16 kHz)",
             source_name(s->source));
        status = STATUS_FAILED;
    }
    if (sinks_close(&s->sinks, &failure) && status == STATUS_DONE) {
        if (strcmp(failure.text, s->said.text)) // else it stands on stderr already
            *err = failure;
        status = STATUS_FAILED;
    }
    if (s->engine && status == STATUS_DONE && a->save_speakers &&
        save_speakers(s, a->save_speakers, err))
        status = STATUS_FAILED;
    engine_close(&s->engine);
    speakers_release(&s->known);
    control_close(&s->control);
    source_close(&s->source);
    unload_model(&s->loaded);
    return status;
}

static int stream(struct arguments *a, struct error *err)
{
    struct session s = {0};
    int status = open_session(&s, a, err);

    if (status == STATUS_DONE) {
        catch_signals();
        if (sinks_start(&s.sinks, err) || engine_start(s.engine, err))
            status = STATUS_FAILED;
        else
            run_until_end(&s);
    }
    return close_session(&s, a, status, err);
}

int cmd_stream(int argc, const char **argv, struct error *err)
{
    struct arguments a = {.source = source_defaults(), .track = tracker_defaults(), .threads = 1,
                          .live = LIVE_OPTIONS_NONE, .onset = 0.5, .offset = -1.0,
                          .threshold = NAN, .steady = SMOOTH_SECONDS};
    const struct poptOption table[] = {
        {"device", 'd', POPT_ARG_STRING, &a.source.device, 0, "number, name or part of it", "NAME"},
        {"channel", 0, POPT_ARG_INT, &a.channel, 0, "only this channel [mean of all]", "N"},
        {"input", 'i', POPT_ARG_STRING, &a.source.input, 0, "play a file; -: PCM on stdin", "FILE"},
        {"fast", 0, POPT_ARG_NONE, &a.source.fast, 0, "as fast as it goes", NULL},
        {"rate", 0, POPT_ARG_INT, &a.source.rate_hz, 0, "of stdin [16000]", "HZ"},
        {"format", 0, POPT_ARG_STRING, &a.source.format, 0,
         "of stdin: u8 s16le s24le s32le f32le f64le [s16le]", "NAME"},
        {"channels", 0, POPT_ARG_INT, &a.source.channels, 0, "of stdin [1]", "N"},
        {"model", 'm', POPT_ARG_STRING, &a.model, 0, "model file [built-in]", "FILE"},
        LIVE_OPTIONS(a.live),
        HORIZON_OPTION(a.live.horizon_seconds),
        {"steady", 0, POPT_ARG_DOUBLE, &a.steady, 0,
         "how long it stays the same who speaks, in the mean; 0: as the model says, frame by frame [0.8]",
         "SEC"},
        {"onset", 0, POPT_ARG_DOUBLE, &a.onset, 0, "a turn begins above [0.5]", "P"},
        {"offset", 0, POPT_ARG_DOUBLE, &a.offset, 0, "and ends below [the onset]", "P"},
        {"min-on", 0, POPT_ARG_DOUBLE, &a.track.decode.min_on_seconds, 0,
         "shorter turns are not told [0]", "SEC"},
        {"min-off", 0, POPT_ARG_DOUBLE, &a.track.decode.min_off_seconds, 0,
         "shorter gaps do not end a turn [0]", "SEC"},
        {"speakers", 0, POPT_ARG_STRING, &a.speakers, 0,
         "know these people, see `antiphon help enroll`", "FILE"},
        {"save-speakers", 0, POPT_ARG_STRING, &a.save_speakers, 0,
         "at the end, write whoever has a name", "FILE"},
        {"threshold", 0, POPT_ARG_DOUBLE, &a.threshold, 0,
         "cosine distance beyond which a voice is another's [the model's]", "D"},
        {"min-speech", 0, POPT_ARG_DOUBLE, &a.track.min_speech_seconds, 0,
         "clean speech before a voice is a new speaker [0.4]", "SEC"},
        {"local", 0, POPT_ARG_NONE, &a.track.local, 0,
         "speakers are the model's local ones, forgotten after its context", NULL},
        {"max-speakers", 0, POPT_ARG_INT, &a.track.max_speakers, 0,
         "lasting ones [256]", "N"},
        {"osc", 0, POPT_ARG_ARGV, &a.osc, 0, "send OSC there, e.g. 127.0.0.1:9000; repeatable",
         "URL"},
        {"osc-port", 0, POPT_ARG_INT, &a.osc_port, 0, "listen for control messages", "PORT"},
        {"rttm", 0, POPT_ARG_STRING, &a.rttm, 0, "write turns; -: stdout", "FILE"},
        {"jsonl", 0, POPT_ARG_STRING, &a.jsonl, 0, "write events as JSON lines; -: stdout", "FILE"},
        {"labels", 0, POPT_ARG_ARGV, &a.labels, 0,
         "write turns as .txt (Audacity), .vtt or .TextGrid; repeatable", "FILE"},
        {"view", 0, POPT_ARG_NONE, &a.view, 0, "live view [on a terminal]", NULL},
        {"threads", 0, POPT_ARG_INT, &a.threads, 0, "for the matrix products [1]", "N"},
        {"realtime", 0, POPT_ARG_NONE, &a.realtime, 0, "real-time priority, locked memory", NULL},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped)
            status = STATUS_DONE;
        else if (options_expect(&o, 0, 0, &usage, err) == 0)
            status = stream(&a, err);
    }
    options_close(&o);
    return status;
}
