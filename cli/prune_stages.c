// SPDX-License-Identifier: MIT
#include "cli/prune_stages.h"

#include "cli/progress.h"
#include "cli/prune_report.h"
#include "cli/reach_list.h"
#include "model/resnet_params.h"
#include "prune/latency.h"
#include "prune/run.h"
#include "prune/shrink.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    interrupted = 1;
}

/* What the stages share. */
struct pruning {
    const struct prune_arguments *a;
    struct finetune_sources sources;
    struct checkpoint weights; // of the teacher
    const char *config;
    struct ranks ranks;
    char folder[1024];
    char provenance[512];
    struct telling {
        struct progress progress;
        char what[160];
        double loss, rate;
    } telling;
};

static void tell(void *user, const struct step_report *r, double der)
{
    struct pruning *p = user;
    struct telling *t = &p->telling;

    if (p->ranks.rank || !r)
        return;
    double rate = r->audio_seconds / r->seconds;
    t->loss = t->loss != 0.0 ? 0.9 * t->loss + 0.1 * r->loss : r->loss;
    t->rate = t->rate > 0.0 ? 0.9 * t->rate + 0.1 * rate : rate;
    int n = snprintf(t->what, sizeof(t->what), "loss %.3f %.0f s/s", t->loss, t->rate);
    if (r->target > 0.0 || r->sparsity > 0.0)
        snprintf(t->what + n, sizeof(t->what) - (size_t)n, " sparsity %.1f %% of %.1f %%",
                 100.0 * r->sparsity, 100.0 * r->target);
    progress_at(&t->progress, (double)r->step);
}

static long steps_of(const struct pruning *p, double epochs, long asked)
{
    const struct prune_arguments *a = p->a;
    double clips = p->sources.train->epoch ? (double)p->sources.train->epoch
                                           : (double)a->epoch_clips;
    double steps = epochs * clips / (a->batch * a->accumulate * p->ranks.size);

    return asked > 0 ? asked : steps < 1.0 ? 1 : (long)steps;
}

static int common_settings(struct trainer_settings *s, const struct prune_arguments *a,
                           struct error *err)
{
    *s = trainer_defaults();
    s->batch = a->batch;
    s->accumulate = a->accumulate;
    s->threads = a->threads;
    s->adamw.decay = 0.0;
    s->clip = a->clip;
    s->dropout = a->dropout;
    s->recompute = a->recompute;
    s->seed = (uint64_t)a->seed;
    s->lr = s->lr_encoder = a->distill_lr;
    return reach_list_parse(s->block_frames, &s->n_blocks, TRAINER_MAX_REACHES, "--block-ms",
                            a->blocks, err) ||
                   reach_list_parse(s->left_frames, &s->n_lefts, TRAINER_MAX_REACHES, "--left-ms",
                                    a->lefts, err)
               ? -1 : 0;
}

static void stage_path(const struct pruning *p, const char *name, char path[1100])
{
    snprintf(path, 1100, "%s/%s", p->folder, name);
}

static int exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* Runs an open trainer as a stage; 1: interrupted. */
static int run_stage(struct pruning *p, struct trainer *t, const char *name, const char *what,
                     const char *output, struct error *err)
{
    const struct prune_arguments *a = p->a;
    char folder[1100];
    struct run_settings run = {
        .folder = folder, .output = output, .provenance = p->provenance,
        .validate_every = a->validate_every, .save_every = a->save_every, .average = a->average,
        .max_seconds = a->hours * 3600.0, .interrupted = &interrupted, .tell = tell, .user = p,
        .dev_blocks = {16, 0}, .n_dev_blocks = 2,
        .dev = t->distiller ? NULL : p->sources.dev, .dev_clips = a->dev_clips,
    };

    stage_path(p, name, folder);
    p->telling.loss = p->telling.rate = 0.0;
    snprintf(p->telling.what, sizeof(p->telling.what), "%s", what);
    if (p->ranks.rank == 0) {
        fprintf(stderr, "%s: %ld steps\n", what, t->settings.steps);
        progress_begin(&p->telling.progress, p->telling.what, "steps", (double)t->settings.steps);
    }
    int end = run_training(t, &run, err);
    if (p->ranks.rank == 0)
        progress_end(&p->telling.progress);
    if (end == RUN_INTERRUPTED && p->ranks.rank == 0)
        fprintf(stderr, "stopped after step %ld; the same command goes on from %s\n", t->step,
                p->folder);
    return end < 0 ? -1 : end == RUN_INTERRUPTED;
}

