// SPDX-License-Identifier: MIT
/* cmd_features.c - `features`: everything a model computes of a recording.
 *
 * Offline the recording is one block; with --block it runs block by block, as
 * live does, and the blocks' rows are joined. */
#include "cli/command.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "model/op.h"
#include "stream/audio_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct usage usage = {
    "MODEL AUDIO",
    "Writes the representations of a recording as safetensors, each [frames, width]: conv\n"
    "(what enters the projection), projection, layer_0 .. layer_N, and for a diarization\n"
    "model scores, the log-probabilities of the powerset's classes, and vectors, the speaker\n"
    "vector of every frame, if the model has them. Without --block the recording is one\n"
    "block, as upstream computes it. MODEL may be built-in.\n\n"
    "  antiphon features built-in talk.wav -o talk.safetensors\n"
    "  antiphon features model.safetensors talk.wav --block 320 --left 8000 -o talk.safetensors",
};

struct settings {
    const char *output;
    struct block_options block; // block_ms 0: offline
    int threads;
    double horizon_seconds;
};

enum { MAX_OUTPUTS = MAX_LAYERS + 6 };

/* The rows of one result, gathered over all blocks. */
struct result {
    char name[32];
    const float *source; // in the acts
    float *rows;
    int width;
};

struct results {
    struct result list[MAX_OUTPUTS];
    int n;
    int64_t n_frames;
    float *vectors; // [rows of a block,EMBEDDING] or NULL: the model has none
};

static void add_result(struct results *r, const char *name, int number, const float *source,
                       int width)
{
    struct result *result = &r->list[r->n++];

    snprintf(result->name, sizeof(result->name), number < 0 ? "%s" : "%s%d", name, number);
    result->source = source;
    result->width = width;
}

static int results_open(struct results *r, const struct model *m, const struct model_acts *a,
                        int64_t n_frames, struct error *err)
{
    int C = m->config.wavlm.embed;

    *r = (struct results){.n_frames = n_frames};
    add_result(r, "conv", -1, a->features, (int)axis_size(&m->config, AXIS_FEATURES, 0));
    add_result(r, "projection", -1, a->encoder.projection, C);
    for (int i = 0; i <= config_layers_used(&m->config); i++)
        add_result(r, "layer_", i, a->encoder.rep[i], C);
    if (m->config.readout.present)
        add_result(r, "scores", -1, a->readout.scores, m->config.readout.n_classes);
    if (m->config.readout.embedding) {
        size_t rows = (size_t)reach_call(&m->reach).n_rows;
        r->vectors = malloc(rows * (size_t)m->config.readout.embedding * sizeof(float));
        if (!r->vectors)
            return fail(err, "out of memory");
        add_result(r, "vectors", -1, r->vectors, m->config.readout.embedding);
    }
    for (int i = 0; i < r->n; i++) {
        r->list[i].rows = malloc((size_t)n_frames * (size_t)r->list[i].width * sizeof(float));
        if (!r->list[i].rows)
            return fail(err, "out of memory: %lld frames; try shorter audio", (long long)n_frames);
    }
    return 0;
}

static void results_keep(struct results *r, const struct block *b)
{
    for (int i = 0; i < r->n; i++) {
        const struct result *result = &r->list[i];
        size_t width = (size_t)result->width;
        memcpy(result->rows + (size_t)b->frame * width, result->source,
               (size_t)b->own * width * sizeof(float));
    }
}

static int results_write(const struct results *r, const char *path, struct error *err)
{
    struct tensor tensors[MAX_OUTPUTS];

    for (int i = 0; i < r->n; i++)
        tensors[i] = (struct tensor){.name = r->list[i].name,
                                     .dtype = DTYPE_F32,
                                     .n_axes = 2,
                                     .size = {r->n_frames, r->list[i].width},
                                     .data = r->list[i].rows};
    return safetensors_write(path, tensors, r->n, err);
}

