// SPDX-License-Identifier: MIT
#include "prune/trainer.h"

#include "model/clock.h"
#include "model/op.h"
#include "model/random.h"
#include "prune/worker.h"

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
        .scores = 1.0,
        .vector_margin = 0.2,
        .vector_scale = 30.0,
        .vector_frames = 25,
        .n_blocks = 1,
        .n_lefts = 1,
        .seed = 1,
    };
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
        sums.loss = worker_distance(t, &sums) * sums.frames;
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
        .mels = sums.mels / sums.frames,
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

/* What is no weight (BatchNorm's running statistics) moves before a step is known
 * to be good: a copy of it, or back. */
static void buffers_copy(struct trainer *t, int back)
{
    float *at = t->buffers;

    for (int i = 0; i < t->n_params; i++) {
        const struct param *p = &t->list[i];
        float *here = *param_slot(&t->model.params, p);
        size_t n = param_count(p);
        if (p->kind == PARAM_WEIGHT)
            continue;
        memcpy(back ? here : at, back ? at : here, n * sizeof(float));
        at += n;
    }
}

static int failed_norm(const struct trainer *t, double norm, struct error *err)
{
    const struct worker *last = &t->workers[t->n_workers - 1];

    return fail(err, "step %ld: the gradient's norm is %g; clips %s ... %s", t->step + 1, norm,
                t->workers[0].clips[0].origin, last->clips[last->n_clips - 1].origin);
}

/* All clips of the step forward and back; their gradient, summed over all ranks. */
static int gather_gradient(struct trainer *t, struct error *err)
{
    const struct trainer_settings *s = &t->settings;

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
    return 0;
}

int trainer_step(struct trainer *t, struct step_report *report, struct error *err)
{
    const struct trainer_settings *s = &t->settings;
    double began = clock_monotonic(), computed = clock_process(), norm, clip, factor;
    int size = t->ranks ? t->ranks->size : 1;

    draw_blocks(t);
    factor = schedule_factor(s->schedule, t->step, s->steps, s->warmup, s->lr_floor) *
             t->plateau_factor;
    t->lr = s->lr * factor;
    t->lr_encoder = (s->lr_encoder < 0.0 ? s->lr : s->lr_encoder) * factor;
    buffers_copy(t, 0);
    if (gather_gradient(t, err)) {
        buffers_copy(t, 1);
        return -1;
    }
    norm = gradient_norm(t, &t->gradients[0]->params);
    if (!isfinite(norm)) {
        buffers_copy(t, 1);
        return failed_norm(t, norm, err);
    }
    clip = clip_value(t, norm);
    t->scale = clip > 0.0 ? fmin(1.0, clip / (norm + 1e-6)) : 1.0;
    team_run(&t->team, apply, t);
    if (t->distiller)
        distiller_apply(t->distiller, t->scale, t->step);
    model_derive(&t->model);
    t->step++;
    fill_report(t, report, norm, clip, clock_monotonic() - began);
    report->cpu_seconds = clock_process() - computed;
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
    if (t->distiller)
        gates_settle(&t->distiller->gates);
    swap_ema(t);
    team_run(&t->team, worker_validate, &v);
    swap_ema(t);
    if (t->stop) {
        *err = t->error;
        return -1;
    }
    add_sums(sums, t);
    if (t->distiller)
        sums->loss = worker_distance(t, sums) * sums->frames;
    op_set_threads(t->n_workers); // others may have held the machine before: the best counts
    peak = op_peak(err);
    op_set_threads(1);
    t->peak = peak > t->peak ? peak : t->peak;
    return peak < 0.0 ? -1 : 0;
}
