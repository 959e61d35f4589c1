// SPDX-License-Identifier: MIT
/* bench_table.c - rows of the table in DiariZen's recipe: filter banks, and WavLM
 * Base+ and Large, whole and with 80 and 90 % of their parameters pruned.
 *
 * Speed is the encoder's, as parameters and MACs are: live, a block of 320 ms with
 * 8 s before it, and offline, 8 s as one block. The models of a family take turns, so
 * that whatever else the machine does falls on all alike, and each one's best time
 * counts; with one thread it is the thread's own. */
#include "cli/bench_table.h"

#include "cli/progress.h"
#include "model/clock.h"
#include "model/cost.h"
#include "model/op.h"
#include "model/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OFFLINE_SAMPLES = 8 * 16000, LIVE_BLOCKS = 8, ROUNDS = 3, MOST_THREADS = 2, FAMILY = 3 };

struct row {
    const char *arch, *name;
    double parameters, macs, speedup; // published: M, G, on a GPU; 0: none
};

struct family {
    struct row rows[FAMILY];
    int n;
};

/* Parameters and MACs of WavLM alone; fbank has none. */
static const struct family families[] = {
    {{{"fbank", "Fbank", 0, 0, 0}}, 1},
    {{{"base", "Base+", 94.4, 6.9, 0}, {"base-s80", "Base+ 80 %", 18.8, 1.1, 4.0},
      {"base-s90", "Base+ 90 %", 9.4, 0.6, 5.7}}, 3},
    {{{"large", "Large", 316.6, 17.8, 0}, {"large-s80", "Large 80 %", 63.3, 3.8, 2.6},
      {"large-s90", "Large 90 %", 30.6, 1.8, 3.5}}, 3},
};

enum { N_FAMILIES = sizeof(families) / sizeof(*families) };

/* Seconds, best so far. */
struct times {
    double live[MOST_THREADS], offline[MOST_THREADS]; // by threads, less 1
    double macs, parameters;
};

struct subject {
    struct model model;
    struct model_state state;
    struct model_acts acts;
};

static int subject_open(struct subject *s, const char *arch, const struct reach *reach,
                        struct error *err)
{
    *s = (struct subject){0};
    if (model_open_arch(&s->model, arch, 1, reach, err))
        return -1;
    if (s->model.config.wavlm.n_layers) // filter banks have a readout only
        s->model.config.readout.present = 0;
    return model_state_open(&s->state, &s->model, err) ||
                   model_acts_open(&s->acts, &s->model, err)
               ? -1 : 0;
}

static void subject_close(struct subject *s)
{
    model_acts_close(&s->acts);
    model_state_close(&s->state);
    model_close(&s->model);
}

static void least(double *best, double seconds)
{
    *best = *best > 0.0 ? fmin(*best, seconds) : seconds;
}

static double now(int threads)
{
    return threads == 1 ? clock_thread() : clock_monotonic();
}

/* n live blocks; those before the left context is full are not counted. */
static void run_live(struct times *t, struct subject *s, const float *audio, int n, int threads)
{
    for (int i = 0; i < n; i++) {
        double began = now(threads);
        struct block b;
        int counts = s->state.at.frames >= s->model.reach.left_frames;

        block_next(&b, &s->state.at, OFFLINE_SAMPLES, 0, s->model.reach.block_frames, 0);
        model_forward(&s->acts, &s->state, &s->model, audio + (i % 8) * 16000, &b, 1);
        if (counts)
            least(&t->live[threads - 1], now(threads) - began);
    }
}

static void run_offline(struct times *t, struct subject *s, const float *audio, int threads)
{
    double began = now(threads);
    struct block b;

    s->state.at = (struct position){0};
    block_next(&b, &s->state.at, OFFLINE_SAMPLES, 1, s->model.reach.block_frames, 0);
    model_forward(&s->acts, &s->state, &s->model, audio, &b, 1);
    least(&t->offline[threads - 1], now(threads) - began);
}

/* All models of a family open at once, taking turns. */
static int run_family(struct times *times, const struct family *f, int offline,
                      const float *audio, int n_threads, struct progress *progress, double *done,
                      struct error *err)
{
    struct reach reach = offline ? reach_offline(OFFLINE_SAMPLES) : reach_defaults();
    struct subject s[FAMILY];
    int status = 0;

