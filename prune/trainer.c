// SPDX-License-Identifier: MIT
#include "prune/trainer.h"

#include "model/clock.h"
#include "model/op.h"
#include "model/random.h"
#include "prune/worker.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct trainer_settings trainer_defaults(void)
{
    return (struct trainer_settings){
        .batch = 16,
        .accumulate = 1,
        .threads = 1,
        .steps = 1000,
        .lr = 1e-3,
        .lr_encoder = 2e-5,
        .adamw = adamw_defaults(),
        .schedule = SCHEDULE_CONSTANT,
        .lr_floor = 0.0,
        .clip_quantile = 0.9,
        .extractor_scale = 0.1,
        .dropout = -1.0,
        .exact = 1,
        .vector_margin = 0.2,
        .vector_scale = 30.0,
        .vector_frames = 25,
        .n_blocks = 1,
        .n_lefts = 1,
        .seed = 1,
    };
}

static struct reach training_reach(const struct trainer *t)
{
    const struct trainer_settings *s = &t->settings;
    int left = 0;

    for (int i = 0; i < s->n_lefts; i++) {
        int frames = s->left_frames[i] > 0 ? s->left_frames[i] : t->n_frames;
        left = frames > left ? frames : left;
    }
    return (struct reach){
        .block_frames = t->n_frames + 1,
        .left_frames = left < t->n_frames ? left : t->n_frames,
        .n_blocks = 1,
        .stream_frames = t->n_frames,
        .keep = s->recompute ? KEEP_INPUTS : KEEP_ALL,
    };
}

/* A run's state is a model among other things. */
static int is_state(const char *name)
{
    return strncmp(name, "train.", 6) == 0 || strncmp(name, "gate.", 5) == 0;
}

/* A config may ask for what a checkpoint lacks: model_open refuses it. */
static int copy_weights(struct trainer *t, const struct checkpoint *weights, struct error *err)
{
    struct checkpoint file = *weights;
    struct model source;
    struct reach least = reach_defaults();
    int status;

    file.config = t->config;
    file.n_tensors = 0;
    file.tensors = malloc(((size_t)weights->n_tensors + 1) * sizeof(*file.tensors));
    if (!file.tensors)
        return fail(err, "out of memory");
    for (int i = 0; i < weights->n_tensors; i++) {
        if (!is_state(weights->tensors[i].name))
            file.tensors[file.n_tensors++] = weights->tensors[i];
    }
    status = model_open(&source, &file, &least, err);
    free(file.tensors);
    if (status)
        return -1;
    for (int i = 0; i < t->n_params; i++) {
        const float *values = param_values(&source.params, &t->list[i]);
        if (values)
            memcpy(*param_slot(&t->model.params, &t->list[i]), values,
                   param_count(&t->list[i]) * sizeof(float));
    }
    model_close(&source);
    return 0;
}

static int is_frozen(const struct trainer *t, const struct param *p)
{
    if (p->kind != PARAM_WEIGHT || (t->distiller && !p->encoder))
        return 1;
    for (int i = 0; i < t->settings.n_freeze; i++) {
        if (fnmatch(t->settings.freeze[i], p->name, 0) == 0)
            return 1;
    }
    return 0;
}

/* Which parts learn at all: a walk ends where nothing more does. */
static void set_frozen(struct trainer *t)
{
    int extractor = 0, encoder = 0;

    for (int i = 0; i < t->n_params; i++) {
        const struct param *p = &t->list[i];
        t->frozen[i] = (unsigned char)is_frozen(t, p);
        if (!t->frozen[i] && p->encoder)
            encoder = 1;
        if (!t->frozen[i] && strstr(p->name, "feature_extractor."))
            extractor = 1;
    }
    for (int i = 0; i < t->n_workers; i++) {
        struct gradients *g = &t->workers[i].gradients;
        g->extractor_scale = (float)t->settings.extractor_scale;
        g->train_extractor = extractor;
        g->train_encoder = encoder;
    }
}

static void moments_place(struct trainer *t)
{
    params_place(&t->m, t->list, t->n_params, &t->moments);
    params_place(&t->v, t->list, t->n_params, &t->moments);
    if (t->settings.ema > 0.0)
        params_place(&t->ema, t->list, t->n_params, &t->moments);
    heads_place(&t->heads, &t->moments);
}

static void ema_start(struct trainer *t)
{
    for (int i = 0; t->settings.ema > 0.0 && i < t->n_params; i++)
        memcpy(*param_slot(&t->ema, &t->list[i]), param_values(&t->model.params, &t->list[i]),
               param_count(&t->list[i]) * sizeof(float));
}

