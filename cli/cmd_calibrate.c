// SPDX-License-Identifier: MIT
/* cmd_calibrate.c - `calibrate`: an embedding readout whose vectors compare well. */
#include "cli/command.h"
#include "cli/finetune_data.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "model/export.h"
#include "model/op.h"
#include "prune/calibrate.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct usage usage = {
    "",
    "Computes the embedding readout of a trained model anew, by linear discriminant analysis of\n"
    "the layer sum (and of the feature projection, where `grow --embedding-projection` has made room),\n"
    "on clips of people whose turns are known (as `finetune` takes them: --speech or\n"
    "--data), so that a model's own speaker vectors are centred and scaled, and tell voices apart\n"
    "by their cosine. On more clips (of --dev-speech or --dev, if given) the error of the vectors\n"
    "before and after is measured. --threshold is written as the model's own (config\n"
    "embedding_threshold), which `stream` and `diarize` take. Everything else stays as it is. The\n"
    "last step of training; the state of a run (FILE.run/last.safetensors) is a model, too.\n\n"
    "  antiphon calibrate -m trained.safetensors --speech libri/ --noise noise/ -o mine.safetensors",
};

enum { CLIP_SECONDS = 150, LEAST_SPEAKERS = 3 };

/* What the filter banks know of a voice is found across rooms, in one that speaks alone, by five
 * seconds at a time; a row's scale was chosen on whole meetings. Clips begin as meetings do, with
 * more or less silence: where the running statistics of live blocks stand, which is another place
 * in every minute of a meeting, is then part of what the map learns to leave out. */
enum { ROOM_SECONDS = 12, ROOM_VOICES = 3, ROOM_STRETCH = 250 };
#define ROOM_SCALE 0.5

struct arguments {
    struct finetune_data data;
    const char *model, *output;
    int clips, rooms, dev_clips, threads;
    double ridge, threshold;
    long long seed;
};

/* What a clip is heard with. */
struct ear {
    const struct model *model;
    struct model_state state;
    struct model_acts acts;
    struct clip clip;
    float *traits; // [frames,TRAITS] of the clip's speakers, alone, one speaker after another
    int n[CLIP_MAX_SPEAKERS]; // frames of each
};

static void ear_close(struct ear *e)
{
    model_acts_close(&e->acts);
    model_state_close(&e->state);
    clip_release(&e->clip);
    free(e->traits);
}

static int ear_open(struct ear *e, const struct model *m, int64_t n_samples, struct error *err)
{
    size_t width = (size_t)config_traits(&m->config);

    *e = (struct ear){.model = m};
    if (clip_init(&e->clip, n_samples, err))
        return -1;
    e->traits = calloc((size_t)e->clip.n_frames * width + 1, sizeof(*e->traits));
    if (!e->traits)
        return fail(err, "out of memory");
    return model_state_open(&e->state, m, err) || model_acts_open(&e->acts, m, err) ? -1 : 0;
}

/* Where each frame's row goes: behind those of the speakers before, or nowhere. */
static void count_alone(struct ear *e, int *next)
{
    int at = 0;

    memset(e->n, 0, sizeof(e->n));
    for (int t = 0; t < e->clip.n_frames; t++) {
        int who = clip_alone(&e->clip, t);
        if (who >= 0)
            e->n[who]++;
    }
    for (int k = 0; k < CLIP_MAX_SPEAKERS; k++) {
        next[k] = at;
        at += e->n[k];
    }
}

static int listen(struct ear *e, const struct clip_source *source, uint64_t index,
                  struct error *err)
{
    const struct model *m = e->model;
    size_t width = (size_t)config_traits(&m->config);
    int next[CLIP_MAX_SPEAKERS];
    struct block b;

    if (source->get(&e->clip, source, index, err))
        return -1;
    count_alone(e, next);
    model_state_reset(&e->state, m);
    while (block_next(&b, &e->state.at, e->clip.n_samples - e->state.at.samples, 1,
                      m->reach.block_frames, 0)) {
        model_forward(&e->acts, &e->state, m, e->clip.samples + e->state.at.samples, &b, 1);
        for (int t = 0; t < b.own; t++) {
            int64_t frame = b.frame + t;
            int who = frame < e->clip.n_frames ? clip_alone(&e->clip, (int)frame) : -1;
            if (who >= 0)
                memcpy(e->traits + (size_t)next[who]++ * width, e->acts.readout.traits + (size_t)t * width,
                       width * sizeof(float));
        }
    }
    return 0;
}