    memset(s, 0, sizeof(s));
    for (int i = 0; status == 0 && i < f->n; i++) {
        status = subject_open(&s[i], f->rows[i].arch, &reach, err);
        if (status == 0 && !offline)
            run_live(&times[i], &s[i], audio, reach.left_frames / reach.block_frames + 1, 1);
    }
    for (int threads = 1; status == 0 && threads <= n_threads; threads++) {
        op_set_threads(threads);
        for (int round = 0; round < ROUNDS; round++) {
            for (int i = 0; i < f->n; i++) {
                if (offline)
                    run_offline(&times[i], &s[i], audio, threads);
                else
                    run_live(&times[i], &s[i], audio, LIVE_BLOCKS, threads);
            }
            progress_at(progress, *done += 1.0 / ROUNDS);
        }
    }
    for (int i = 0; status == 0 && !offline && i < f->n; i++) {
        struct cost cost;
        cost_count(&cost, &s[i].model.config, s[i].model.list, s[i].model.n_params);
        times[i].parameters = (double)(f->rows[i].parameters > 0.0 ? cost.encoder_parameters
                                                                   : cost.parameters);
        times[i].macs = (double)(f->rows[i].parameters > 0.0 ? cost.encoder_macs
                                                             : cost.encoder_macs + cost.readout_macs);
    }
    op_set_threads(1);
    for (int i = 0; i < f->n; i++)
        subject_close(&s[i]);
    return status;
}

static void print_published(double x, const char *unit)
{
    if (x > 0.0)
        printf(" %.1f%s |", x, unit);
    else
        printf(" |");
}

static void print_row(const struct row *r, const struct times *t, const struct times *dense,
                      int n_threads)
{
    printf("| %s | %.1f |", r->name, t->parameters / 1e6);
    print_published(r->parameters, "");
    printf(" %.2f |", t->macs / 1e9);
    print_published(r->macs, "");
    if (dense == t)
        printf(" |");
    else
        printf(" %.1fx |", dense->macs / t->macs);
    print_published(r->speedup, "x");
    for (int i = 0; i < n_threads; i++) {
        if (dense == t)
            printf(" %.1f ms | %.0f ms |", 1e3 * t->live[i], 1e3 * t->offline[i]);
        else
            printf(" %.1fx | %.1fx |", dense->live[i] / t->live[i],
                   dense->offline[i] / t->offline[i]);
    }
    printf("\n");
}

static void print_table(struct times (*times)[FAMILY], int n_threads)
{
    printf("| | parameters, M | published | MACs, G a second | published | fewer MACs | "
           "published speedup (GPU) |");
    for (int i = 1; i <= n_threads; i++)
        printf(" live, %d thread%s | offline |", i, i > 1 ? "s" : "");
    printf("\n|---|---|---|---|---|---|---|%s\n", n_threads > 1 ? "---|---|---|---|" : "---|---|");
    for (int f = 0; f < N_FAMILIES; f++)
        for (int i = 0; i < families[f].n; i++)
            print_row(&families[f].rows[i], &times[f][i], &times[f][0], n_threads);
}

int bench_table(struct error *err)
{
    struct times times[N_FAMILIES][FAMILY];
    float *audio = malloc((OFFLINE_SAMPLES + 16000) * sizeof(float));
    int n_threads = MOST_THREADS, status = 0;
    struct progress progress;
    struct random rng;
    double done = 0.0;

    if (!audio)
        return fail(err, "out of memory");
    memset(times, 0, sizeof(times));
    random_init(&rng, 1);
    for (int i = 0; i < OFFLINE_SAMPLES + 16000; i++)
        audio[i] = 0.1f * (random_uniform(&rng) - 0.5f);
    progress_begin(&progress, "measuring", "parts", N_FAMILIES * 2.0 * n_threads);
    for (int f = 0; status == 0 && f < N_FAMILIES; f++)
        for (int offline = 0; status == 0 && offline < 2; offline++)
            status = run_family(times[f], &families[f], offline, audio, n_threads, &progress, &done,
                                err);
    progress_end(&progress);
    free(audio);
    if (status == 0)
        print_table(times, n_threads);
    return status;
}
