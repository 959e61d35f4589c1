// SPDX-License-Identifier: MIT
/* cmd_finetune.c - `finetune`: trains a model, from a checkpoint or from nothing. */
#include "cli/command.h"
#include "cli/finetune_data.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/reach_list.h"
#include "cli/stop_signal.h"
#include "cli/training_bar.h"
#include "model/resnet_params.h"
#include "prune/run.h"
#include "stream/scan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct usage usage = {
    "",
    "Trains a diarization model with permutation-invariant powerset loss: from a model (-m) or\n"
    "from random weights (--arch, --config), on a data folder (--data: wav.scp, rttm, all.uem) or\n"
    "on meetings simulated as it goes (--speech). Blocks and left contexts are drawn from the\n"
    "lists for each step, so that one model serves every latency. The run's folder (--run) holds\n"
    "its state and its log, which `antiphon plot` draws; killed at any moment and begun again, it\n"
    "goes on to the same result. With mpirun, every rank takes its share of the clips.\n\n"
    "  antiphon finetune --speech libri/ --noise noise/ --arch nano -o mine.safetensors\n"
    "  antiphon finetune --data ami/ -m base.safetensors --block-ms 160,320,500,1000,whole \\\n"
    "                    -o ami.safetensors\n"
    "  mpirun -n 4 antiphon finetune --data ami/ -m base.safetensors -o ami.safetensors",
};

struct arguments {
    struct finetune_data data;
    const char *model, *arch, *config, *output, *run, *blocks, *lefts, *dev_blocks, *schedule;
    const char *freeze, *assignment;
    double lr, lr_encoder, decay, clip, clip_quantile, ema, dropout, layer_drop, affinity;
    double scores, mels, vector, vector_margin, vector_scale;
    double hours, audio_hours, lr_floor, beta2, extractor_gradient;
    int batch, accumulate, threads, dev_clips, patience, average, recompute, bf16;
    int frozen_batch_norm;
    long steps, warmup, validate_every, save_every, vector_ramp;
    long long seed;
};

static char *read_text(const char *path, struct error *err)
{
    struct scan text;

    if (scan_read(&text, path, err))
        return NULL;
    if (strlen(text.bytes) == text.n)
        return text.bytes;
    fail(err, "%s: a zero byte, which no config has", path);
    scan_release(&text);
    return NULL;
}

/* A model's shape alone, or a JSON file's. */
static char *read_shape(const char *path, struct error *err)
{
    struct checkpoint c;
    struct error ignored;
    char *config;

    if (checkpoint_open(&c, path, &ignored))
        return read_text(path, err);
    config = c.config ? strdup(c.config) : NULL;
    if (!config)
        fail(err, "%s: no config in the file", path);
    checkpoint_close(&c);
    return config;
}

/* The config's text, to be freed, and the weights to begin with, if there are. */
static char *starting_point(struct checkpoint *weights, const struct arguments *a,
                            struct error *err)
{
    if (!!a->model + !!a->arch + !!a->config != 1) {
        fail(err, "give one of --model, --arch and --config");
        return NULL;
    }
    if (a->arch)
        return finetune_config(config_arch_json(a->arch, err), &a->data, err);
    if (a->config)
        return finetune_config(read_shape(a->config, err), &a->data, err);
    if (load_checkpoint(weights, a->model, err))
        return NULL;
    if (resnet_refuse(weights, err)) {
        fail_prefix(err, "%s: ", a->model);
        return NULL;
    }
    if (!weights->config) {
        fail(err, "%s: no config in the file", a->model);
        return NULL;
    }
    return finetune_config(strdup(weights->config), &a->data, err);
}

static int parse_schedule(struct trainer_settings *s, const char *name, struct error *err)
{
    static const char *const names[] = {"constant", "cosine", "plateau"};

    for (int i = 0; i < 3; i++) {
        if (!strcmp(name, names[i])) {
            s->schedule = (enum schedule)i;
            return 0;
        }
    }
    return fail(err, "--schedule %.40s: expected constant, cosine or plateau", name);
}