/* The readout's two tensors, new. */
struct readout_pair {
    float *weight, *bias;
};

/* One part of the vectors is of the layer sum, the other of the feature projection beside it, if
 * they have one: each is found for itself, as if there were no other. Of the first a person is
 * somebody in one clip, of the second the same in all clips, as far as they are numbered. */
enum { OF_SUM, OF_PROJECTION, N_PARTS };

static int gather(struct calibration *const parts[N_PARTS], struct ear *e,
                  const struct clip_source *source, int clips, const char *what, struct error *err)
{
    int width = config_traits(&e->model->config), C = e->model->config.wavlm.embed, status = 0;
    struct progress bar;

    progress_begin(&bar, what, "clips", clips);
    for (int i = 0; status == 0 && i < clips; i++) {
        const float *rows = e->traits;
        status = listen(e, source, (uint64_t)i, err);
        for (int s = 0; status == 0 && s < CLIP_MAX_SPEAKERS; s++) {
            if (parts[OF_SUM])
                status = calibration_add(parts[OF_SUM], CALIBRATE_SOMEBODY_NEW, rows, width,
                                         e->n[s], err);
            if (parts[OF_PROJECTION] && status == 0 && e->clip.speaker[s] >= 0)
                status = calibration_add(parts[OF_PROJECTION], e->clip.speaker[s], rows + C, width,
                                         e->n[s], err);
            rows += (size_t)e->n[s] * (size_t)width;
        }
        progress_at(&bar, i + 1);
    }
    progress_end(&bar);
    return status;
}

/* The projection's clips: of one person each, in many rooms, where speech is simulated. */
static int gather_rooms(struct calibration *k, const struct model *m, const struct arguments *a,
                        const struct finetune_sources *sources, struct error *err)
{
    struct simulate_settings settings = sources->simulation.settings;
    struct calibration *const parts[N_PARTS] = {[OF_PROJECTION] = k};
    struct simulation rooms;
    struct ear e = {0};
    int status;

    settings.min_speakers = settings.max_speakers = settings.excerpts = 1;
    settings.p_nobody = settings.p_sparse = 0.0f;
    settings.before = 1;
    settings.voices = a->data.voices > 0 ? a->data.voices : ROOM_VOICES;
    if (simulation_open(&rooms, sources->simulation.speech, sources->simulation.noise,
                        sources->simulation.rooms, &settings, ROOM_SECONDS, (uint64_t)a->seed, err))
        return -1;
    status = ear_open(&e, m, rooms.source.n_samples, err);
    if (status == 0)
        status = gather(parts, &e, &rooms.source, a->rooms, "listening in rooms", err);
    ear_close(&e);
    simulation_close(&rooms);
    return status;
}

static int gather_all(struct calibration *parts, const struct model *m, const struct arguments *a,
                      const struct finetune_sources *sources, struct error *err)
{
    int projection = m->config.readout.embedding_projection > 0, simulated = a->data.speech != NULL;
    struct calibration *const both[N_PARTS] = {
        &parts[OF_SUM], projection && !simulated ? &parts[OF_PROJECTION] : NULL};
    struct ear e = {0};
    int status = ear_open(&e, m, sources->train->n_samples, err);

    if (status == 0)
        status = gather(both, &e, sources->train, a->clips, "listening", err);
    ear_close(&e);
    if (status == 0 && projection && simulated)
        status = gather_rooms(&parts[OF_PROJECTION], m, a, sources, err);
    return status;
}

static int fit(struct readout_pair *to, const struct arguments *a, const struct model *m,
               const struct finetune_sources *sources, int *people, struct error *err)
{
    const struct readout_config *r = &m->config.readout;
    struct calibration parts[N_PARTS] = {0};
    const struct calibration_settings of[N_PARTS] = {{a->ridge, 0.0}, {a->ridge, ROOM_SCALE}};
    int width = config_traits(&m->config), C = m->config.wavlm.embed;
    int n[N_PARTS] = {r->embedding - r->embedding_projection, r->embedding_projection}, first = 0;
    int status = calibration_open(&parts[OF_SUM], C, CALIBRATE_STRETCH, err) ||
                 calibration_open(&parts[OF_PROJECTION], C, ROOM_STRETCH, err) ? -1 : 0;

    if (status == 0)
        status = gather_all(parts, m, a, sources, err);
    for (int part = 0; status == 0 && part < N_PARTS; first += n[part++]) {
        if (n[part])
            status = calibration_fit(to->weight + (size_t)first * (size_t)width + part * C, width,
                                     to->bias + first, &parts[part], n[part], &of[part], err);
    }
    *people = calibration_people(&parts[OF_SUM]);
    for (int part = 0; part < N_PARTS; part++)
        calibration_close(&parts[part]);
    return status;
}

