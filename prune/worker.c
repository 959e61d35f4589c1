// SPDX-License-Identifier: MIT
#include "prune/worker.h"

#include "model/op.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int most_blocks(const struct trainer *t)
{
    int most = 1;

    for (int i = 0; i < t->settings.n_blocks; i++) {
        int frames = t->settings.block_frames[i];
        int n = frames > 0 ? (t->n_frames + frames - 1) / frames : 1;
        most = n > most ? n : most;
    }
    return most;
}

int worker_open(struct worker *w, struct trainer *t, int index, struct error *err)
{
    const struct model_config *c = &t->model.config;
    int n = t->n_workers, E = c->readout.embedding, kin = clip_excerpts(t->source);
    int64_t samples = t->source->n_samples;

    *w = (struct worker){.member = {&t->team, index}};
    w->first = (int)((long)(t->settings.batch / kin) * index / n) * kin; // a meeting's go to one
    w->n_clips = (int)((long)(t->settings.batch / kin) * (index + 1) / n) * kin - w->first;
    w->stride = t->settings.batch * (t->ranks ? t->ranks->size : 1);
    size_t rows = (size_t)w->n_clips * (size_t)t->n_frames;

    if (c->readout.present)
        objective_init(&w->objective, &c->readout);
    w->objective.exact = t->settings.exact;
    w->objective.affinity = (float)t->settings.affinity;
    w->voice = (struct voice_loss){
        t->voices < 0 ? 0 : t->source->n_known, t->voices < 0 ? 0 : E,
        (float)t->settings.vector_margin, (float)t->settings.vector_scale,
        t->settings.vector_frames,
    };
    /* The state and acts take the model's reach: this worker's rows. */
    struct model view = t->model;
    view.reach.n_rows = (int)rows;
    view.reach.n_blocks = w->n_clips * most_blocks(t);
    w->clips = calloc((size_t)w->n_clips, sizeof(*w->clips));
    w->blocks = calloc((size_t)view.reach.n_blocks, sizeof(*w->blocks));
    w->samples = calloc((size_t)w->n_clips * (size_t)samples, sizeof(float));
    w->score_slopes = calloc(rows * (size_t)c->readout.n_classes + 1, sizeof(float));
    w->trait_slopes = calloc(rows * (size_t)config_traits(c), sizeof(float));
    w->vectors = calloc(rows * (size_t)E + 1, sizeof(float));
    w->vector_slopes = calloc(rows * (size_t)E + 1, sizeof(float));
    w->scratch = calloc(objective_scratch_floats(kin, t->n_frames, E) + 1, sizeof(float));
    w->voice_scratch = calloc(voice_loss_scratch_floats(&w->voice, w->n_clips), sizeof(float));
    if (t->mel_weight >= 0) {
        size_t scratch = (mels_scratch_floats() * sizeof(float) + 63) / 64 * 64;
        w->mel_targets = calloc(rows * MELS, sizeof(float));
        w->mel_guess = calloc(rows * MELS, sizeof(float));
        w->mel_scratch = aligned_alloc(64, scratch);
        w->projection_slopes = calloc(rows * (size_t)c->wavlm.embed, sizeof(float));
        if (!w->mel_targets || !w->mel_guess || !w->mel_scratch || !w->projection_slopes)
            return fail(err, "out of memory for a batch of %d clips", t->settings.batch);
    }
    if (!w->voice_scratch || !w->clips || !w->blocks || !w->samples || !w->score_slopes || !w->trait_slopes ||
        !w->vectors || !w->vector_slopes || !w->scratch)
        return fail(err, "out of memory for a batch of %d clips", t->settings.batch);
    for (int i = 0; i < w->n_clips; i++) {
        if (clip_init(&w->clips[i], samples, err))
            return -1;
    }
    if (model_state_open(&w->state, &view, err) || model_acts_open(&w->acts, &view, err) ||
        gradients_open(&w->gradients, &view, t->distiller && t->distiller->gates.n,
                       t->heads.n_floats, err))
        return -1;
    return t->distiller ? worker_open_teacher(w, t, rows, err) : 0;
}

