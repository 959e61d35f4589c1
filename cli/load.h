// SPDX-License-Identifier: MIT
/* load.h - a model by the name a user gives it: a file, an architecture, or none. */
#ifndef LOAD_H
#define LOAD_H

#include "model/model.h"

#define BUILTIN_NAME "built-in"

struct loaded {
    struct checkpoint checkpoint; // zeroed for an architecture
    struct model model;
    char name[256]; // path, "built-in" or the architecture's
};

/* The model file, the built-in model for NULL or "built-in", or, if arch is not
 * NULL, that architecture with random weights. Errors name the file. */
int load_model(struct loaded *l, const char *path, const char *arch, const struct reach *reach,
               struct error *err);

/* The second half of it: the model of the checkpoint that is open. */
int load_bind(struct loaded *l, const struct reach *reach, struct error *err);

/* The tensors alone. */
int load_checkpoint(struct checkpoint *c, const char *path, struct error *err);

void unload_model(struct loaded *l);

/* Block, left context and look-ahead as commands take them, in milliseconds. */
struct block_options {
    int block_ms, left_ms, right_ms;
};

/* What the options say, the rest as in reach_defaults. -1 with err filled unless
 * all are multiples of 20 ms within reason. */
int reach_from_options(struct reach *reach, const struct block_options *o, struct error *err);

#endif
