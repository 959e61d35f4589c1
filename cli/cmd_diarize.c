// SPDX-License-Identifier: MIT
/* cmd_diarize.c - `diarize`: files to turns, offline. */
#include "cli/command.h"
#include "cli/diarize_jobs.h"
#include "cli/diarize_output.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/speaker_network.h"
#include "model/op.h"
#include "stream/audio_file.h"
#include "stream/frame.h"
#include "stream/smooth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct usage usage = {
    "AUDIO...",
    "Says who spoke when in whole recordings: overlapping windows, each heard by the model\n"
    "alone, and one clustering of the speakers' vectors over all of them. RTTM to stdout,\n"
    "to a file (by its extension also .txt, .vtt or .TextGrid of one recording), or a file\n"
    "each into a folder.\n\n"
    "  antiphon diarize meeting.flac\n"
    "  antiphon diarize *.wav -o rttm/ --jobs 4\n"
    "  antiphon diarize talk.wav --num-speakers 2 -o talk.TextGrid\n"
    "  antiphon diarize talk.wav --speakers people.json\n"
    "  antiphon diarize talk.wav -m diarizen.safetensors --embedding resnet34.safetensors \\\n"
    "      --clustering vbx --plda folder/plda",
};

/* As they were given; NAN and -1: not at all. */
struct arguments {
    const char *output, *model, *clustering, *embedding, *plda, *compat, *speakers;
    int jobs, threads, channel, min_speakers, max_speakers, num_speakers, min_size;
    double threshold, window, step, min_on, min_off;
};

/* What is open while it runs. */
struct session {
    struct loaded loaded, live;
    struct speakers known;
    struct resnet network;
    struct plda plda;
    struct diarize_how how;
    struct diarize_jobs jobs;
};

enum { SPEAKERS_MAX = 1000, JOBS_MAX = 256 };

/* Of AHC by a model's own vectors, uncalibrated: best of 0.2 .. 1.4 and 1 .. 16 on meetings
 * simulated of eight speakers apart from training (two to six in each). */
static const double OWN_THRESHOLD = 0.7;
enum { OWN_MIN_SIZE = 6 };

static int check_speakers(struct arguments *a, struct error *err)
{
    if (a->num_speakers && (a->min_speakers || a->max_speakers))
        return fail(err, "--num-speakers says it all; leave out --min-speakers and "
                         "--max-speakers");
    if (a->min_speakers < 0 || a->min_speakers > SPEAKERS_MAX || a->max_speakers < 0 ||
        a->max_speakers > SPEAKERS_MAX || a->num_speakers < 0 || a->num_speakers > SPEAKERS_MAX)
        return fail(err, "--min-speakers, --max-speakers and --num-speakers: 1 to %d",
                    SPEAKERS_MAX);
    if (a->num_speakers)
        a->min_speakers = a->max_speakers = a->num_speakers;
    if (a->max_speakers && a->min_speakers > a->max_speakers)
        return fail(err, "--min-speakers %d is more than --max-speakers %d", a->min_speakers,
                    a->max_speakers);
    return 0;
}

static int check_online(const struct arguments *a, struct error *err)
{
    if (a->plda || a->embedding || a->compat || a->min_size >= 0 || a->min_speakers ||
        a->max_speakers || !isnan(a->window) || !isnan(a->step) || !isnan(a->threshold))
        return fail(err, "--clustering online is the live tracker, which has no windows and is "
                         "not told how many speak: only --speakers, --channel, --min-on "
                         "and --min-off go with it");
    return 0;
}

static int is_clustering(const struct arguments *a, const char *name)
{
    return a->clustering && !strcmp(a->clustering, name);
}