static void override_dropout(struct model_config *c, float rate)
{
    c->wavlm.projection_dropout = c->wavlm.attention_dropout = rate;
    c->wavlm.dropout = rate;
    c->readout.dropout = c->readout.conv_dropout = rate;
}

/* What the losses that were asked for need. */
static int add_heads(struct trainer *t, struct error *err)
{
    const struct readout_config *r = &t->model.config.readout;

    t->voices = -1;
    if (t->settings.vector <= 0.0 || t->distiller)
        return 0;
    if (!r->embedding)
        return fail(err, "a loss of speaker vectors, but the model has no embedding readout: set "
                    "embedding_dim in its config, or leave --vector out");
    if (t->source->n_known < 2)
        return fail(err, "a loss of speaker vectors, but the data knows %d speakers",
                    t->source->n_known);
    t->voices = heads_add(&t->heads, "voices", t->source->n_known, r->embedding, 1, 1.0f);
    return 0;
}

static int trainer_start(struct trainer *t, const struct checkpoint *weights, struct error *err)
{
    struct reach reach = training_reach(t);

    if (model_open_config(&t->model, t->config, &reach, err))
        return -1;
    t->list = t->model.list;
    t->n_params = t->model.n_params;
    if (!t->model.config.readout.present && !t->distiller)
        return fail(err, "the model has no readout: nothing says who speaks");
    if (t->settings.dropout >= 0.0)
        override_dropout(&t->model.config, (float)t->settings.dropout);
    if (weights && copy_weights(t, weights, err))
        return -1;
    if (!weights)
        params_randomize(&t->model.params, t->list, t->n_params, t->settings.seed);
    if (t->distiller) // representations alone are compared; its tensors stay in the list
        t->model.config.readout.present = 0;
    if (add_heads(t, err))
        return -1;
    moments_place(t);
    if (arena_commit(&t->moments, err))
        return -1;
    moments_place(t);
    ema_start(t);
    heads_randomize(&t->heads, t->settings.seed);
    if (weights)
        heads_begin_from(&t->heads, weights);
    model_derive(&t->model);

    t->n_workers = t->settings.threads < t->settings.batch ? t->settings.threads
                                                           : t->settings.batch;
    t->workers = calloc((size_t)t->n_workers, sizeof(*t->workers));
    t->gradients = calloc((size_t)t->n_workers, sizeof(*t->gradients));
    t->frozen = calloc((size_t)t->n_params, 1);
    if (!t->workers || !t->gradients || !t->frozen)
        return fail(err, "out of memory");
    op_set_threads(t->n_workers);
    t->peak = op_peak(err);
    op_set_threads(1); // each worker computes its own clips
    if (t->peak < 0.0)
        return -1;
    for (int i = 0; i < t->n_workers; i++) {
        if (worker_open(&t->workers[i], t, i, err))
            return -1;
        t->gradients[i] = &t->workers[i].gradients;
    }
    set_frozen(t);
    reduce_open(&t->reduce, &t->model, t->gradients, t->n_workers, t->ranks);
    return team_open(&t->team, t->n_workers, t->ranks, err);
}

int trainer_open(struct trainer *t, const char *config, const struct checkpoint *weights,
                 const struct clip_source *source, const struct trainer_settings *settings,
                 struct ranks *ranks, struct error *err)
{
    return trainer_open_distilling(t, config, weights, source, settings, NULL, ranks, err);
}

int trainer_open_distilling(struct trainer *t, const char *config,
                            const struct checkpoint *weights, const struct clip_source *source,
                            const struct trainer_settings *settings, struct distiller *distiller,
                            struct ranks *ranks, struct error *err)
{
    memset(t, 0, sizeof(*t));
    t->distiller = distiller;
    t->settings = *settings;
    t->source = source;
    t->ranks = ranks;
    t->n_frames = (int)blocks_frames(source->n_samples);
    t->plateau_factor = 1.0;
    t->config = strdup(config);
    if (settings->batch < 1 || settings->accumulate < 1)
        return fail(err, "a batch of %d clips, %d times a step: expected 1 or more",
                    settings->batch, settings->accumulate);
    if (!t->config)
        return fail(err, "out of memory");
    if (trainer_start(t, weights, err)) {
        trainer_close(t);
        return -1;
    }
    return 0;
}

void trainer_close(struct trainer *t)
{
    team_close(&t->team);
    reduce_close(&t->reduce);
    for (int i = 0; t->workers && i < t->n_workers; i++)
        worker_close(&t->workers[i]);
    free(t->workers);
    free(t->gradients);
    free(t->frozen);
    free(t->config);
    arena_release(&t->moments);
    model_close(&t->model);
    memset(t, 0, sizeof(*t));
}