static int split_freeze(struct trainer_settings *s, char *list, struct error *err)
{
    char *rest = NULL;

    for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (s->n_freeze == TRAINER_MAX_FREEZE)
            return fail(err, "--freeze: at most %d patterns", TRAINER_MAX_FREEZE);
        s->freeze[s->n_freeze++] = name;
    }
    return 0;
}

static int check_numbers(const struct arguments *a, struct error *err)
{
    const struct option_range ranges[] = {
        {"batch", a->batch, 1, 1e6}, {"accumulate", a->accumulate, 1, 1e6},
        {"threads", a->threads, 1, TEAM_MAX}, {"steps", (double)a->steps, 1, 1e12},
        {"audio", a->audio_hours, 0, 1e9}, {"hours", a->hours, 0, 1e6},
        {"lr", a->lr, 0, 1e3}, {"lr-encoder", a->lr_encoder, -1, 1e3},
        {"warmup", (double)a->warmup, 0, 1e12}, {"lr-floor", a->lr_floor, 0, 1},
        {"weight-decay", a->decay, 0, 1e3}, {"beta2", a->beta2, 0, 0.999999},
        {"clip", a->clip, 0, 1e9}, {"clip-quantile", a->clip_quantile, 0, 1},
        {"ema", a->ema, 0, 0.999999}, {"dropout", a->dropout, -1, 0.99},
        {"layer-drop", a->layer_drop, 0, 0.99}, {"affinity", a->affinity, 0, 1e6},
        {"vector", a->vector, 0, 1e6}, {"vector-margin", a->vector_margin, 0, 1.5},
        {"vector-scale", a->vector_scale, 0.01, 1e4},
        {"vector-ramp", (double)a->vector_ramp, 0, 1e12}, {"mels", a->mels, 0, 1e6},
        {"scores", a->scores, 0, 1e6}, {"extractor-gradient", a->extractor_gradient, 0, 1e6},
        {"dev-clips", a->dev_clips, 1, 1e6}, {"average", a->average, 1, 32},
        {"validate-every", (double)a->validate_every, 1, 1e12},
        {"save-every", (double)a->save_every, 1, 1e12}, {"patience", a->patience, 0, 1e6},
    };

    return options_in_range(ranges, sizeof(ranges) / sizeof(*ranges), err) ||
                   finetune_data_check(&a->data, err) ? -1 : 0;
}

static int fill_settings(struct trainer_settings *s, const struct arguments *a, char *freeze,
                         struct error *err)
{
    *s = trainer_defaults();
    if (check_numbers(a, err))
        return -1;
    s->batch = a->batch;
    s->accumulate = a->accumulate;
    s->threads = a->threads;
    s->steps = a->steps;
    s->lr = a->lr;
    s->lr_encoder = a->lr_encoder;
    s->adamw.decay = a->decay;
    s->adamw.beta2 = a->beta2;
    s->warmup = a->warmup;
    s->lr_floor = a->lr_floor;
    s->clip = a->clip;
    s->clip_quantile = a->clip_quantile;
    s->ema = a->ema;
    s->dropout = a->dropout;
    s->layer_drop = a->layer_drop;
    s->affinity = a->affinity;
    s->scores = a->scores;
    s->mels = a->mels;
    s->vector = a->vector;
    s->vector_margin = a->vector_margin;
    s->vector_scale = a->vector_scale;
    s->vector_ramp = a->vector_ramp;
    if (strcmp(a->assignment, "exact") && strcmp(a->assignment, "hard"))
        return fail(err, "--assignment %.40s: expected exact or hard", a->assignment);
    s->exact = !strcmp(a->assignment, "exact");
    s->extractor_scale = a->extractor_gradient;
    s->recompute = a->recompute;
    s->bf16 = a->bf16;
    s->frozen_batch_norm = a->frozen_batch_norm;
    s->seed = (uint64_t)a->seed;
    return reach_list_parse(s->block_frames, &s->n_blocks, TRAINER_MAX_REACHES, "--block-ms",
                            a->blocks, err) ||
                   reach_list_parse(s->left_frames, &s->n_lefts, TRAINER_MAX_REACHES, "--left-ms",
                                    a->lefts, err) ||
                   parse_schedule(s, a->schedule, err) || (freeze && split_freeze(s, freeze, err))
               ? -1
               : 0;
}