static void results_close(struct results *r)
{
    for (int i = 0; i < r->n; i++)
        free(r->list[i].rows);
    free(r->vectors);
}

static int run(const struct model *m, const char *output, const float *samples, int64_t n,
               struct error *err)
{
    struct results results = {0};
    struct model_state state = {0};
    struct model_acts acts = {0};
    struct progress progress;
    struct block b;
    int status = -1;

    if (model_state_open(&state, m, err) == 0 && model_acts_open(&acts, m, err) == 0 &&
        results_open(&results, m, &acts, blocks_frames(n), err) == 0) {
        progress_begin(&progress, "computing", "s of audio", (double)n / 16000.0);
        while (block_next(&b, &state.at, n - state.at.samples, 1, m->reach.block_frames,
                          m->reach.right_frames)) {
            model_forward(&acts, &state, m, samples + state.at.samples, &b, 1);
            if (results.vectors)
                model_vectors(results.vectors, m, acts.readout.traits, b.own);
            results_keep(&results, &b);
            progress_at(&progress, (double)state.at.samples / 16000.0);
        }
        progress_end(&progress);
        status = results_write(&results, output, err);
    }
    results_close(&results);
    model_acts_close(&acts);
    model_state_close(&state);
    return status;
}

static int choose_reach(struct reach *reach, const struct settings *s, int64_t n,
                        struct error *err)
{
    if (!s->block.block_ms) {
        *reach = reach_offline(n);
        return 0;
    }
    if (reach_from_options(reach, &s->block, err))
        return -1;
    reach->horizon_seconds = horizon_or_own(s->horizon_seconds);
    return 0;
}

static int features(const struct settings *s, const char *model, const char *audio,
                    struct error *err)
{
    struct reach reach;
    struct loaded loaded;
    float *samples = NULL;
    size_t n;
    int status = -1;

    if (audio_file_read(&samples, &n, audio, 0, err))
        return -1;
    if (blocks_frames((int64_t)n) < 1)
        fail(err, "%s: %zu samples at 16 kHz are too few for one frame (400)", audio, n);
    else if (choose_reach(&reach, s, (int64_t)n, err) == 0 &&
             load_model(&loaded, model, NULL, &reach, err) == 0) {
        op_set_threads(s->threads);
        status = run(&loaded.model, s->output, samples, (int64_t)n, err);
        unload_model(&loaded);
    }
    free(samples);
    return status;
}

static int check_settings(const struct settings *s, struct error *err)
{
    if (s->threads < 1 || s->threads > 64)
        return fail(err, "--threads %d: should be 1 to 64", s->threads);
    if (!s->output)
        return fail(err, "where to? say -o FILE");
    return horizon_check(s->horizon_seconds, err);
}

int cmd_features(int argc, const char **argv, struct error *err)
{
    struct settings s = {.block = {0, LIVE_UNSAID, 0}, .threads = 1,
                         .horizon_seconds = LIVE_UNSAID};
    const struct poptOption table[] = {
        {"output", 'o', POPT_ARG_STRING, &s.output, 0, "write here", "FILE"},
        {"block", 0, POPT_ARG_INT, &s.block.block_ms, 0, "block by block, as live [one block]", "MS"},
        {"left", 0, POPT_ARG_INT, &s.block.left_ms, 0, "context before a block [the model's]", "MS"},
        {"right", 0, POPT_ARG_INT, &s.block.right_ms, 0, "look-ahead after a block [0]", "MS"},
        HORIZON_OPTION(s.horizon_seconds),
        {"threads", 0, POPT_ARG_INT, &s.threads, 0, "for the matrix products [1]", "N"},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped)
            status = STATUS_DONE;
        else if (options_expect(&o, 2, 2, &usage, err) == 0 && check_settings(&s, err) == 0)
            status = features(&s, o.arguments[0], o.arguments[1], err) ? STATUS_FAILED
                                                                       : STATUS_DONE;
    }
    options_close(&o);
    return status;
}