/* How this step's clips are cut: the same on all ranks. */
static void draw_blocks(struct trainer *t)
{
    const struct trainer_settings *s = &t->settings;
    struct random rng;

    random_init(&rng, s->seed * 0x9e3779b97f4a7c15u + (uint64_t)t->step);
    t->block_frames = s->block_frames[random_bits(&rng) % (uint64_t)s->n_blocks];
    t->left_frames = s->left_frames[random_bits(&rng) % (uint64_t)s->n_lefts];
}

static double gradient_norm(const struct trainer *t, const struct model_params *g)
{
    double squares = 0.0;

    for (int i = 0; i < t->n_params; i++) {
        if (!t->frozen[i])
            squares += squares_sum(param_values(g, &t->list[i]), param_count(&t->list[i]));
    }
    squares += squares_sum(t->gradients[0]->heads, t->heads.n_floats);
    if (t->distiller)
        squares += distiller_squares(t->distiller);
    return sqrt(squares);
}

/* Largest norm that passes, by the settings; 0: any. */
static double clip_value(struct trainer *t, double norm)
{
    double scratch[TRAINER_HISTORY];

    t->history[t->n_history % TRAINER_HISTORY] = norm;
    t->n_history++;
    if (t->settings.clip > 0.0)
        return t->settings.clip;
    if (t->settings.clip_quantile <= 0.0)
        return 0.0;
    return norm_quantile(t->history,
                         t->n_history < TRAINER_HISTORY ? t->n_history : TRAINER_HISTORY,
                         t->settings.clip_quantile, scratch);
}

static int decays(const struct trainer *t, const struct param *p)
{
    return t->settings.decay_all || (p->n_axes >= 2 && p->axis[0] != AXIS_ONE);
}

static void apply_heads(struct trainer *t, int member, const struct adamw *plain)
{
    struct heads *h = &t->heads;

    for (int k = 0; k < h->n; k++) {
        const struct head *p = &h->list[k];
        size_t n = (size_t)p->rows * (size_t)p->columns;
        size_t from = n * (size_t)member / (size_t)t->n_workers;
        size_t count = n * (size_t)(member + 1) / (size_t)t->n_workers - from;
        from += p->at;
        adamw_step(h->values + from, h->m + from, h->v + from, t->gradients[0]->heads + from, count,
                   p->decays ? &t->settings.adamw : plain, t->lr, t->scale, t->step + 1);
    }
}

/* One member's stretch of every tensor. */
static void apply(void *user, int member)
{
    struct trainer *t = user;
    const struct model_params *g = &t->gradients[0]->params;
    struct adamw plain = t->settings.adamw;

    plain.decay = 0.0;
    apply_heads(t, member, &plain);
    for (int i = 0; i < t->n_params; i++) {
        const struct param *p = &t->list[i];
        size_t n = param_count(p), from = n * (size_t)member / (size_t)t->n_workers;
        size_t count = n * (size_t)(member + 1) / (size_t)t->n_workers - from;
        float *w = *param_slot(&t->model.params, p) + from;

        if (!t->frozen[i])
            adamw_step(w, *param_slot(&t->m, p) + from, *param_slot(&t->v, p) + from,
                       param_values(g, p) + from, count,
                       decays(t, p) ? &t->settings.adamw : &plain,
                       p->encoder ? t->lr_encoder : t->lr, t->scale, t->step + 1);
        if (t->settings.ema > 0.0)
            ema_step(*param_slot(&t->ema, p) + from, w, count,
                     fmin(t->settings.ema, (1.0 + (double)t->step) / (10.0 + (double)t->step)));
    }
}

static void add_sums(struct objective_sums *total, struct trainer *t)
{
    double *to = (double *)(void *)total;

    *total = (struct objective_sums){0};
    for (int m = 0; m < t->n_workers; m++) {
        const double *from = (const double *)(const void *)&t->workers[m].sums;
        for (int i = 0; i < OBJECTIVE_SUMS; i++)
            to[i] += from[i];
    }
    if (t->ranks)
        ranks_sum(t->ranks, to, OBJECTIVE_SUMS);
}