void worker_close(struct worker *w)
{
    clip_reader_close(&w->reader);
    for (int i = 0; w->clips && i < w->n_clips; i++)
        clip_release(&w->clips[i]);
    free(w->clips);
    free(w->blocks);
    free(w->samples);
    free(w->score_slopes);
    free(w->trait_slopes);
    free(w->vectors);
    free(w->vector_slopes);
    free(w->scratch);
    free(w->voice_scratch);
    free(w->mel_targets);
    free(w->mel_guess);
    free(w->mel_scratch);
    free(w->projection_slopes);
    free(w->teacher_blocks);
    free(w->rep_slopes);
    model_acts_close(&w->teacher_acts);
    model_state_close(&w->teacher_state);
    gradients_close(&w->gradients);
    model_acts_close(&w->acts);
    model_state_close(&w->state);
    *w = (struct worker){0};
}

/* The first failure of a step is kept; all members see it after a barrier. */
static void report_failure(struct trainer *t, const struct error *err)
{
    pthread_mutex_lock(&t->team.lock);
    if (!t->stop)
        t->error = *err;
    t->stop = 1;
    pthread_mutex_unlock(&t->team.lock);
}

/* One sample that is no number would make every loss of the batch none. */
static int check_samples(const struct clip *clip, struct error *err)
{
    for (int64_t i = 0; i < clip->n_samples; i++) {
        if (!isfinite(clip->samples[i]))
            return fail(err, "%s: sample %lld is %g", clip->origin, (long long)i,
                        clip->samples[i]);
    }
    return 0;
}

static void place_samples(struct worker *w, int i)
{
    const struct clip *clip = &w->clips[i];

    memcpy(w->samples + (size_t)i * (size_t)clip->n_samples, clip->samples,
           (size_t)clip->n_samples * sizeof(float));
}

/* The k-th clip that this worker trains on, counted from reader_first. */
static uint64_t order(void *context, uint64_t k)
{
    const struct worker *w = context;
    uint64_t n = (uint64_t)w->n_clips;

    return w->reader_first + k / n * (uint64_t)w->stride + k % n;
}

/* The batch whose first clip for this worker is `first`; in a run they follow
 * each other, so they were made ahead. */
static int fetch_batch(struct worker *w, const struct clip_source *source, uint64_t first,
                       struct error *err)
{
    if (!w->reader || w->reader_due != first) {
        struct clip_order list = {.index = order, .context = w};
        clip_reader_close(&w->reader);
        w->reader_first = first;
        if (clip_reader_open(&w->reader, source, &list, 1, w->n_clips, err))
            return -1;
    }
    w->reader_due = first + (uint64_t)w->stride;
    for (int i = 0; i < w->n_clips; i++) {
        if (clip_reader_next(w->reader, &w->clips[i], err) < 0 ||
            check_samples(&w->clips[i], err)) {
            clip_reader_close(&w->reader);
            return -1;
        }
        place_samples(w, i);
    }
    return 0;
}

int worker_plan(struct block *blocks, int n_clips, int n_frames, int64_t n_samples,
                int block_frames)
{
    int n = 0, row = 0;

    for (int i = 0; i < n_clips; i++) {
        struct position at = {0};
        struct block b;
        while (block_next(&b, &at, n_samples - at.samples, 1,
                          block_frames > 0 ? block_frames : n_frames + 1, 0)) {
            b.row = row;
            row += block_rows(&b);
            blocks[n++] = b;
            position_advance(&at, &b);
        }
    }
    return n;
}

/* Frames of context that a clip can have: what was asked for, 0 being all. */
static int effective_left(const struct trainer *t, int left)
{
    int most = t->model.reach.left_frames;

    return left > 0 && left < most ? left : most;
}

static void forward(struct worker *w, const struct trainer *t, int n_blocks, int left)
{
    model_state_set_left(&w->state, &t->model, effective_left(t, left));
    struct model view = t->model;
    view.reach.n_blocks = n_blocks;
    model_forward(&w->acts, &w->state, &view, w->samples, w->blocks, n_blocks);
}

