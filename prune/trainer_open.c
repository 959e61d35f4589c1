// SPDX-License-Identifier: MIT
/* trainer_open.c - what a trainer consists of before its first step. */
#include "prune/trainer.h"

#include "model/op.h"
#include "prune/worker.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* A config may ask for what a checkpoint lacks: model_open refuses it. */
static int copy_weights(struct trainer *t, const struct checkpoint *weights, struct error *err)
{
    struct checkpoint file = *weights;
    struct model source;
    struct reach least = reach_defaults();
    int status;

    file.config = t->config;
    file.tensors = malloc(((size_t)weights->n_tensors + 1) * sizeof(*file.tensors));
    if (!file.tensors)
        return fail(err, "out of memory");
    memcpy(file.tensors, weights->tensors, (size_t)weights->n_tensors * sizeof(*file.tensors));
    checkpoint_take_model(&file);
    status = model_open(&source, &file, &least, err);
    free(file.tensors);
    if (status)
        return fail_prefix(err, "the model to begin with: ");
    for (int i = 0; i < t->n_params; i++) {
        const float *values = param_values(&source.params, &t->list[i]);
        if (values)
            memcpy(*param_slot(&t->model.params, &t->list[i]), values,
                   param_count(&t->list[i]) * sizeof(float));
    }
    model_close(&source);
    return 0;
}

/* A pattern may leave out what a diarization model puts before its encoder's names. */
static int is_meant(const char *pattern, const struct param *p)
{
    static const char prefix[] = "wavlm_model.";
    size_t n = strncmp(p->name, prefix, sizeof(prefix) - 1) ? 0 : sizeof(prefix) - 1;

    return fnmatch(pattern, p->name, 0) == 0 || fnmatch(pattern, p->name + n, 0) == 0;
}

static int check_patterns(const struct trainer *t, struct error *err)
{
    for (int i = 0; i < t->settings.n_freeze; i++) {
        int any = 0;
        for (int k = 0; k < t->n_params; k++)
            any = any || is_meant(t->settings.freeze[i], &t->list[k]);
        if (!any)
            return fail(err, "no tensor of the model has a name like %.60s, to be frozen",
                        t->settings.freeze[i]);
    }
    return 0;
}

static int is_frozen(const struct trainer *t, const struct param *p)
{
    if (p->kind != PARAM_WEIGHT || (t->distiller && !p->encoder))
        return 1;
    for (int i = 0; i < t->settings.n_freeze; i++) {
        if (is_meant(t->settings.freeze[i], p))
            return 1;
    }
    return 0;
}

/* Which parts learn at all: a walk ends where nothing more does. */
static int set_frozen(struct trainer *t, struct error *err)
{
    int extractor = 0, encoder = 0, any = t->heads.n || t->distiller;

    for (int i = 0; i < t->n_params; i++) {
        const struct param *p = &t->list[i];
        t->frozen[i] = (unsigned char)is_frozen(t, p);
        any = any || !t->frozen[i];
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
    return any ? 0 : fail(err, "every tensor is frozen: nothing is left to learn");
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

static int add_voices(struct trainer *t, struct error *err)
{
    const struct readout_config *r = &t->model.config.readout;

    if (!r->embedding)
        return fail(err, "a loss of speaker vectors, but the model has no embedding readout: set "
                    "embedding_dim in its config, or leave --vector out");
    if (t->source->n_known < 2)
        return fail(err, "a loss of speaker vectors, but the data knows %d speakers",
                    t->source->n_known);
    /* As Glorot and Bengio (2010): small, so that they turn quickly. */
    t->voices = heads_add(&t->heads, "voices", t->source->n_known, r->embedding, 1,
                          sqrtf(2.0f / (float)(t->source->n_known + r->embedding)));
    return 0;
}

/* What the losses that were asked for need. */
static int add_heads(struct trainer *t, struct error *err)
{
    int C = t->model.config.wavlm.embed;

    t->voices = t->mel_weight = t->mel_bias = -1;
    if (t->distiller)
        return 0;
    if (t->settings.affinity > 0.0 && !t->model.config.readout.embedding)
        return fail(err, "a loss of speaker vectors, but the model has no embedding readout: set "
                    "embedding_dim in its config, or leave --affinity out");
    if (t->settings.vector > 0.0 && add_voices(t, err))
        return -1;
    if (t->settings.mels <= 0.0)
        return 0;
    t->mel_weight = heads_add(&t->heads, "mels.weight", MELS, C, 1, 1.0f / sqrtf((float)C));
    t->mel_bias = heads_add(&t->heads, "mels.bias", MELS, 1, 0, 0.0f);
    return mels_open(&t->mels, t->source, err);
}

static size_t buffer_floats(const struct trainer *t)
{
    size_t n = 0;

    for (int i = 0; i < t->n_params; i++)
        n += t->list[i].kind == PARAM_WEIGHT ? 0 : param_count(&t->list[i]);
    return n;
}

static int trainer_start(struct trainer *t, const struct checkpoint *weights, struct error *err)
{
    struct reach reach = training_reach(t);

    if (model_open_config(&t->model, t->config, &reach, err))
        return -1;
    t->list = t->model.list;
    t->n_params = t->model.n_params;
    if (t->settings.batch % clip_excerpts(t->source))
        return fail(err, "a batch of %d clips, of which %d are of one meeting each: take a multiple",
                    t->settings.batch, clip_excerpts(t->source));
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

    int groups = t->settings.batch / clip_excerpts(t->source); // of clips that stay together
    t->n_workers = t->settings.threads < groups ? t->settings.threads : groups;
    t->workers = calloc((size_t)t->n_workers, sizeof(*t->workers));
    t->gradients = calloc((size_t)t->n_workers, sizeof(*t->gradients));
    t->frozen = calloc((size_t)t->n_params, 1);
    t->buffers = calloc(buffer_floats(t) + 1, sizeof(float));
    if (!t->buffers || !t->workers || !t->gradients || !t->frozen)
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
    if (check_patterns(t, err) || set_frozen(t, err))
        return -1;
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
    mels_close(&t->mels);
    reduce_close(&t->reduce);
    for (int i = 0; t->workers && i < t->n_workers; i++)
        worker_close(&t->workers[i]);
    free(t->workers);
    free(t->gradients);
    free(t->frozen);
    free(t->buffers);
    free(t->config);
    arena_release(&t->moments);
    model_close(&t->model);
    memset(t, 0, sizeof(*t));
}