static int check_clustering(const struct arguments *a, struct error *err)
{
    const char *c = a->clustering;
    int ahc_only = a->min_size != -1 || !isnan(a->threshold);

    if (c && strcmp(c, "voices") && strcmp(c, "ahc") && strcmp(c, "vbx") && strcmp(c, "online"))
        return fail(err, "--clustering %.40s: should be voices, ahc, vbx or online", c);
    if (is_clustering(a, "vbx") && !a->plda)
        return fail(err, "--clustering vbx wants --plda FOLDER, the `plda` in a DiariZen model's "
                         "folder");
    if (!is_clustering(a, "vbx") && a->plda)
        return fail(err, "--plda only goes with --clustering vbx");
    if (is_clustering(a, "voices") && (a->embedding || a->compat || ahc_only))
        return fail(err, "--clustering voices is of the model's own calibrated vectors and has no "
                         "--threshold and no --min-size");
    return 0;
}

static int check_known(const struct arguments *a, struct error *err)
{
    if (a->speakers && (a->embedding || a->compat || is_clustering(a, "vbx")))
        return fail(err, "--speakers: people are known again by the model's own vectors; no "
                         "--embedding, no vbx and no --compat");
    return 0;
}

static int check_arguments(struct arguments *a, struct error *err)
{
    if (check_clustering(a, err))
        return -1;
    if (a->compat && strcmp(a->compat, "diarizen"))
        return fail(err, "--compat %.40s: should be diarizen", a->compat);
    if (a->jobs < 1 || a->jobs > JOBS_MAX)
        return fail(err, "--jobs %d: should be 1 to %d", a->jobs, JOBS_MAX);
    if (a->threads < 1 || a->threads > JOBS_MAX)
        return fail(err, "--threads %d: should be 1 to %d", a->threads, JOBS_MAX);
    if (!isnan(a->threshold) && !(a->threshold > 0.0 && a->threshold <= 2.0))
        return fail(err, "--threshold %g: a distance of unit vectors, above 0 and at most 2",
                    a->threshold);
    if (a->min_size != -1 && (a->min_size < 1 || a->min_size > 1000000))
        return fail(err, "--min-size %d: should be 1 to 1000000", a->min_size);
    if (!(a->min_on >= 0.0 && a->min_on <= 60.0) || !(a->min_off >= 0.0 && a->min_off <= 60.0))
        return fail(err, "--min-on and --min-off: 0 to 60 seconds");
    if (check_speakers(a, err) || check_known(a, err))
        return -1;
    return is_clustering(a, "online") ? check_online(a, err) : 0;
}

/* --- opening ------------------------------------------------------------ */

/* The length of a window: as asked for, else what the model was trained on, else
 * DiariZen's. */
static int choose_window(double *seconds, const struct arguments *a, struct error *err)
{
    struct checkpoint c;
    struct model_config *config;
    int status = 0;

    *seconds = a->compat ? 16.0 : a->window;
    if (!isnan(a->window))
        *seconds = a->window;
    if (!isnan(*seconds))
        return 0;
    config = calloc(1, sizeof(*config));
    if (!config)
        return fail(err, "out of memory");
    if (load_checkpoint(&c, a->model, err)) {
        free(config);
        return -1;
    }
    if (c.config && config_parse(config, c.config, err))
        status = fail_prefix(err, "%s: ", a->model ? a->model : BUILTIN_NAME);
    *seconds = config->readout.chunk_seconds >= 1.0 ? fmin(config->readout.chunk_seconds, 60.0) : 16.0;
    checkpoint_close(&c);
    free(config);
    return status;
}

/* How far apart a model's own vectors are cut: calibrated ones at the cosine distance that
 * they were calibrated for. */
static double own_threshold(float calibrated)
{
    return calibrated > 0.0f ? sqrt(2.0 * (double)calibrated) : OWN_THRESHOLD;
}

/* Calibrated vectors are clustered as voices if nothing else is asked for. */
static int choose_method(enum clustering_method *method, const struct session *s,
                         const struct arguments *a, struct error *err)
{
    int calibrated = s->loaded.model.config.readout.embedding_threshold > 0.0f && !a->embedding &&
                     !a->compat;

    if (is_clustering(a, "voices") && !calibrated)
        return fail(err, "%s: its vectors are not calibrated (antiphon calibrate), as --clustering "
                         "voices wants them", s->loaded.name);
    *method = is_clustering(a, "vbx") ? CLUSTERING_VBX : CLUSTERING_AHC;
    if (is_clustering(a, "voices") ||
        (calibrated && !a->clustering && isnan(a->threshold) && a->min_size < 0))
        *method = CLUSTERING_VOICES;
    return 0;
}