static int train(struct trainer *t, const struct arguments *a, const struct finetune_sources *from,
                 int is_first, struct error *err)
{
    char folder[1024], provenance[512];
    struct training_bar bar;
    struct run_settings run = {
        .folder = folder, .output = a->output, .provenance = provenance,
        .dev = from->dev, .dev_clips = a->dev_clips, .validate_every = a->validate_every,
        .save_every = a->save_every, .average = a->average, .patience = a->patience,
        .max_seconds = a->hours * 3600.0, .interrupted = stop_signal_watch(),
        .tell = training_bar_tell, .user = &bar,
    };

    snprintf(folder, sizeof(folder), "%s%s", a->run ? a->run : a->output, a->run ? "" : ".run");
    snprintf(provenance, sizeof(provenance),
             "antiphon finetune, from %s, data %s, %ld steps of %d clips of %.3g s, seed %lld",
             a->model ? a->model : a->arch ? a->arch : a->config,
             a->data.speech ? a->data.speech : a->data.data, t->settings.steps,
             a->batch * a->accumulate,
             (double)from->train->n_samples / 16000.0, a->seed);
    if (reach_list_parse(run.dev_blocks, &run.n_dev_blocks, TRAINER_MAX_REACHES, "--dev-block-ms",
                         a->dev_blocks, err))
        return -1;
    training_bar_begin(&bar, "training", &t->settings, is_first);
    int end = run_training(t, &run, err);
    training_bar_end(&bar);
    if (end < 0 || !is_first)
        return end < 0 ? -1 : 0;
    if (end == RUN_INTERRUPTED)
        fprintf(stderr, "stopped after step %ld; the same command goes on from %s\n", t->step,
                folder);
    else
        fprintf(stderr, "%s is made; log and state are in %s\n", a->output, folder);
    return 0;
}

static long steps_of(const struct arguments *a, const struct clip_source *source, int ranks)
{
    double clip = (double)source->n_samples / 16000.0;

    return (long)ceil(3600.0 * a->audio_hours / (clip * a->batch * a->accumulate * ranks));
}

static int finetune(const struct arguments *a, struct trainer_settings settings,
                    struct ranks *ranks, struct error *err)
{
    struct checkpoint weights = {0};
    struct finetune_sources sources = {0};
    struct trainer trainer = {0};
    struct model_config parsed;
    char *config = NULL;
    int status = (config = starting_point(&weights, a, err)) ? 0 : -1;

    if (status == 0 && config_parse(&parsed, config, err))
        status = fail_prefix(err, "%.300s: ", a->model ? a->model : a->config ? a->config
                                                                             : a->arch);
    if (status == 0)
        status = finetune_sources_open(&sources, &a->data, &parsed, a->threads,
                                       (uint64_t)a->seed, err);
    if (status == 0 && a->audio_hours > 0.0)
        settings.steps = steps_of(a, sources.train, ranks->size);
    if (status == 0)
        status = trainer_open(&trainer, config, a->model ? &weights : NULL, sources.train,
                              &settings, ranks, err);
    if (status == 0) {
        status = train(&trainer, a, &sources, ranks->rank == 0, err);
        trainer_close(&trainer);
    }
    finetune_sources_close(&sources);
    checkpoint_close(&weights);
    free(config);
    return status;
}

/* With mpirun, one of several processes: where one fails all end. */
static int finetune_in_ranks(const struct arguments *a, const struct trainer_settings *settings,
                             struct error *err)
{
    struct ranks ranks;
    int status;

    if (ranks_open(&ranks, err))
        return -1;
    status = finetune(a, *settings, &ranks, err);
    if (status && ranks.size > 1) {
        fprintf(stderr, "antiphon: rank %d: %s\n", ranks.rank, err->text);
        ranks_abort(&ranks, STATUS_FAILED);
    }
    ranks_close(&ranks);
    return status;
}

