// SPDX-License-Identifier: MIT
/* prune_setting.h - what the stages of `prune` share: the model and its config, the
 * data, the ranks, the run's folder, and how each stage trains. */
#ifndef PRUNE_SETTING_H
#define PRUNE_SETTING_H

#include "cli/prune_arguments.h"
#include "prune/ranks.h"
#include "prune/trainer.h"

enum { PRUNING_PATH = 1200 };

struct pruning {
    const struct prune_arguments *a;
    struct finetune_sources sources;
    struct checkpoint weights; // of the teacher
    char *config;              // the student's
    struct model_config shape; // it, parsed
    struct latency time;       // of --target time
    struct ranks ranks;
    char folder[1024];
    char provenance[512];
};

/* Opens model, data and ranks. pruning_close is right after a failure too. */
int pruning_open(struct pruning *p, const struct prune_arguments *a, struct error *err);
void pruning_close(struct pruning *p);

/* The run's folder is there and holds this pruning and no other; the latency table is
 * there if it is needed. */
int pruning_begin(struct pruning *p, struct error *err);

/* How a stage trains. */
int pruning_trainer_settings(struct trainer_settings *s, const struct pruning *p, int stage,
                             struct error *err);
int pruning_distiller_settings(struct distiller_settings *s, const struct pruning *p,
                               struct error *err);

/* A checkpoint's config, to be freed; NULL: there is none, with err filled. */
char *pruning_config(const struct checkpoint *c, const char *path, struct error *err);

/* Copies a file whole. */
int pruning_copy(const char *from, const char *to, struct error *err);

#endif