static int try_clip(struct vector_trials *v, const struct ear *e, const float *weight,
                    const float *bias, float *vectors, struct error *err)
{
    const struct model_config *c = &e->model->config;
    int n = 0;

    for (int s = 0; s < CLIP_MAX_SPEAKERS; s++)
        n += e->n[s];
    linear_forward(vectors, e->traits, weight, bias, n, config_traits(c), c->readout.embedding);
    return vector_trials_add(v, vectors, e->n, CLIP_MAX_SPEAKERS, c->readout.embedding, err);
}

/* Errors of the vectors as they were and as they are. */
static int measure(const struct readout_pair *pair, const struct arguments *a,
                   const struct model *m, const struct clip_source *source, uint64_t first,
                   struct error *err)
{
    struct vector_trials was = {0}, is = {0};
    double before, after, distance;
    struct progress bar;
    struct ear e = {0};
    int status = ear_open(&e, m, source->n_samples, err);
    float *vectors = calloc((size_t)e.clip.n_frames * (size_t)m->config.readout.embedding + 1,
                            sizeof(*vectors));

    if (status == 0 && !vectors)
        status = fail(err, "out of memory");
    progress_begin(&bar, "measuring", "clips", a->dev_clips);
    for (int i = 0; status == 0 && i < a->dev_clips; i++) {
        status = listen(&e, source, first + (uint64_t)i, err) ||
                 try_clip(&was, &e, m->params.embedding.weight, m->params.embedding.bias, vectors,
                          err) ||
                 try_clip(&is, &e, pair->weight, pair->bias, vectors, err) ? -1 : 0;
        progress_at(&bar, i + 1);
    }
    progress_end(&bar);
    if (status == 0)
        status = vector_trials_equal_error(&before, &distance, &was, err) ||
                 vector_trials_equal_error(&after, &distance, &is, err) ? -1 : 0;
    if (status == 0)
        printf("equal error of one second against a speaker: %.2f %% before, %.2f %% now, in %d "
               "and %d trials; of much speech it would be at distance %.2f\n", before, after,
               is.same.n, is.different.n, distance);
    vector_trials_close(&was);
    vector_trials_close(&is);
    free(vectors);
    ear_close(&e);
    return status;
}