/* What was asked for, looked at before anything is opened. */
static int run(const struct arguments *a, struct error *err)
{
    char *freeze = a->freeze ? strdup(a->freeze) : NULL;
    struct trainer_settings settings;
    int status = STATUS_MISUSED;

    if (a->freeze && !freeze) {
        fail(err, "out of memory");
        return STATUS_FAILED;
    }
    if (!a->output)
        fail(err, "-o FILE is missing: where the model goes");
    else if (fill_settings(&settings, a, freeze, err) == 0)
        status = finetune_in_ranks(a, &settings, err) ? STATUS_FAILED : STATUS_DONE;
    free(freeze);
    return status;
}

static struct arguments defaults(void)
{
    return (struct arguments){
        .blocks = "160,320,500,1000,whole", .lefts = "4000,8000,whole", .dev_blocks = "320,whole",
        .schedule = "constant", .assignment = "exact", .lr = 1e-3, .lr_encoder = -1.0, .decay = 0.01,
        .clip_quantile = 0.9, .dropout = -1.0, .beta2 = 0.999, .extractor_gradient = 0.1,
        .scores = 1.0, .vector_margin = 0.2, .vector_ramp = 1000, .vector_scale = 30.0,
        .batch = 16, .accumulate = 1, .threads = options_processors(TEAM_MAX),
        .dev_clips = 32, .average = 5, .steps = 10000, .validate_every = 500, .save_every = 100,
        .seed = 1, .data.augment = 0.5,
    };
}

