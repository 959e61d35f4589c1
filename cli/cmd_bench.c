// SPDX-License-Identifier: MIT
/* cmd_bench.c - `bench`: what a model costs on this machine, live.
 *
 * Runs the very steps of the live worker on synthetic audio, block by block with
 * full left context or in full windows, and measures beside it how fast this
 * machine multiplies large matrices, so that the figure means something elsewhere. */
#include "cli/bench_latency.h"
#include "cli/bench_table.h"
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "model/clock.h"
#include "model/cost.h"
#include "model/kernels.h"
#include "model/op.h"
#include "model/random.h"
#include "stream/stepper.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const struct usage usage = {
    "",
    "Measures a model live: real-time factor, time a stage, block times, memory, and the\n"
    "arithmetic rate beside this machine's own peak for large matrices, in the same run.\n"
    "Weights do not matter for speed: --arch takes random ones. Like stream it runs a model as\n"
    "its file says unless told otherwise.\n\n"
    "  antiphon bench\n"
    "  antiphon bench --arch base-s80 --block 160 --json\n"
    "  antiphon bench --arch base-s80 --window 8 --step 500\n"
    "  antiphon bench --arch base --latency base.json",
};

enum { PUT_SAMPLES = 4096 };

struct arguments {
    const char *model, *arch, *latency;
    int json, threads, table;
    struct live_options live;
    double seconds;
};

struct figures {
    double audio_seconds, seconds, stage[N_STAGES], live_macs, peak_gflops;
    double processor_seconds; // of all threads; a busy machine does not lengthen them
    double p50_ms, p99_ms, max_ms, load_seconds;
    long rss_bytes;
    struct reach reach;
    int threads;
    char name[256];
};