/* The config with the threshold, to be freed. */
static char *with_threshold(const char *config, double threshold)
{
    cJSON *root = cJSON_Parse(config);
    cJSON *readout = cJSON_GetObjectItemCaseSensitive(root, "readout");
    char number[32], *text = NULL;

    snprintf(number, sizeof(number), "%.3f", threshold);
    cJSON_DeleteItemFromObjectCaseSensitive(readout, "embedding_threshold");
    if (readout && cJSON_AddRawToObject(readout, "embedding_threshold", number))
        text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

static int write_model(const struct readout_pair *pair, const struct arguments *a,
                       const struct loaded *l, int people, struct error *err)
{
    char *config = with_threshold(l->checkpoint.config, a->threshold), provenance[1024];
    struct export e;
    int status;

    if (!config)
        return fail(err, "out of memory");
    status = export_open(&e, &l->model, &l->checkpoint, DTYPE_F32, err);
    if (status == 0) {
        for (int i = 0; i < e.n_tensors; i++) {
            if (e.tensors[i].data == l->model.params.embedding.weight)
                e.tensors[i].data = pair->weight;
            else if (e.tensors[i].data == l->model.params.embedding.bias)
                e.tensors[i].data = pair->bias;
        }
        snprintf(provenance, sizeof(provenance),
                 "%.600s; vectors calibrated on %d speakers in %d clips of %.200s",
                 l->checkpoint.provenance ? l->checkpoint.provenance : l->name, people, a->clips,
                 a->data.speech ? a->data.speech : a->data.data);
        status = export_antiphon(&e, a->output, config, provenance, err);
        export_close(&e);
    }
    free(config);
    return status;
}

static int calibrate(struct arguments *a, const struct loaded *l, struct error *err)
{
    const struct model *m = &l->model;
    size_t E = (size_t)m->config.readout.embedding, width = (size_t)config_traits(&m->config);
    struct finetune_sources *sources = calloc(1, sizeof(*sources));
    struct readout_pair pair = {calloc(E * width + 1, sizeof(float)), calloc(E + 1, sizeof(float))};
    int people = 0, status = 0;

    if (!m->config.readout.present || !E || !l->checkpoint.config)
        status = fail(err, "%s: a model without speaker vectors has none to calibrate", l->name);
    else if (!sources || !pair.weight || !pair.bias)
        status = fail(err, "out of memory");
    if (a->data.speech && !(a->data.chunk_seconds > 0.0))
        a->data.chunk_seconds = CLIP_SECONDS;
    if (!a->data.min_speakers && m->config.readout.n_speakers >= LEAST_SPEAKERS)
        a->data.min_speakers = a->data.max_speakers > 0 && a->data.max_speakers < LEAST_SPEAKERS
                                   ? a->data.max_speakers
                                   : LEAST_SPEAKERS;
    if (status == 0)
        status = finetune_sources_open(sources, &a->data, &m->config, a->threads,
                                       (uint64_t)a->seed, err);
    if (status == 0)
        status = fit(&pair, a, m, sources, &people, err);
    if (status == 0)
        status = measure(&pair, a, m, sources->dev ? sources->dev : sources->train,
                         sources->dev ? 0 : (uint64_t)a->clips, err);
    if (status == 0)
        status = write_model(&pair, a, l, people, err);
    if (status == 0)
        fprintf(stderr, "%s is made: vectors from %d speakers\n", a->output, people);
    if (sources)
        finetune_sources_close(sources);
    free(sources);
    free(pair.weight);
    free(pair.bias);
    return status;
}

static int check_arguments(const struct arguments *a, struct error *err)
{
    const struct option_range ranges[] = {
        {"clips", a->clips, 1, 1e6}, {"rooms", a->rooms, 1, 1e6}, {"dev-clips", a->dev_clips, 1, 1e6},
        {"threads", a->threads, 1, 64}, {"ridge", a->ridge, 0, 100},
    };

    if (!a->output)
        return fail(err, "where to? say -o FILE");
    if (options_in_range(ranges, sizeof(ranges) / sizeof(*ranges), err) ||
        finetune_data_check(&a->data, err))
        return -1;
    if (!(a->threshold > 0.0 && a->threshold <= 2.0))
        return fail(err, "--threshold %g: a cosine distance above 0 and at most 2", a->threshold);
    return 0;
}

int cmd_calibrate(int argc, const char **argv, struct error *err)
{
    struct arguments a = {.clips = 48, .rooms = 5000, .dev_clips = 10, .ridge = 0.01, .threshold = 0.45, .seed = 1,
                          .threads = options_processors(64)};
    const struct poptOption table[] = {
        FINETUNE_DATA_OPTIONS(a.data),
        {"model", 'm', POPT_ARG_STRING, &a.model, 0, "model file (built-in)", "FILE"},
        {"output", 'o', POPT_ARG_STRING, &a.output, 0, "the model to make", "FILE"},
        {"clips", 0, POPT_ARG_INT, &a.clips, 0, "to learn from (48; simulated ones of 150 s)",
         "N"},
        {"rooms", 0, POPT_ARG_INT, &a.rooms, 0,
         "simulated clips of one person each, for what the projection knows (5000 of 12 s)", "N"},
        {"dev-clips", 0, POPT_ARG_INT, &a.dev_clips, 0, "to measure on (10)", "N"},
        {"ridge", 0, POPT_ARG_DOUBLE, &a.ridge, 0,
         "added to the scatter within speakers, of its mean variance (0.01)", "R"},
        {"threshold", 0, POPT_ARG_DOUBLE, &a.threshold, 0,
         "cosine distance beyond which a voice is another's (0.45)", "D"},
        {"threads", 0, POPT_ARG_INT, &a.threads, 0, "processors to use (all)", "N"},
        {"seed", 0, POPT_ARG_LONGLONG, &a.seed, 0, "of the simulated clips (1)", "N"},
        POPT_TABLEEND,
    };
    struct reach reach = reach_defaults();
    struct loaded loaded;
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped) {
            status = STATUS_DONE;
        } else if (options_expect(&o, 0, 0, &usage, err) == 0 && check_arguments(&a, err) == 0) {
            status = STATUS_FAILED;
            op_set_threads(a.threads);
            if (load_model(&loaded, a.model, NULL, &reach, err) == 0) {
                status = calibrate(&a, &loaded, err) ? STATUS_FAILED : STATUS_DONE;
                unload_model(&loaded);
            }
        }
    }
    options_close(&o);
    return status;
}