static int fill_offline(struct session *s, const struct arguments *a, struct error *err)
{
    struct offline_settings *o = &s->how.offline;
    struct clustering_settings *c = &o->clustering;
    enum clustering_method method = CLUSTERING_AHC;
    int compat = a->compat != NULL;

    if (choose_method(&method, s, a, err))
        return -1;
    *o = offline_defaults(method, compat);
    c->plda = &s->plda;
    c->apart = (int)rint(0.5 * s->how.windows.seconds / s->how.windows.step);
    if (!compat && !a->embedding && method != CLUSTERING_VBX) {
        c->threshold = own_threshold(s->loaded.model.config.readout.embedding_threshold);
        c->min_size = OWN_MIN_SIZE;
    }
    if (!isnan(a->threshold))
        c->threshold = a->threshold;
    if (a->min_size > 0)
        c->min_size = a->min_size;
    if (a->min_speakers)
        c->min_speakers = a->min_speakers;
    if (a->max_speakers)
        c->max_speakers = a->max_speakers;
    o->binarize.min_on = a->min_on;
    o->binarize.min_off = a->min_off;
    return 0;
}

/* Voices are also heard going once through a recording, if the model runs block by block: in
 * windows of its own it would hear all as often as windows do. */
static int open_listener(struct session *s, const struct arguments *a, struct error *err)
{
    const struct live_options live = LIVE_OPTIONS_NONE;

    if (s->how.offline.clustering.method != CLUSTERING_VOICES)
        return 0;
    if (load_live_model(&s->live, a->model, NULL, &live, err))
        return -1;
    if (!s->live.model.reach.window_frames)
        s->how.live = &s->live.model;
    return 0;
}

static int open_offline(struct session *s, const struct arguments *a, struct error *err)
{
    struct reach reach;
    double seconds;

    if (choose_window(&seconds, a, err) ||
        windows_init(&s->how.windows, seconds, isnan(a->step) ? 0.1 * seconds : a->step, err))
        return -1;
    reach = reach_offline(s->how.windows.n_samples);
    if (load_model(&s->loaded, a->model, NULL, &reach, err) ||
        (a->embedding && speaker_network_open(&s->network, a->embedding, err)) ||
        (a->plda && plda_read(&s->plda, a->plda, err)) || fill_offline(s, a, err) ||
        open_listener(s, a, err))
        return -1;
    int width = a->embedding ? s->network.shape.embedding
                             : s->loaded.model.config.readout.embedding;
    s->how.network = a->embedding ? &s->network : NULL;
    if (a->plda && s->plda.width != width)
        return fail(err, "%s: made for vectors of %d numbers; here they have %d: say --embedding",
                    a->plda, s->plda.width, width);
    return 0;
}

/* The file of --speakers, for a model that can know people again. */
static int read_known(struct session *s, const struct arguments *a, struct error *err)
{
    const struct model *m = &s->loaded.model;

    if (!a->speakers)
        return 0;
    if (!m->config.readout.embedding)
        return fail(err, "%s: a model without speaker vectors knows nobody again",
                    s->loaded.name);
    if (!s->how.online && m->config.readout.embedding_threshold <= 0.0f)
        return fail(err, "%s: its vectors are not calibrated (antiphon calibrate), as --speakers "
                         "wants them", s->loaded.name);
    speakers_init(&s->known, model_fingerprint(m), m->config.readout.embedding);
    if (speakers_read(&s->known, a->speakers, err))
        return -1;
    s->how.offline.known = &s->known;
    s->how.offline.known_threshold = m->config.readout.embedding_threshold;
    s->how.engine.known = &s->known;
    return 0;
}

