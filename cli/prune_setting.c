// SPDX-License-Identifier: MIT
#include "cli/prune_setting.h"

#include "cli/progress.h"
#include "cli/reach_list.h"
#include "model/outfile.h"
#include "model/resnet_params.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *pruning_config(const struct checkpoint *c, const char *path, struct error *err)
{
    char *config;

    if (resnet_refuse(c, err)) {
        fail_prefix(err, "%s: ", path);
        return NULL;
    }
    config = c->config ? strdup(c->config) : NULL;
    if (!config)
        fail(err, "%s: no config in the file", path);
    return config;
}

/* A student that learns block by block runs so, whatever its teacher was made for. */
static int mark_live(struct pruning *p, struct error *err)
{
    cJSON *root = cJSON_Parse(p->config);
    char *config;

    if (!strcmp(p->a->blocks, "whole") || !cJSON_HasObjectItem(root, "live")) {
        cJSON_Delete(root);
        return 0;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(root, "live");
    cJSON_AddStringToObject(root, "live", "block-causal");
    config = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (!config)
        return fail(err, "out of memory");
    free(p->config);
    p->config = config;
    return 0;
}

int pruning_open(struct pruning *p, const struct prune_arguments *a, struct error *err)
{
    p->a = a;
    snprintf(p->folder, sizeof(p->folder), "%s%s", a->run ? a->run : a->output,
             a->run ? "" : ".run");
    snprintf(p->provenance, sizeof(p->provenance),
             "antiphon prune, from %s, %.3g of its %s cut by %s, data %s, seed %lld", a->model,
             a->sparsity, a->target, a->by, a->data.speech ? a->data.speech : a->data.data, a->seed);
    if (ranks_open(&p->ranks, err) || checkpoint_open(&p->weights, a->model, err))
        return -1;
    checkpoint_take_model(&p->weights);
    p->config = finetune_config(pruning_config(&p->weights, a->model, err), &a->data, err);
    return !p->config || mark_live(p, err) || config_parse(&p->shape, p->config, err) ||
                   finetune_sources_open(&p->sources, &a->data, &p->shape, a->threads,
                                         (uint64_t)a->seed, err)
               ? -1 : 0;
}

void pruning_close(struct pruning *p)
{
    ranks_close(&p->ranks);
    finetune_sources_close(&p->sources);
    checkpoint_close(&p->weights);
    free(p->config);
}

/* A folder that was begun for another pruning is refused. */
static int keep_line(const struct pruning *p, struct error *err)
{
    char path[PRUNING_PATH], line[1400], found[1400] = "";
    struct outfile out;

    snprintf(path, sizeof(path), "%s/pruning.txt", p->folder);
    prune_arguments_line(line, sizeof(line), p->a);
    FILE *f = fopen(path, "r");
    if (f) {
        size_t n = fread(found, 1, sizeof(found) - 1, f);
        fclose(f);
        found[n] = '\0';
        if (strcmp(found, line)) {
            found[strcspn(found, "\n")] = '\0';
            return fail(err, "%s holds another pruning (%.200s): give its values, or another --run",
                        p->folder, found);
        }
        return 0;
    }
    if (outfile_open(&out, path, err))
        return -1;
    if (outfile_write(&out, line, strlen(line), err)) {
        outfile_discard(&out);
        return -1;
    }
    return outfile_commit(&out, err);
}

static void tell(void *user, double share)
{
    progress_at(user, share * 100.0);
}

/* The run keeps the table it was begun with: gone on with, it makes the same bits. */
static int take_latency(struct pruning *p, struct error *err)
{
    char path[PRUNING_PATH];
    struct reach reach = reach_defaults();
    struct stat st;

    if (p->a->size != TARGET_TIME)
        return 0;
    snprintf(path, sizeof(path), "%s/latency.json", p->folder);
    if (p->ranks.rank == 0 && stat(path, &st)) {
        struct progress progress;
        int status;
        if (p->a->latency)
            status = latency_read(&p->time, p->a->latency, &p->shape, err);
        else {
            progress_begin(&progress, "timing layer shapes", "%", 100.0);
            status = latency_measure(&p->time, &p->shape, &reach, 1, tell, &progress, err);
            progress_end(&progress);
        }
        if (status || latency_write(&p->time, path, err))
            return -1;
    }
    ranks_any(&p->ranks, 0); // it is there for all
    return latency_read(&p->time, path, &p->shape, err);
}

int pruning_begin(struct pruning *p, struct error *err)
{
    if (p->ranks.rank == 0) {
        if (mkdir(p->folder, 0777) && errno != EEXIST)
            return fail(err, "%s: %s", p->folder, strerror(errno));
        if (keep_line(p, err))
            return -1;
    }
    ranks_any(&p->ranks, 0); // the folder is there for all
    return take_latency(p, err);
}

static long steps_of(const struct pruning *p, double epochs, long asked)
{
    const struct prune_arguments *a = p->a;
    double clips = p->sources.train->epoch ? (double)p->sources.train->epoch
                                           : (double)a->epoch_clips;
    double steps = epochs * clips / (a->batch * a->accumulate * p->ranks.size);

    return asked > 0 ? asked : steps < 1.0 ? 1 : (long)steps;
}

int pruning_trainer_settings(struct trainer_settings *s, const struct pruning *p, int stage,
                             struct error *err)
{
    const struct prune_arguments *a = p->a;

    *s = trainer_defaults();
    s->batch = a->batch;
    s->accumulate = a->accumulate;
    s->threads = a->threads;
    s->clip = a->clip;
    s->dropout = a->dropout;
    s->recompute = a->recompute;
    s->bf16 = a->bf16;
    s->seed = (uint64_t)a->seed;
    if (stage == STAGE_TRAIN) {
        s->lr = a->lr;
        s->lr_encoder = a->lr_encoder;
        s->affinity = a->affinity;
        s->vector = a->vector;
        s->ema = a->ema;
        s->schedule = SCHEDULE_COSINE;
        s->lr_floor = 0.02;
        s->steps = steps_of(p, a->train_epochs, a->train_steps);
    } else {
        s->adamw.decay = 0.0;
        s->lr = s->lr_encoder = a->distill_lr;
        s->steps = steps_of(p, a->epochs, a->steps);
    }
    if (stage == STAGE_DISTILL) {
        s->schedule = SCHEDULE_COSINE;
        s->lr_floor = 0.05;
        s->steps = steps_of(p, a->distill_epochs, a->distill_steps);
    }
    return reach_list_parse(s->block_frames, &s->n_blocks, TRAINER_MAX_REACHES, "--block-ms",
                            a->blocks, err) ||
                   reach_list_parse(s->left_frames, &s->n_lefts, TRAINER_MAX_REACHES, "--left-ms",
                                    a->lefts, err)
               ? -1 : 0;
}

int pruning_distiller_settings(struct distiller_settings *s, const struct pruning *p,
                               struct error *err)
{
    const struct prune_arguments *a = p->a;

    *s = distiller_defaults();
    s->weights = (struct distill_weights){a->l2, a->l1, a->cos, a->log_sigmoid};
    s->sparsity = a->sparsity;
    s->reg_lr = a->reg_lr;
    s->multiplier_lr = a->multiplier_lr;
    s->seed = (uint64_t)a->seed;
    s->target = a->size;
    s->time = p->time;
    s->units = a->unit_bits;
    s->open_norms = a->masked_norms;
    s->n_layers = a->n_layers;
    memcpy(s->layers, a->layer, sizeof(a->layer));
    s->sparsity_warmup = a->steps > 0
                             ? (long)((double)a->steps * a->warmup_epochs / a->epochs)
                             : steps_of(p, a->warmup_epochs, 0);
    return 0;
}

int pruning_copy(const char *from, const char *to, struct error *err)
{
    char buffer[1 << 16];
    struct outfile out;
    FILE *f = fopen(from, "rb");
    size_t n;
    int status = 0;

    if (!f)
        return fail(err, "%s: %s", from, strerror(errno));
    if (outfile_open(&out, to, err)) {
        fclose(f);
        return -1;
    }
    while (status == 0 && (n = fread(buffer, 1, sizeof(buffer), f)) > 0)
        status = outfile_write(&out, buffer, n, err);
    if (status == 0 && ferror(f))
        status = fail(err, "%s: %s", from, strerror(errno));
    fclose(f);
    if (status) {
        outfile_discard(&out);
        return -1;
    }
    return outfile_commit(&out, err);
}