static int distiller_settings_of(struct distiller_settings *s, const struct prune_arguments *a,
                                 const struct model_config *c, struct error *err)
{
    static const char *const targets[] = {"params", "macs", "time"};
    int target = 0;

    *s = distiller_defaults();
    s->weights = (struct distill_weights){a->l2, a->l1, a->cos, a->log_sigmoid};
    s->sparsity = a->sparsity;
    s->reg_lr = a->reg_lr;
    s->seed = (uint64_t)a->seed;
    while (target < 3 && strcmp(a->target, targets[target]))
        target++;
    if (target == 3)
        return fail(err, "--target %.40s: expected params, macs or time", a->target);
    s->target = (enum size_target)target;
    if (s->target == TARGET_TIME && latency_measure(&s->time, c, 16, err))
        return -1;
    return gate_units_parse(&s->units, a->units, err);
}

/* Stage 1: gates, and the cut. */
static int stage_prune(struct pruning *p, const char *cut_path, struct error *err)
{
    const struct prune_arguments *a = p->a;
    struct trainer_settings settings;
    struct distiller_settings ds;
    struct distiller d = {0};
    struct trainer t = {0};
    struct model_config c;
    struct model cut;
    char gated[1100], *cut_config = NULL;
    int n_frames = (int)blocks_frames(p->sources.train->n_samples);
    int status = config_parse(&c, p->config, err) || common_settings(&settings, a, err) ||
                         distiller_settings_of(&ds, a, &c, err) ? -1 : 0;

    settings.steps = steps_of(p, a->epochs, a->steps);
    ds.sparsity_warmup = a->steps > 0
                             ? (long)((double)a->steps * a->warmup_epochs / a->epochs)
                             : steps_of(p, a->warmup_epochs, 0);
    if (status == 0)
        status = distiller_open(&d, a->model, &c, &ds, n_frames, err);
    if (status == 0)
        status = trainer_open_distilling(&t, p->config, &p->weights, p->sources.train, &settings,
                                         &d, &p->ranks, err);
    stage_path(p, "gated.safetensors", gated);
    if (status == 0)
        status = run_stage(p, &t, "1-prune", "pruning", gated, err);
    if (status == 0 && p->ranks.rank == 0) {
        struct reach reach = reach_defaults();
        struct trainer writer = t;
        gates_settle(&d.gates);
        status = shrink(&cut, &cut_config, &t.model, p->config, &d.gates, &reach, err);
        if (status == 0) {
            writer.model = cut;
            writer.config = cut_config;
            writer.list = cut.list;
            writer.n_params = cut.n_params;
            writer.settings.ema = 0.0;
            status = trainer_write_model(&writer, cut_path, p->provenance, err);
            model_close(&cut);
            free(cut_config);
        }
    }
    trainer_close(&t);
    distiller_close(&d);
    return status;
}

static char *config_of(const struct checkpoint *c, const char *path, struct error *err)
{
    char *config = c->config ? strdup(c->config) : NULL;

    if (resnet_refuse(c, err)) {
        fail_prefix(err, "%s: ", path);
        free(config);
        return NULL;
    }
    if (!config)
        fail(err, "%s: no config in the file", path);
    return config;
}

/* Stage 2: the cut model learns on from the dense one. */
static int stage_distill(struct pruning *p, const char *from, const char *to, struct error *err)
{
    const struct prune_arguments *a = p->a;
    struct trainer_settings settings;
    struct distiller_settings ds;
    struct distiller d = {0};
    struct trainer t = {0};
    struct checkpoint weights = {0};
    struct model_config c;
    char *config = NULL;
    int n_frames = (int)blocks_frames(p->sources.train->n_samples);
    int status = common_settings(&settings, a, err);

    if (status == 0)
        status = checkpoint_open(&weights, from, err);
    if (status == 0)
        status = (config = config_of(&weights, from, err)) ? config_parse(&c, config, err) : -1;
    if (status == 0)
        status = distiller_settings_of(&ds, a, &c, err);
    ds.units = 0;
    settings.steps = steps_of(p, a->distill_epochs, a->distill_steps);
    settings.schedule = SCHEDULE_COSINE;
    settings.lr_floor = 0.05;
    if (status == 0)
        status = distiller_open(&d, a->model, &c, &ds, n_frames, err);
    if (status == 0)
        status = trainer_open_distilling(&t, config, &weights, p->sources.train, &settings, &d,
                                         &p->ranks, err);
    if (status == 0)
        status = run_stage(p, &t, "2-distill", "distilling", to, err);
    trainer_close(&t);
    distiller_close(&d);
    checkpoint_close(&weights);
    free(config);
    return status;
}