static int open_online(struct session *s, const struct arguments *a, struct error *err)
{
    const struct live_options live = LIVE_OPTIONS_NONE;
    struct engine_settings *e = &s->how.engine;

    if (load_live_model(&s->loaded, a->model, NULL, &live, err))
        return -1;
    s->how.online = 1;
    e->model = &s->loaded.model;
    e->steady_seconds = SMOOTH_SECONDS;
    e->track = tracker_defaults();
    e->track.threshold = 0.0f; // the model's own
    e->track.decode.min_on_seconds = a->min_on;
    e->track.decode.min_off_seconds = a->min_off;
    e->channel = a->channel;
    e->model_name = s->loaded.name;
    return 0;
}

static int open_jobs(struct session *s, const struct arguments *a, const char *const *paths,
                     int n, struct error *err)
{
    s->jobs.how = &s->how;
    s->jobs.list = calloc((size_t)n, sizeof(*s->jobs.list));
    if (!s->jobs.list)
        return fail(err, "out of memory");
    s->jobs.n = n;
    for (int i = 0; i < n; i++) {
        struct diarize_job *job = &s->jobs.list[i];
        struct audio_file f;
        job->path = paths[i];
        if (diarize_name(job, a->compat != NULL, err))
            return -1;
        if (audio_file_open(&f, job->path, NULL) == 0) // if not, the job says why
            job->header_seconds = (double)f.n_ticks / f.rate_hz;
        audio_file_close(&f);
    }
    return 0;
}

/* --- running ------------------------------------------------------------ */

static double total_seconds(const struct diarize_jobs *jobs)
{
    double seconds = 0.0;

    for (int i = 0; i < jobs->n; i++)
        seconds += jobs->list[i].header_seconds;
    return seconds;
}

/* What there is to say of a job, and not on stdout. */
static void say(const struct diarize_job *job, int min_speakers)
{
    if (job->failed)
        fprintf(stderr, "antiphon diarize: %s\n", job->err.text);
    else
        fprintf(stderr, "antiphon diarize: %s: %d speakers found, not %d; a smaller --min-size "
                        "might help\n", job->path, job->n_names, min_speakers);
}

/* Tells of the results in the order of the arguments, as soon as they are there. */
static int follow(struct diarize_jobs *jobs, struct diarize_output *out, int min_speakers,
                  struct error *err)
{
    const struct timespec nap = {0, 20000000};
    struct progress progress;
    int status = STATUS_DONE;

    progress_begin(&progress, "listening", "s of audio", total_seconds(jobs));
    for (int i = 0; i < jobs->n; i++) {
        struct diarize_job *job = &jobs->list[i];
        while (!atomic_load_explicit(&job->done, memory_order_acquire)) {
            progress_at(&progress, (double)atomic_load(&jobs->samples) / FRAME_HZ);
            nanosleep(&nap, NULL);
        }
        if (job->failed == 0 && diarize_output_take(out, job, &job->err))
            job->failed = -1;
        if (job->failed)
            status = STATUS_FAILED;
        if (job->failed || job->n_names < min_speakers) {
            struct progress bar = progress; // it goes on below what is said
            progress_end(&progress);
            say(job, min_speakers);
            progress = bar;
        }
    }
    progress_end(&progress);
    if (diarize_output_close(out, err)) {
        fprintf(stderr, "antiphon diarize: %s\n", err->text);
        status = STATUS_FAILED;
    }
    err->text[0] = 0; // all is said
    return status;
}

static int run(struct session *s, const struct arguments *a, const char *const *paths, int n,
               struct error *err)
{
    struct diarize_output out;
    int online = is_clustering(a, "online"), status;

    if (open_jobs(s, a, paths, n, err) ||
        diarize_output_open(&out, a->output, s->jobs.list, n, err))
        return STATUS_MISUSED;
    if ((online ? open_online(s, a, err) : open_offline(s, a, err)) || read_known(s, a, err)) {
        diarize_output_close(&out, NULL);
        return STATUS_FAILED;
    }
    s->how.model = &s->loaded.model;
    s->how.channel = a->channel ? a->channel : a->compat ? 1 : 0;
    int at_once = a->jobs < n ? a->jobs : n;
    s->how.n_threads = a->threads > at_once ? a->threads / at_once : 1;
    op_set_threads(1); // windows and files are what is shared
    op_warm_up();
    if (diarize_jobs_start(&s->jobs, at_once, err)) {
        diarize_output_close(&out, NULL);
        return STATUS_FAILED;
    }
    status = follow(&s->jobs, &out, a->min_speakers, err);
    diarize_jobs_join(&s->jobs);
    return status;
}