int cmd_finetune(int argc, const char **argv, struct error *err)
{
    struct arguments a = defaults();
    const struct poptOption table[] = {
        FINETUNE_DATA_OPTIONS(a.data),
        {"model", 'm', POPT_ARG_STRING, &a.model, 0, "begin with this model", "FILE"},
        {"arch", 0, POPT_ARG_STRING, &a.arch, 0, "begin with random weights of this shape",
         "NAME"},
        {"config", 0, POPT_ARG_STRING, &a.config, 0,
         "the same, of the shape in this JSON file, or of this model", "FILE"},
        {"output", 'o', POPT_ARG_STRING, &a.output, 0, "the model to make", "FILE"},
        {"run", 0, POPT_ARG_STRING, &a.run, 0, "folder of the run (FILE.run)", "DIR"},
        {"batch", 0, POPT_ARG_INT, &a.batch, 0, "clips of a step, of each rank (16)", "N"},
        {"accumulate", 0, POPT_ARG_INT, &a.accumulate, 0, "so many batches make a step (1)", "N"},
        {"steps", 0, POPT_ARG_LONG, &a.steps, 0, "length of the run (10000)", "N"},
        {"audio", 0, POPT_ARG_DOUBLE, &a.audio_hours, 0,
         "instead of --steps: as many as take in so many hours of audio", "H"},
        {"lr", 0, POPT_ARG_DOUBLE, &a.lr, 0, "learning rate (1e-3)", "R"},
        {"lr-encoder", 0, POPT_ARG_DOUBLE, &a.lr_encoder, 0, "of the encoder (the same)", "R"},
        {"schedule", 0, POPT_ARG_STRING, &a.schedule, 0, "constant, cosine or plateau", "NAME"},
        {"warmup", 0, POPT_ARG_LONG, &a.warmup, 0, "steps over which it rises (0)", "N"},
        {"lr-floor", 0, POPT_ARG_DOUBLE, &a.lr_floor, 0, "where cosine ends, as a share", "R"},
        {"weight-decay", 0, POPT_ARG_DOUBLE, &a.decay, 0, "of matrices (0.01)", "R"},
        {"beta2", 0, POPT_ARG_DOUBLE, &a.beta2, 0, "of AdamW (0.999)", "R"},
        {"clip", 0, POPT_ARG_DOUBLE, &a.clip, 0, "largest norm of a gradient", "NORM"},
        {"clip-quantile", 0, POPT_ARG_DOUBLE, &a.clip_quantile, 0,
         "without --clip: this quantile of the last 1000 norms (0.9)", "Q"},
        {"ema", 0, POPT_ARG_DOUBLE, &a.ema, 0, "keep a mean of the weights, e.g. 0.999", "D"},
        {"dropout", 0, POPT_ARG_DOUBLE, &a.dropout, 0, "instead of the model's own rates", "P"},
        {"layer-drop", 0, POPT_ARG_DOUBLE, &a.layer_drop, 0, "leave encoder layers out (0)", "P"},
        {"affinity", 0, POPT_ARG_DOUBLE, &a.affinity, 0,
         "weight of the deep-clustering loss of the speaker vectors (0)", "W"},
        {"vector", 0, POPT_ARG_DOUBLE, &a.vector, 0,
         "weight of the speaker vectors' loss against all speakers of the data (0)", "W"},
        {"vector-margin", 0, POPT_ARG_DOUBLE, &a.vector_margin, 0,
         "its additive angular margin, radians (0.2)", "R"},
        {"vector-ramp", 0, POPT_ARG_LONG, &a.vector_ramp, 0,
         "steps over which the margin grows from 0 (1000)", "N"},
        {"vector-scale", 0, POPT_ARG_DOUBLE, &a.vector_scale, 0, "its scale of cosines (30)", "S"},
        {"mels", 0, POPT_ARG_DOUBLE, &a.mels, 0,
         "weight of regressing log-mels from the feature projection (0)", "W"},
        {"scores", 0, POPT_ARG_DOUBLE, &a.scores, 0,
         "weight of the powerset loss (1); 0: the other losses alone", "W"},
        {"assignment", 0, POPT_ARG_STRING, &a.assignment, 0,
         "of speakers: exact (least loss) or hard (upstream's)", "NAME"},
        {"extractor-gradient", 0, POPT_ARG_DOUBLE, &a.extractor_gradient, 0,
         "scale of the extractor's slopes (0.1, as upstream)", "S"},
        {"freeze", 0, POPT_ARG_STRING, &a.freeze, 0, "tensors that stay, as name patterns",
         "PATTERN,..."},
        {"frozen-batch-norm", 0, POPT_ARG_NONE, &a.frozen_batch_norm, 0,
         "BatchNorm keeps its running statistics", NULL},
        {"recompute", 0, POPT_ARG_NONE, &a.recompute, 0,
         "compute layers twice instead of keeping them: less memory", NULL},
        {"bf16", 0, POPT_ARG_NONE, &a.bf16, 0,
         "round the factors of products to bfloat16: faster with AVX512_BF16", NULL},
        {"block-ms", 0, POPT_ARG_STRING, &a.blocks, 0, "blocks to draw from, or whole", "LIST"},
        {"left-ms", 0, POPT_ARG_STRING, &a.lefts, 0, "left contexts to draw from", "LIST"},
        {"dev-block-ms", 0, POPT_ARG_STRING, &a.dev_blocks, 0, "blocks to validate at", "LIST"},
        {"dev-clips", 0, POPT_ARG_INT, &a.dev_clips, 0, "clips of a validation (32)", "N"},
        {"validate-every", 0, POPT_ARG_LONG, &a.validate_every, 0, "steps (500)", "N"},
        {"save-every", 0, POPT_ARG_LONG, &a.save_every, 0, "steps (100)", "N"},
        {"patience", 0, POPT_ARG_INT, &a.patience, 0,
         "end after so many validations without a better one", "N"},
        {"average", 0, POPT_ARG_INT, &a.average, 0, "so many best models make the result (5)",
         "N"},
        {"hours", 0, POPT_ARG_DOUBLE, &a.hours, 0, "then stop, to be gone on with", "H"},
        {"threads", 0, POPT_ARG_INT, &a.threads, 0, "processors to use (all)", "N"},
        {"seed", 0, POPT_ARG_LONGLONG, &a.seed, 0, "of all that is random (1)", "N"},
        POPT_TABLEEND,
    };
    struct options options;
    int status = STATUS_MISUSED;

    if (options_open(&options, argc, argv, table, &usage, err))
        return STATUS_MISUSED;
    if (options.helped)
        status = STATUS_DONE;
    else if (options_expect(&options, 0, 0, &usage, err) == 0)
        status = run(&a, err);
    options_close(&options);
    return status;
}