/* Stage 3: diarization. */
static int stage_train(struct pruning *p, const char *from, struct error *err)
{
    const struct prune_arguments *a = p->a;
    struct trainer_settings settings;
    struct trainer t = {0};
    struct checkpoint weights = {0};
    char *config = NULL;
    int status = common_settings(&settings, a, err);

    settings.lr = a->lr;
    settings.lr_encoder = a->lr_encoder;
    settings.adamw = adamw_defaults();
    settings.affinity = a->affinity;
    settings.ema = a->ema;
    settings.schedule = SCHEDULE_COSINE;
    settings.lr_floor = 0.02;
    settings.steps = steps_of(p, a->train_epochs, a->train_steps);
    if (status == 0)
        status = checkpoint_open(&weights, from, err);
    if (status == 0)
        status = (config = config_of(&weights, from, err)) ? 0 : -1;
    if (status == 0)
        status = trainer_open(&t, config, &weights, p->sources.train, &settings, &p->ranks, err);
    if (status == 0)
        status = run_stage(p, &t, "3-train", "training", a->output, err);
    trainer_close(&t);
    checkpoint_close(&weights);
    free(config);
    return status;
}

static int run_stages(struct pruning *p, struct error *err)
{
    const char *stages = p->a->stages;
    char cut[1100], distilled[1100];
    int has_readout = strstr(p->config, "\"readout\":{") != NULL, status = 0;

    stage_path(p, "cut.safetensors", cut);
    stage_path(p, "distilled.safetensors", distilled);
    if (p->ranks.rank == 0 && mkdir(p->folder, 0777) && errno != EEXIST)
        return fail(err, "%s: %s", p->folder, strerror(errno));
    ranks_any(&p->ranks, 0); // the folder is there for all
    if (strchr(stages, '1') && !exists(cut))
        status = stage_prune(p, cut, err);
    ranks_any(&p->ranks, 0);
    if (status == 0 && strchr(stages, '2') && !exists(distilled))
        status = stage_distill(p, cut, distilled, err);
    ranks_any(&p->ranks, 0);
    if (status == 0 && strchr(stages, '3') && has_readout)
        status = stage_train(p, exists(distilled) ? distilled : cut, err);
    else if (status == 0 && p->ranks.rank == 0 && exists(distilled) && rename(distilled, p->a->output))
        status = fail(err, "%s: %s", p->a->output, strerror(errno));
    if (status == 0 && p->ranks.rank == 0 && p->a->report)
        status = prune_report(p->a->report, p->folder, p->a->model, p->a->output, err);
    return status;
}

int prune_run(const struct prune_arguments *a, struct error *err)
{
    struct pruning *p = calloc(1, sizeof(*p));
    struct model_config c;
    struct sigaction action = {.sa_handler = interrupt};
    int status = -1;

    if (!p)
        return fail(err, "out of memory");
    p->a = a;
    snprintf(p->folder, sizeof(p->folder), "%s%s", a->run ? a->run : a->output,
             a->run ? "" : ".run");
    snprintf(p->provenance, sizeof(p->provenance),
             "antiphon prune, from %s, %.3g of its %s cut, data %s, seed %lld", a->model,
             a->sparsity, a->target, a->data.speech ? a->data.speech : a->data.data, a->seed);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (ranks_open(&p->ranks, err) == 0 && checkpoint_open(&p->weights, a->model, err) == 0 &&
        (p->config = config_of(&p->weights, a->model, err)) != NULL &&
        config_parse(&c, p->config, err) == 0 &&
        finetune_sources_open(&p->sources, &a->data, &c, a->threads, (uint64_t)a->seed, err) == 0)
        status = run_stages(p, err);
    if (status < 0 && p->ranks.size > 1) {
        fprintf(stderr, "antiphon: rank %d: %s\n", p->ranks.rank, err->text);
        ranks_abort(&p->ranks, EXIT_FAILURE);
    }
    ranks_close(&p->ranks);
    finetune_sources_close(&p->sources);
    checkpoint_close(&p->weights);
    free((char *)(uintptr_t)p->config);
    free(p);
    return status < 0 ? -1 : 0;
}