static int has_vectors(const struct worker *w, const struct trainer *t)
{
    return t->model.config.readout.embedding && (w->objective.affinity > 0.0f || t->voices >= 0);
}

/* Slopes by the traits, of losses of the speaker vectors. */
static void judge_vectors(struct worker *w, struct trainer *t, float weight)
{
    const struct model *m = &t->model;
    const struct linear_params *p = &m->params.embedding;
    struct linear_params *d = &w->gradients.params.embedding;
    int T = t->n_frames, V = config_traits(&m->config), E = m->config.readout.embedding;
    int rows = w->n_clips * T, kin = clip_excerpts(t->source);

    linear_forward(w->vectors, w->acts.readout.traits, p->weight, p->bias, rows, V, E);
    memset(w->vector_slopes, 0, (size_t)rows * (size_t)E * sizeof(float));
    for (int i = 0; w->objective.affinity > 0.0f && i < w->n_clips; i += kin) {
        size_t at = (size_t)i * (size_t)T * (size_t)E;
        objective_affinity(&w->sums, w->vector_slopes + at, w->vectors + at, &w->clips[i], kin, E,
                           weight * w->objective.affinity, w->scratch);
    }
    if (t->voices >= 0) {
        long ramp = t->settings.vector_ramp;
        float grown = t->step < ramp ? (float)t->step / (float)ramp : 1.0f;
        w->voice.margin = (float)t->settings.vector_margin * grown;
        size_t at = t->heads.list[t->voices].at;
        voice_loss(&w->voice, &w->sums, w->vector_slopes, w->gradients.heads + at, w->vectors,
                   t->heads.values + at, w->clips, w->n_clips,
                   weight * (float)t->settings.vector, w->voice_scratch);
    }
    linear_backward(w->trait_slopes, 0.0f, d->weight, d->bias, w->vector_slopes,
                    w->acts.readout.traits, p->weight, rows, V, E);
}

/* Slopes by the feature projection. */
static void judge_mels(struct worker *w, struct trainer *t, float weight)
{
    const struct heads *h = &t->heads;
    size_t at = h->list[t->mel_weight].at, at_bias = h->list[t->mel_bias].at;
    int T = t->n_frames;

    for (int i = 0; i < w->n_clips; i++)
        mels_targets(w->mel_targets + (size_t)i * (size_t)T * MELS, &t->mels, &w->clips[i],
                     w->mel_scratch);
    mels_loss(&w->sums, w->projection_slopes, w->gradients.heads + at,
              w->gradients.heads + at_bias, w->mel_guess, w->acts.encoder.projection,
              w->mel_targets, h->values + at, h->values + at_bias, w->n_clips * T,
              t->model.config.wavlm.embed, weight * (float)t->settings.mels / (float)T);
}

/* Slopes by the scores and by the sum of representations. */
static void judge(struct worker *w, struct trainer *t, float weight)
{
    int T = t->n_frames, classes = t->model.config.readout.n_classes;

    for (int i = 0; i < w->n_clips; i++) {
        size_t at = (size_t)i * (size_t)T * (size_t)classes;
        objective_scores(&w->objective, &w->sums, w->score_slopes + at,
                         w->acts.readout.scores + at, &w->clips[i],
                         weight * (float)t->settings.scores);
    }
    if (has_vectors(w, t))
        judge_vectors(w, t, weight);
    if (t->mel_weight >= 0)
        judge_mels(w, t, weight);
}

/* Where the clips of a bad step came from. */
static void blame(struct trainer *t, struct worker *w, double loss)
{
    struct error err;

    fail(&err, "step %ld: the loss is %g; clips %s ... %s", t->step + 1, loss,
         w->clips[0].origin, w->clips[w->n_clips - 1].origin);
    report_failure(t, &err);
}

