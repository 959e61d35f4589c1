// SPDX-License-Identifier: MIT
/* prune_stages.h - what `prune` was asked for, and its stages: each a run of its
 * own that can be killed and gone on with.
 *
 *   1 prune    gates under distillation, then the cut   RUN/1-prune,   RUN/cut.safetensors
 *   2 distill  what is left learns on from the teacher  RUN/2-distill, RUN/distilled.safetensors
 *   3 train    diarization                              RUN/3-train,   the output */
#ifndef PRUNE_STAGES_H
#define PRUNE_STAGES_H

#include "cli/finetune_data.h"

struct prune_arguments {
    struct finetune_data data;
    const char *model, *output, *run, *blocks, *lefts, *units, *target, *stages, *report, *preset;
    double sparsity, distill_lr, reg_lr, lr, lr_encoder, l1, l2, cos, dropout, affinity, hours, clip;
    double ema;
    int batch, accumulate, threads, recompute, print_config, dev_clips, average, log_sigmoid;
    double epochs, warmup_epochs, distill_epochs, train_epochs;
    long epoch_clips, steps, distill_steps, train_steps, save_every, validate_every;
    long long seed;
};

/* Runs what is left to run. */
int prune_run(const struct prune_arguments *a, struct error *err);

#endif