static int diarize(struct arguments *a, const char *const *paths, int n, struct error *err)
{
    struct session s = {0};
    int status = STATUS_MISUSED;

    if (check_arguments(a, err) == 0)
        status = run(&s, a, paths, n, err);
    for (int i = 0; i < s.jobs.n; i++)
        diarize_job_release(&s.jobs.list[i]);
    free(s.jobs.list);
    plda_release(&s.plda);
    speakers_release(&s.known);
    resnet_close(&s.network);
    unload_model(&s.live);
    unload_model(&s.loaded);
    return status;
}

int cmd_diarize(int argc, const char **argv, struct error *err)
{
    struct arguments a = {.jobs = 1, .threads = options_processors(JOBS_MAX), .min_size = -1,
                          .threshold = NAN, .window = NAN, .step = NAN};
    const struct poptOption table[] = {
        {"output", 'o', POPT_ARG_STRING, &a.output, 0, "write there [stdout]", "FILE or FOLDER"},
        {"model", 'm', POPT_ARG_STRING, &a.model, 0, "model file [built-in]", "FILE"},
        {"clustering", 0, POPT_ARG_STRING, &a.clustering, 0,
         "voices, ahc, vbx or online [voices if the model is calibrated for it, else ahc]", "NAME"},
        {"embedding", 'e', POPT_ARG_STRING, &a.embedding, 0,
         "a speaker network's vectors [the model's own]", "FILE"},
        {"speakers", 0, POPT_ARG_STRING, &a.speakers, 0,
         "know these people, see `antiphon help enroll`", "FILE"},
        {"plda", 0, POPT_ARG_STRING, &a.plda, 0, "of vbx: a DiariZen model's plda", "FOLDER"},
        {"jobs", 'j', POPT_ARG_INT, &a.jobs, 0, "files at a time [1]", "N"},
        {"threads", 0, POPT_ARG_INT, &a.threads, 0, "of all files together [cores]", "N"},
        {"num-speakers", 0, POPT_ARG_INT, &a.num_speakers, 0, "exactly so many", "N"},
        {"min-speakers", 0, POPT_ARG_INT, &a.min_speakers, 0, "at least so many", "N"},
        {"max-speakers", 0, POPT_ARG_INT, &a.max_speakers, 0, "at most so many", "N"},
        {"threshold", 0, POPT_ARG_DOUBLE, &a.threshold, 0,
         "of ahc, vbx: speakers nearer are one [the model's, or 0.7; 0.6 with --embedding]",
         "DISTANCE"},
        {"min-size", 0, POPT_ARG_INT, &a.min_size, 0,
         "of ahc: windows in which a speaker must be heard [6; 13 with --embedding]", "N"},
        {"window", 0, POPT_ARG_DOUBLE, &a.window, 0, "what the model hears at once [its own]",
         "SEC"},
        {"step", 0, POPT_ARG_DOUBLE, &a.step, 0, "from window to window [a tenth of one]", "SEC"},
        {"channel", 0, POPT_ARG_INT, &a.channel, 0, "only this channel [mean of all]", "N"},
        {"min-on", 0, POPT_ARG_DOUBLE, &a.min_on, 0, "shorter turns are left out [0]", "SEC"},
        {"min-off", 0, POPT_ARG_DOUBLE, &a.min_off, 0, "shorter gaps are filled [0]", "SEC"},
        {"compat", 0, POPT_ARG_STRING, &a.compat, 0,
         "diarizen: all as upstream, its faults too", "NAME"},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped)
            status = STATUS_DONE;
        else if (options_expect(&o, 1, INT_MAX, &usage, err) == 0)
            status = diarize(&a, o.arguments, o.n_arguments, err);
    }
    options_close(&o);
    return status;
}