static void train_on_batch(struct trainer *t, struct worker *w, int member)
{
    const struct trainer_settings *s = &t->settings;
    int last = t->micro == s->accumulate - 1, size = t->ranks ? t->ranks->size : 1;
    int rank = t->ranks ? t->ranks->rank : 0;
    double flops = op_flops();
    struct error err;

    w->training = (struct training){
        .seed = s->seed ^ ((uint64_t)(t->step * s->accumulate + t->micro) << 20) ^
                ((uint64_t)rank << 10) ^ (uint64_t)member,
        .dropout = 1,
        .layer_drop = (float)s->layer_drop,
        .batch_statistics = !s->frozen_batch_norm,
        .sum = team_sum,
        .user = &w->member,
        .masks = distiller_masks(t->distiller),
        .open_norms = t->distiller && t->distiller->settings.open_norms,
    };
    w->acts.training = &w->training;
    w->gradients.done = last ? reduce_done : NULL;
    w->gradients.user = &t->reduce;
    if (t->micro == 0) {
        gradients_clear(&w->gradients);
        w->sums = (struct objective_sums){0};
    }
    uint64_t first = t->next_clip + (uint64_t)t->micro * (uint64_t)(s->batch * size) +
                     (uint64_t)(rank * s->batch + w->first);
    if (fetch_batch(w, t->source, first, &err)) {
        fail_prefix(&err, "step %ld: ", t->step + 1);
        report_failure(t, &err);
    }
    team_barrier(&t->team);
    if (t->stop)
        return;
    int n_blocks = worker_plan(w->blocks, w->n_clips, t->n_frames, t->source->n_samples, t->block_frames);
    forward(w, t, n_blocks, t->left_frames);
    float weight = 1.0f / (float)(s->batch * size * s->accumulate);
    const float *reps[MAX_LAYERS + 1] = {0};
    if (t->distiller)
        worker_compare(w, t, w->n_clips, weight, reps);
    else
        judge(w, t, weight);
    double all = w->sums.loss + w->sums.affinity + w->sums.vector + w->sums.mels + w->sums.l1 +
                 w->sums.l2 + w->sums.cos;
    if (!isfinite(all))
        blame(t, w, all / w->sums.frames);
    team_barrier(&t->team);
    if (t->stop)
        return;
    struct loss_slopes slopes = {.rep = reps};
    if (!t->distiller) {
        slopes.scores = t->settings.scores > 0.0 ? w->score_slopes : NULL;
        slopes.projection = w->projection_slopes;
        if (has_vectors(w, t))
            slopes.traits = w->trait_slopes;
    }
    walk_backward(&w->gradients, &w->acts, &w->state, &t->model, &slopes,
                  effective_left(t, t->left_frames), w->blocks, n_blocks);
    w->flops += op_flops() - flops;
}

void worker_train(void *user, int member)
{
    struct trainer *t = user;
    enum gemm_precision was = gemm_set_precision(t->settings.bf16 ? GEMM_BF16 : GEMM_F32);

    train_on_batch(t, &t->workers[member], member);
    gemm_set_precision(was);
}

void worker_validate(void *user, int member)
{
    struct validation *v = user;
    struct trainer *t = v->trainer;
    struct worker *w = &t->workers[member];
    int size = t->ranks ? t->ranks->size : 1, rank = t->ranks ? t->ranks->rank : 0;
    int stride = size * t->n_workers, place = rank * t->n_workers + member;
    struct error err;

    w->sums = (struct objective_sums){0};
    w->training = (struct training){
        .masks = distiller_masks(t->distiller),
        .open_norms = t->distiller && t->distiller->settings.open_norms,
    };
    w->acts.training = w->training.masks ? &w->training : NULL;
    for (int i = place; i < v->n_clips; i += stride) {
        if (v->source->get(&w->clips[0], v->source, v->first + (uint64_t)i, &err)) {
            report_failure(t, &err);
            return;
        }
        place_samples(w, 0);
        int n_blocks = worker_plan(w->blocks, 1, t->n_frames, v->source->n_samples, v->block_frames);
        forward(w, t, n_blocks, v->left_frames);
        if (t->distiller) {
            const float *reps[MAX_LAYERS + 1];
            worker_compare(w, t, 1, 1.0f, reps);
            continue;
        }
        objective_scores(&w->objective, &w->sums, w->score_slopes, w->acts.readout.scores,
                         &w->clips[0], 1.0f);
    }
}