/* Noise that swells and fades about once a second, so that nothing is constant. */
static float *make_audio(int64_t n)
{
    float *x = malloc((size_t)n * sizeof(float));
    struct random rng;

    random_init(&rng, 1);
    for (int64_t i = 0; x && i < n; i++)
        x[i] = (random_uniform(&rng) - 0.5f) *
               (float)(0.1 + 0.09 * sin((double)i * 6.2831853 / 16000.0));
    return x;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Frames before the ones that cost what every later one costs. */
static int64_t frames_before(const struct reach *r)
{
    return r->window_frames ? r->window_frames - r->block_frames : r->left_frames;
}

/* Steps until the context is full are run, but not counted. */
static void run(struct figures *f, struct stepper *s, const float *audio, int64_t n, double *times)
{
    int64_t skip = frames_before(&f->reach), at = 0;
    int B = f->reach.block_frames;
    struct progress progress;
    struct step step;
    int n_steps = 0;

    progress_begin(&progress, "measuring", "s of audio", (double)n / 16000.0);
    while (at < n) {
        int put = n - at < PUT_SAMPLES ? (int)(n - at) : PUT_SAMPLES;
        memcpy(chunk_tail(&s->chunk), audio + at, (size_t)put * sizeof(float));
        chunk_put(&s->chunk, (size_t)put);
        at += put;
        while (stepper_next(s, &step, 0)) {
            double begin = clock_monotonic(), computed = clock_process();
            if (step.block.frame < skip)
                memset(s->acts.seconds, 0, sizeof(s->acts.seconds));
            stepper_run(s, &step);
            if (step.block.frame >= skip) {
                times[n_steps] = clock_monotonic() - begin;
                f->seconds += times[n_steps++];
                f->processor_seconds += clock_process() - computed;
            }
            stepper_done(s, &step);
            progress_at(&progress, (double)at / 16000.0); // outside what is timed
        }
    }
    progress_end(&progress);
    f->audio_seconds = n_steps * B * 0.02;
    memcpy(f->stage, s->acts.seconds, sizeof(f->stage));
    qsort(times, (size_t)n_steps, sizeof(*times), compare_doubles);
    f->p50_ms = 1e3 * times[n_steps / 2];
    f->p99_ms = 1e3 * times[(int)ceil(0.99 * (n_steps - 1))];
    f->max_ms = 1e3 * times[n_steps - 1];
}

static long peak_rss_bytes(void)
{
    struct rusage usage_now;

    getrusage(RUSAGE_SELF, &usage_now);
#ifdef __APPLE__
    return usage_now.ru_maxrss;
#else
    return usage_now.ru_maxrss * 1024;
#endif
}

static int measure(struct figures *f, const struct model *m, double seconds, struct error *err)
{
    const struct reach *r = &f->reach;
    struct stepper stepper = {0};
    int64_t frames = frames_before(r) + 2 * r->block_frames + (int64_t)(seconds * 50.0);
    int64_t n = blocks_cover(frames + r->right_frames);
    float *audio = make_audio(n);
    double *times = malloc((size_t)(frames + 1) * sizeof(*times));
    int status = -1;

    if (!audio || !times)
        fail(err, "out of memory");
    else if (stepper_open(&stepper, m, SMOOTH_SECONDS, PUT_SAMPLES, err) == 0) {
        run(f, &stepper, audio, n, times);
        f->rss_bytes = peak_rss_bytes();
        f->live_macs = cost_live_macs(&m->config, r);
        stepper_close(&stepper);
        status = 0;
    }
    free(times);
    free(audio);
    return status;
}

static double gflops(const struct figures *f)
{
    return 2.0 * f->live_macs * f->audio_seconds / f->seconds / 1e9;
}

static int print_json(const struct figures *f, struct error *err)
{
    cJSON *json = cJSON_CreateObject(), *stages, *latency;

    cJSON_AddStringToObject(json, "model", f->name);
    cJSON_AddNumberToObject(json, "rtf", f->seconds / f->audio_seconds);
    cJSON_AddNumberToObject(json, "processor_rtf", f->processor_seconds / f->audio_seconds);
    cJSON_AddNumberToObject(json, "audio_seconds", f->audio_seconds);
    cJSON_AddNumberToObject(json, "block_ms", f->reach.block_frames * 20);
    cJSON_AddStringToObject(json, "live", f->reach.window_frames ? "window" : "block-causal");
    if (f->reach.window_frames)
        cJSON_AddNumberToObject(json, "window_ms", reach_window_ms(&f->reach));
    stages = cJSON_AddObjectToObject(json, "stages"); // seconds a second of audio
    for (int i = 0; i < N_STAGES; i++)
        cJSON_AddNumberToObject(stages, stage_names[i], f->stage[i] / f->audio_seconds);
    cJSON_AddNumberToObject(json, "macs_per_second", f->live_macs);
    cJSON_AddNumberToObject(json, "gflops", gflops(f));
    cJSON_AddNumberToObject(json, "peak_gflops", f->peak_gflops);
    cJSON_AddNumberToObject(json, "rss_bytes", (double)f->rss_bytes);
    cJSON_AddNumberToObject(json, "load_seconds", f->load_seconds);
    cJSON_AddNumberToObject(json, "threads", f->threads);
    cJSON_AddStringToObject(json, "kernels", kernels_get()->name);
    cJSON_AddStringToObject(json, "blas", op_blas_kernels());
    latency = cJSON_AddObjectToObject(json, "latency_ms");
    cJSON_AddNumberToObject(latency, "p50", f->p50_ms);
    cJSON_AddNumberToObject(latency, "p99", f->p99_ms);
    cJSON_AddNumberToObject(latency, "max", f->max_ms);
    return json_print(json, err);
}

static void print_text(const struct figures *f)
{
    double rtf = f->seconds / f->audio_seconds;
    char how[64];

    if (f->reach.window_frames)
        snprintf(how, sizeof(how), "windows of %g s every %d ms", reach_window_ms(&f->reach) / 1e3,
                 f->reach.block_frames * 20);
    else
        snprintf(how, sizeof(how), "blocks of %d ms", f->reach.block_frames * 20);
    printf("%s, %s, %d thread%s, %s loops, OpenBLAS %s, %.0f s of audio\n", f->name, how,
           f->threads, f->threads == 1 ? "" : "s", kernels_get()->name, op_blas_kernels(),
           f->audio_seconds);
    if (rtf <= 1.0)
        printf("  real-time factor  %.4f (%.1f times faster than the audio)\n", rtf, 1.0 / rtf);
    else
        printf("  real-time factor  %.4f: too slow to run live here\n", rtf);
    printf("  processor time    %.4f s per second of audio\n",
           f->processor_seconds / f->audio_seconds);
    printf("  time a step       %.2f ms median, %.2f ms 99 %%, %.2f ms at most\n", f->p50_ms,
           f->p99_ms, f->max_ms);
    for (int i = 0; i < N_STAGES; i++)
        printf("  %-16s  %.4f  %4.1f %%\n", stage_names[i], f->stage[i] / f->audio_seconds,
               100.0 * f->stage[i] / f->seconds);
    printf("  arithmetic        %.3f GMAC per second of audio, %.1f GFLOP/s\n", f->live_macs / 1e9,
           gflops(f));
    printf("  GEMM peak         %.1f GFLOP/s here and now: %.0f %% of it used\n", f->peak_gflops,
           100.0 * gflops(f) / f->peak_gflops);
    printf("  memory            %.1f MiB at most\n", (double)f->rss_bytes / 1048576.0);
    printf("  opened in         %.3f s\n", f->load_seconds);
}

static int bench(const struct arguments *a, struct error *err)
{
    struct loaded loaded;
    struct figures f = {.threads = a->threads};
    double begin = clock_monotonic();
    int status;

    if (a->table)
        return bench_table(err) ? STATUS_FAILED : STATUS_DONE;
    if (live_options_check(&a->live, err))
        return STATUS_MISUSED;
    if (load_live_model(&loaded, a->model, a->arch, &a->live, err))
        return STATUS_FAILED;
    f.load_seconds = clock_monotonic() - begin;
    f.reach = loaded.model.reach;
    op_set_threads(a->threads);
    if (a->latency) {
        status = bench_latency(a->latency, &loaded.model, loaded.name, a->threads, err);
        unload_model(&loaded);
        return status ? STATUS_FAILED : STATUS_DONE;
    }
    snprintf(f.name, sizeof(f.name), "%s", loaded.name);
    status = measure(&f, &loaded.model, a->seconds, err);
    unload_model(&loaded);
    if (status == 0) {
        f.peak_gflops = op_peak(err) / 1e9;
        status = f.peak_gflops < 0.0 ? -1 : 0;
    }
    if (status == 0 && a->json)
        status = print_json(&f, err);
    else if (status == 0)
        print_text(&f);
    return status ? STATUS_FAILED : STATUS_DONE;
}

int cmd_bench(int argc, const char **argv, struct error *err)
{
    struct arguments a = {.threads = 1, .live = LIVE_OPTIONS_NONE, .seconds = 30.0};
    const struct poptOption table[] = {
        {"model", 'm', POPT_ARG_STRING, &a.model, 0, "model file [built-in]", "FILE"},
        {"arch", 0, POPT_ARG_STRING, &a.arch, 0, config_arch_names,
         "ARCH"},
        LIVE_OPTIONS(a.live),
        {"seconds", 0, POPT_ARG_DOUBLE, &a.seconds, 0, "of audio to measure on [30]", "SEC"},
        {"threads", 0, POPT_ARG_INT, &a.threads, 0, "for the matrix products [1]", "N"},
        {"json", 0, POPT_ARG_NONE, &a.json, 0, "print one JSON object", NULL},
        {"table", 0, POPT_ARG_NONE, &a.table, 0,
         "the published table of pruned models, and what pruning is worth here", NULL},
        {"latency", 0, POPT_ARG_STRING, &a.latency, 0,
         "write what layers of every size up to the model's take, for prune", "FILE"},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped)
            status = STATUS_DONE;
        else if (a.threads < 1 || a.threads > 64)
            fail(err, "--threads %d: should be 1 to 64", a.threads);
        else if (!(a.seconds >= 1.0 && a.seconds <= 3600.0))
            fail(err, "--seconds %g: should be 1 to 3600", a.seconds);
        else if (a.model && a.arch)
            fail(err, "--model and --arch: one or the other");
        else if (options_expect(&o, 0, 0, &usage, err) == 0)
            status = bench(&a, err);
    }
    options_close(&o);
    return status;
}
