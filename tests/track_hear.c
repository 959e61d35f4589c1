// SPDX-License-Identifier: MIT
#include "tests/track_hear.h"

#include "model/checkpoint.h"
#include "model/powerset.h"
#include "stream/audio_file.h"
#include "stream/smooth.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int reserve(struct heard *h, struct error *err)
{
    size_t n = (size_t)h->n_frames;

    h->prob = calloc(n * (size_t)h->n_local + 1, sizeof(float));
    h->vectors = calloc(n * (size_t)h->embedding + 1, sizeof(float));
    return h->prob && h->vectors ? 0 : fail(err, "out of memory");
}

void heard_release(struct heard *h)
{
    free(h->prob);
    free(h->vectors);
    *h = (struct heard){0};
}

static int compute(struct heard *h, const struct model *m, double steady_seconds,
                   const float *samples, int64_t n, struct error *err)
{
    struct model_state state = {0};
    struct model_acts acts = {0};
    struct powerset powerset;
    struct smoother smoother;
    float *smoothed = NULL;
    struct block b;
    int status = -1;

    powerset_init(&powerset, h->n_local, m->config.readout.at_once);
    smoother_init(&smoother, powerset.n_classes, steady_seconds);
    smoothed = malloc((size_t)m->reach.block_frames * (size_t)powerset.n_classes * sizeof(float));
    if (!smoothed)
        return fail(err, "out of memory");
    if (model_state_open(&state, m, err) == 0 && model_acts_open(&acts, m, err) == 0) {
        while (block_next(&b, &state.at, n - state.at.samples, 1, m->reach.block_frames,
                          m->reach.right_frames)) {
            model_forward(&acts, &state, m, samples + state.at.samples, &b, 1);
            smoother_run(&smoother, smoothed, acts.readout.scores, b.own);
            powerset_activity(h->prob + b.frame * h->n_local, smoothed, &powerset, b.own);
            if (h->embedding)
                model_vectors(h->vectors + b.frame * h->embedding, m, acts.readout.traits, b.own);
        }
        status = 0;
    }
    model_acts_close(&acts);
    model_state_close(&state);
    free(smoothed);
    return status;
}

static int save(const struct heard *h, const char *path, struct error *err)
{
    struct tensor list[] = {
        {.name = "prob", .dtype = DTYPE_F32, .n_axes = 2, .size = {h->n_frames, h->n_local},
         .data = h->prob},
        {.name = "vectors", .dtype = DTYPE_F32, .n_axes = 2, .size = {h->n_frames, h->embedding},
         .data = h->vectors},
    };

    return safetensors_write(path, list, h->embedding ? 2 : 1, err);
}

static int load(struct heard *h, const char *path, struct error *err)
{
    struct checkpoint c;
    const struct tensor *prob, *vectors;
    int status = -1;

    if (checkpoint_open(&c, path, err))
        return -1;
    prob = checkpoint_find(&c, "prob");
    vectors = checkpoint_find(&c, "vectors");
    if (!prob || prob->n_axes != 2 || prob->size[0] != h->n_frames ||
        prob->size[1] != h->n_local || !vectors != !h->embedding ||
        (vectors && (vectors->n_axes != 2 || vectors->size[0] != h->n_frames ||
                     vectors->size[1] != h->embedding))) {
        fail(err, "%s: of another model or recording; remove it", path);
    } else if (reserve(h, err) == 0) {
        tensor_to_floats(h->prob, prob);
        if (vectors)
            tensor_to_floats(h->vectors, vectors);
        status = 0;
    }
    checkpoint_close(&c);
    return status;
}

int hear(struct heard *h, const struct model *m, double steady_seconds, const char *audio,
         const char *cache, struct error *err)
{
    float *samples = NULL;
    size_t n;
    int status = -1;

    *h = (struct heard){.n_local = m->config.readout.n_speakers,
                        .embedding = m->config.readout.embedding};
    if (audio_file_read(&samples, &n, audio, 0, err))
        return -1;
    h->n_frames = (int)blocks_frames((int64_t)n);
    if (cache && access(cache, R_OK) == 0)
        status = load(h, cache, err);
    else if (reserve(h, err) == 0 && compute(h, m, steady_seconds, samples, (int64_t)n, err) == 0)
        status = cache ? save(h, cache, err) : 0;
    free(samples);
    if (status)
        heard_release(h);
    return status;
}
