// SPDX-License-Identifier: MIT
/* prune_arguments.h - what `prune` was asked for. */
#ifndef PRUNE_ARGUMENTS_H
#define PRUNE_ARGUMENTS_H

#include "cli/finetune_data.h"
#include "prune/distiller.h"

enum { STAGE_PRUNE = 1, STAGE_DISTILL, STAGE_TRAIN };

struct prune_arguments {
    struct finetune_data data;
    const char *model, *output, *run, *blocks, *lefts, *report, *preset, *latency;
    const char *units, *target, *stages, *by, *layers; // lists and names, as given,
    double sparsity, distill_lr, reg_lr, multiplier_lr, lr, lr_encoder, l1, l2, cos, dropout;
    double affinity, vector, hours, clip, ema;
    int batch, accumulate, threads, recompute, bf16, print_config, dev_clips, average, log_sigmoid;
    int masked_norms;
    double epochs, warmup_epochs, distill_epochs, train_epochs;
    long epoch_clips, steps, distill_steps, train_steps, save_every, validate_every;
    long long seed;

    /* and read: */
    unsigned unit_bits, stage_bits; // 1 << STAGE_..
    enum size_target size;
    int by_magnitude;
    int layer[MAX_LAYERS + 1], n_layers;
};

/* The defaults: the recipe's for Base+ at 80 %, with a batch of 16. */
struct prune_arguments prune_arguments_defaults(void);

/* Takes a named preset's values; an unknown name is refused with the names there are. */
int prune_arguments_preset(struct prune_arguments *a, const char *name, struct error *err);

/* Reads the lists and names, and checks the numbers. */
int prune_arguments_read(struct prune_arguments *a, struct error *err);

/* All values, on stdout. */
void prune_arguments_print(const struct prune_arguments *a);

/* In one line, what a run must not change when it goes on. */
void prune_arguments_line(char *line, size_t size, const struct prune_arguments *a);

#endif
