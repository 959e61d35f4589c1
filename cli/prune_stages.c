// SPDX-License-Identifier: MIT
#include "cli/prune_stages.h"

#include "cli/prune_report.h"
#include "cli/prune_setting.h"
#include "cli/stop_signal.h"
#include "cli/training_bar.h"
#include "prune/magnitude.h"
#include "prune/run.h"
#include "prune/shrink.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Clips of a data source that training never comes to. */
static const uint64_t APART = (uint64_t)1 << 40;

static void stage_path(const struct pruning *p, const char *name, char path[PRUNING_PATH])
{
    snprintf(path, PRUNING_PATH, "%s/%s", p->folder, name);
}

/* Whether rank 0 sees it. */
static int exists(struct pruning *p, const char *path)
{
    struct stat st;

    return ranks_any(&p->ranks, p->ranks.rank == 0 && stat(path, &st) == 0);
}

/* Runs an open trainer as a stage; 1: interrupted. */
static int run_stage(struct pruning *p, struct trainer *t, const char *name, const char *what,
                     const char *output, long best_from, struct error *err)
{
    const struct prune_arguments *a = p->a;
    int first = p->ranks.rank == 0, distills = t->distiller != NULL;
    char folder[PRUNING_PATH];
    struct training_bar bar;
    struct run_settings run = {
        .folder = folder, .output = output, .provenance = p->provenance,
        .validate_every = a->validate_every, .save_every = a->save_every, .average = a->average,
        .max_seconds = a->hours * 3600.0, .interrupted = stop_signal_watch(),
        .tell = training_bar_tell, .user = &bar, .dev_blocks = {16, 0}, .n_dev_blocks = 2,
        .dev = p->sources.dev, .dev_clips = a->dev_clips, .best_from = best_from,
        .best_from_peak = best_from > 0,
    };

    if (distills && !run.dev) { // it needs no labels: meetings that it will not see
        run.dev = p->sources.train;
        run.dev_first = APART;
    }
    stage_path(p, name, folder);
    if (first)
        fprintf(stderr, "%s: %ld steps\n", what, t->settings.steps);
    training_bar_begin(&bar, what, &t->settings, first);
    int end = run_training(t, &run, err);
    training_bar_end(&bar);
    if (end == RUN_INTERRUPTED && first)
        fprintf(stderr, "stopped after step %ld; the same command goes on from %s\n", t->step,
                p->folder);
    return end < 0 ? -1 : end == RUN_INTERRUPTED;
}

/* Cuts what the settled gates close. */
static int cut_model(struct pruning *p, const struct model *m, struct distiller *d,
                     const char *path, struct error *err)
{
    struct reach reach = reach_defaults();
    struct model cut;
    char *config;

    gates_settle(&d->gates);
    if (shrink(&cut, &config, m, p->config, &d->gates, &reach, err))
        return -1;
    double before = encoder_parameters(&m->config), after = encoder_parameters(&cut.config);
    int status = shrink_write(&cut, config, path, p->provenance, err);
    if (status == 0)
        fprintf(stderr, "cut: %.3f M of the encoder's %.3f M parameters are left, %.1f %% are gone\n",
                after / 1e6, before / 1e6, 100.0 * (1.0 - after / before));
    model_close(&cut);
    free(config);
    return status;
}

/* The gates learn. */
static int learn_gates(struct pruning *p, struct distiller *d, const char *cut_path,
                       struct error *err)
{
    struct trainer_settings settings;
    struct trainer t = {0};
    char gated[PRUNING_PATH];
    long warmup = d->settings.sparsity_warmup;
    int status = pruning_trainer_settings(&settings, p, STAGE_PRUNE, err);

    stage_path(p, "gated.safetensors", gated);
    if (status == 0)
        status = trainer_open_distilling(&t, p->config, &p->weights, p->sources.train, &settings,
                                         d, &p->ranks, err);
    if (status == 0)
        status = run_stage(p, &t, "1-prune", "pruning", gated, warmup > 0 ? warmup : 1, err);
    if (status == 0 && p->ranks.rank == 0) {
        status = trainer_take_model(&t, gated, err);
        if (status == 0)
            distiller_meet_target(d);
        if (status == 0)
            status = cut_model(p, &t.model, d, cut_path, err);
    }
    trainer_close(&t);
    return status;
}

/* The smallest weights go. */
static int choose_by_magnitude(struct pruning *p, struct distiller *d, const char *cut_path,
                               struct error *err)
{
    struct reach reach = reach_defaults();
    struct model m;
    int status;

    if (p->ranks.rank)
        return 0;
    if (model_open(&m, &p->weights, &reach, err))
        return -1;
    status = magnitude_close(d, &m, err) || cut_model(p, &m, d, cut_path, err) ? -1 : 0;
    model_close(&m);
    return status;
}

