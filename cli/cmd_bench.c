// SPDX-License-Identifier: MIT
/* cmd_bench.c - `bench`: what a model costs on this machine, live.
 *
 * Runs the very loop of the live worker on synthetic audio, block after block
 * with full left context, and measures beside it how fast this machine
 * multiplies large matrices, so that the figure means something elsewhere. */
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
    "Weights do not matter for speed: --arch takes random ones.\n\n"
    "  antiphon bench\n"
    "  antiphon bench --arch base-s80 --block 160 --json\n"
    "  antiphon bench --arch base --latency base.json",
};

struct arguments {
    const char *model, *arch, *latency;
    int json, threads, table;
    struct block_options block;
    double seconds;
};

struct figures {
    double audio_seconds, seconds, stage[N_STAGES], live_macs, peak_gflops;
    double p50_ms, p99_ms, max_ms, load_seconds;
    long rss_bytes;
    int block_ms, threads;
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

/* Blocks until the left context is full are run, but not counted. */
static void run(struct figures *f, struct model_acts *acts, struct model_state *state,
                const struct model *m, const float *audio, int64_t n, double *times)
{
    int64_t skip = m->reach.left_frames;
    struct progress progress;
    struct block b;
    int n_blocks = 0;

    progress_begin(&progress, "measuring", "s of audio", (double)n / 16000.0);
    while (block_next(&b, &state->at, n - state->at.samples, 0, m->reach.block_frames,
                      m->reach.right_frames)) {
        double begin = clock_monotonic();
        if (b.frame < skip)
            memset(acts->seconds, 0, sizeof(acts->seconds));
        model_forward(acts, state, m, audio + state->at.samples, &b, 1);
        if (b.frame >= skip) {
            times[n_blocks] = clock_monotonic() - begin;
            f->seconds += times[n_blocks++];
        }
        progress_at(&progress, (double)state->at.samples / 16000.0); // outside what is timed
    }
    progress_end(&progress);
    f->audio_seconds = n_blocks * m->reach.block_frames * 0.02;
    memcpy(f->stage, acts->seconds, sizeof(f->stage));
    qsort(times, (size_t)n_blocks, sizeof(*times), compare_doubles);
    f->p50_ms = 1e3 * times[n_blocks / 2];
    f->p99_ms = 1e3 * times[(int)(0.99 * (n_blocks - 1))];
    f->max_ms = 1e3 * times[n_blocks - 1];
}

static int measure(struct figures *f, const struct model *m, double seconds, struct error *err)
{
    struct model_state state = {0};
    struct model_acts acts = {0};
    int64_t frames = m->reach.left_frames + 2 * m->reach.block_frames + (int64_t)(seconds * 50.0);
    int64_t n = blocks_cover(frames + m->reach.right_frames);
    float *audio = make_audio(n);
    double *times = malloc((size_t)(frames + 1) * sizeof(*times));
    struct rusage usage_now;
    int status = -1;

    if (!audio || !times)
        fail(err, "out of memory");
    else if (model_state_open(&state, m, err) == 0 && model_acts_open(&acts, m, err) == 0) {
        run(f, &acts, &state, m, audio, n, times);
        getrusage(RUSAGE_SELF, &usage_now);
#ifdef __APPLE__
        f->rss_bytes = usage_now.ru_maxrss;
#else
        f->rss_bytes = usage_now.ru_maxrss * 1024;
#endif
        f->live_macs = cost_live_macs(&m->config, &m->reach);
        status = 0;
    }
    model_acts_close(&acts);
    model_state_close(&state);
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
    cJSON_AddNumberToObject(json, "audio_seconds", f->audio_seconds);
    cJSON_AddNumberToObject(json, "block_ms", f->block_ms);
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
    printf("%s, blocks of %d ms, %d thread%s, %s loops, OpenBLAS %s, %.0f s of audio\n", f->name,
           f->block_ms, f->threads, f->threads == 1 ? "" : "s", kernels_get()->name,
           op_blas_kernels(), f->audio_seconds);
    printf("  real-time factor  %.4f (%.0f times faster than the audio)\n",
           f->seconds / f->audio_seconds, f->audio_seconds / f->seconds);
    printf("  block time        %.2f ms median, %.2f ms 99 %%, %.2f ms at most\n", f->p50_ms,
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
    struct reach reach;
    struct loaded loaded;
    struct figures f = {.block_ms = a->block.block_ms, .threads = a->threads};
    double begin = clock_monotonic();
    int status;

    if (a->table)
        return bench_table(err) ? STATUS_FAILED : STATUS_DONE;
    if (reach_from_options(&reach, &a->block, err))
        return STATUS_MISUSED;
    if (load_model(&loaded, a->model, a->arch, &reach, err))
        return STATUS_FAILED;
    f.load_seconds = clock_monotonic() - begin;
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
    struct arguments a = {.threads = 1, .block = {320, 8000, 0}, .seconds = 30.0};
    const struct poptOption table[] = {
        {"model", 'm', POPT_ARG_STRING, &a.model, 0, "model file [built-in]", "FILE"},
        {"arch", 0, POPT_ARG_STRING, &a.arch, 0, config_arch_names,
         "ARCH"},
        {"block", 0, POPT_ARG_INT, &a.block.block_ms, 0, "audio a step [320]", "MS"},
        {"left", 0, POPT_ARG_INT, &a.block.left_ms, 0, "context before a block [8000]", "MS"},
        {"right", 0, POPT_ARG_INT, &a.block.right_ms, 0, "look-ahead after a block [0]", "MS"},
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