static void fill_report(struct trainer *t, struct step_report *r, double norm, double clip,
                        double seconds)
{
    struct objective_sums sums;
    double flops = 0.0, speech;

    add_sums(&sums, t);
    if (t->distiller)
        sums.loss = distill_total(&t->distiller->settings.weights,
                                  &(struct distill_sums){sums.l2, sums.l1, sums.cos},
                                  sums.frames * t->distiller->settings.n_layers,
                                  t->model.config.wavlm.embed) *
                    sums.frames;
    for (int m = 0; m < t->n_workers; m++) {
        flops += t->workers[m].flops;
        t->workers[m].flops = 0.0;
    }
    speech = sums.speech > 0.0 ? sums.speech : 1.0;
    *r = (struct step_report){
        .step = t->step,
        .first_clip = t->next_clip,
        .loss = sums.loss / sums.frames,
        .affinity = sums.affinity / sums.clips,
        .vector = sums.vector / (sums.vector_clips > 0.0 ? sums.vector_clips : 1.0),
        .vector_right = 100.0 * sums.vectors_right / (sums.vectors > 0.0 ? sums.vectors : 1.0),
        .missed = 100.0 * sums.missed / speech,
        .false_alarm = 100.0 * sums.false_alarm / speech,
        .confusion = 100.0 * sums.confusion / speech,
        .lr = t->lr,
        .norm = norm,
        .clip = clip,
        .seconds = seconds,
        .audio_seconds = sums.clips * (double)t->source->n_samples / 16000.0,
        .gemm_share = flops / seconds / t->peak,
        .block_frames = t->block_frames,
        .left_frames = t->left_frames,
        .sparsity = t->distiller ? t->distiller->sparsity : 0.0,
        .target = t->distiller ? t->distiller->target_now : 0.0,
    };
    r->der = r->missed + r->false_alarm + r->confusion;
}

int trainer_step(struct trainer *t, struct step_report *report, struct error *err)
{
    const struct trainer_settings *s = &t->settings;
    double began = clock_monotonic(), norm, clip, factor;
    int size = t->ranks ? t->ranks->size : 1;

    draw_blocks(t);
    factor = schedule_factor(s->schedule, t->step, s->steps, s->warmup, s->lr_floor) *
             t->plateau_factor;
    t->lr = s->lr * factor;
    t->lr_encoder = (s->lr_encoder < 0.0 ? s->lr : s->lr_encoder) * factor;
    t->stop = 0;
    if (t->distiller)
        distiller_begin(t->distiller, t->step);
    for (t->micro = 0; t->micro < s->accumulate && !t->stop; t->micro++) {
        team_run(&t->team, worker_train, t);
        if (!t->stop && !s->frozen_batch_norm && !t->distiller)
            readout_update_running(&t->model.params, &t->model.config.readout,
                                   &t->workers[0].acts.readout);
    }
    if (t->stop) {
        *err = t->error;
        return -1;
    }
    reduce_finish(&t->reduce);
    gradients_fold(t->gradients[0], &t->model);
    if (t->distiller)
        distiller_slopes(t->distiller, &t->gradients[0]->masks, t->step);
    norm = gradient_norm(t, &t->gradients[0]->params);
    if (!isfinite(norm))
        return fail(err, "step %ld: the gradient's norm is %g; clips %s ... %s", t->step + 1, norm,
                    t->workers[0].clips[0].origin,
                    t->workers[t->n_workers - 1].clips[t->workers[t->n_workers - 1].n_clips - 1]
                        .origin);
    clip = clip_value(t, norm);
    t->scale = clip > 0.0 ? fmin(1.0, clip / (norm + 1e-6)) : 1.0;
    team_run(&t->team, apply, t);
    if (t->distiller)
        distiller_apply(t->distiller, t->scale, t->step);
    model_derive(&t->model);
    t->step++;
    fill_report(t, report, norm, clip, clock_monotonic() - began);
    t->next_clip += (uint64_t)(s->batch * size * s->accumulate);
    return 0;
}

static void swap_ema(struct trainer *t)
{
    struct model_params kept = t->model.params;

    if (t->settings.ema <= 0.0)
        return;
    t->model.params = t->ema;
    t->ema = kept;
    model_derive(&t->model);
}

int trainer_validate(struct trainer *t, const struct clip_source *source, uint64_t first,
                     int n_clips, int block_frames, int left_frames, struct objective_sums *sums,
                     struct error *err)
{
    struct validation v = {t, source, first, n_clips, block_frames, left_frames};
    double peak;

    t->stop = 0;
    swap_ema(t);
    team_run(&t->team, worker_validate, &v);
    swap_ema(t);
    if (t->stop) {
        *err = t->error;
        return -1;
    }
    add_sums(sums, t);
    op_set_threads(t->n_workers); // others may have held the machine before: the best counts
    peak = op_peak(err);
    op_set_threads(1);
    t->peak = peak > t->peak ? peak : t->peak;
    return peak < 0.0 ? -1 : 0;
}