static int stage_prune(struct pruning *p, const char *cut_path, struct error *err)
{
    struct distiller_settings settings;
    struct distiller d = {0};
    int n_frames = (int)blocks_frames(p->sources.train->n_samples);
    int status = pruning_distiller_settings(&settings, p, err);

    if (status == 0)
        status = distiller_open(&d, p->a->model, &p->shape, &settings, n_frames, err);
    if (status == 0)
        status = p->a->by_magnitude ? choose_by_magnitude(p, &d, cut_path, err)
                                    : learn_gates(p, &d, cut_path, err);
    distiller_close(&d);
    return status;
}

/* Opens what an earlier stage left: its config, to be freed. */
static char *open_result(struct pruning *p, struct checkpoint *weights, const char *path,
                         struct error *err)
{
    if (!exists(p, path)) {
        fail(err, "%s is not there: stage 1 makes it", path);
        return NULL;
    }
    return checkpoint_open(weights, path, err) ? NULL : pruning_config(weights, path, err);
}

/* Stage 2: the cut model learns on from the dense one. */
static int stage_distill(struct pruning *p, const char *from, const char *to, struct error *err)
{
    struct trainer_settings settings;
    struct distiller_settings ds;
    struct distiller d = {0};
    struct trainer t = {0};
    struct checkpoint weights = {0};
    struct model_config shape;
    int n_frames = (int)blocks_frames(p->sources.train->n_samples);
    char *config = open_result(p, &weights, from, err);
    int status = config ? config_parse(&shape, config, err) : -1;

    if (status == 0)
        status = pruning_trainer_settings(&settings, p, STAGE_DISTILL, err);
    if (status == 0)
        status = pruning_distiller_settings(&ds, p, err);
    ds.units = 0;
    if (status == 0)
        status = distiller_open(&d, p->a->model, &shape, &ds, n_frames, err);
    if (status == 0)
        status = trainer_open_distilling(&t, config, &weights, p->sources.train, &settings, &d,
                                         &p->ranks, err);
    if (status == 0)
        status = run_stage(p, &t, "2-distill", "distilling", to, 0, err);
    trainer_close(&t);
    distiller_close(&d);
    checkpoint_close(&weights);
    free(config);
    return status;
}

/* Stage 3: diarization. */
static int stage_train(struct pruning *p, const char *from, const char *to, struct error *err)
{
    struct trainer_settings settings;
    struct trainer t = {0};
    struct checkpoint weights = {0};
    char *config = open_result(p, &weights, from, err);
    int status = config ? pruning_trainer_settings(&settings, p, STAGE_TRAIN, err) : -1;

    if (status == 0)
        status = trainer_open(&t, config, &weights, p->sources.train, &settings, &p->ranks, err);
    if (status == 0)
        status = run_stage(p, &t, "3-train", "training", to, 0, err);
    trainer_close(&t);
    checkpoint_close(&weights);
    free(config);
    return status;
}

/* 0 done, 1 interrupted, -1 failed; *last: the newest result. */
static int run_stages(struct pruning *p, char last[PRUNING_PATH], struct error *err)
{
    unsigned bits = p->a->stage_bits;
    char cut[PRUNING_PATH], distilled[PRUNING_PATH], trained[PRUNING_PATH];
    int status = 0;

    stage_path(p, "cut.safetensors", cut);
    stage_path(p, "distilled.safetensors", distilled);
    stage_path(p, "trained.safetensors", trained);
    if ((bits >> STAGE_PRUNE & 1) && !exists(p, cut))
        status = stage_prune(p, cut, err);
    if (status == 0 && (bits >> STAGE_DISTILL & 1) && !exists(p, distilled))
        status = stage_distill(p, cut, distilled, err);
    if (status == 0 && (bits >> STAGE_TRAIN & 1) && p->shape.readout.present)
        status = stage_train(p, exists(p, distilled) ? distilled : cut, trained, err);
    if (status == 0) {
        int has_trained = exists(p, trained), has_distilled = exists(p, distilled);
        memcpy(last, has_trained ? trained : has_distilled ? distilled : cut, PRUNING_PATH);
    }
    return status;
}

static int run_all(struct pruning *p, struct error *err)
{
    const struct prune_arguments *a = p->a;
    char last[PRUNING_PATH];
    int status = pruning_begin(p, err) ? -1 : run_stages(p, last, err);

    if (status || p->ranks.rank)
        return status;
    if (pruning_copy(last, a->output, err) ||
        (a->report && prune_report(a->report, p->folder, a->model, a->output, err)))
        return -1;
    fprintf(stderr, "%s is made; stages, logs and states are in %s\n", a->output, p->folder);
    return 0;
}

int prune_run(const struct prune_arguments *a, struct error *err)
{
    struct pruning *p = calloc(1, sizeof(*p));
    int status;

    if (!p)
        return fail(err, "out of memory");
    status = pruning_open(p, a, err) ? -1 : run_all(p, err);
    if (status < 0 && p->ranks.size > 1) {
        fprintf(stderr, "antiphon: rank %d: %s\n", p->ranks.rank, err->text);
        ranks_abort(&p->ranks, EXIT_FAILURE);
    }
    pruning_close(p);
    free(p);
    return status < 0 ? -1 : 0;
}
