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

/* The tensors alone. */
int load_checkpoint(struct checkpoint *c, const char *path, struct error *err);

void unload_model(struct loaded *l);

/* Milliseconds to frames of 20 ms: -1 with err filled unless it is a multiple
 * within min_ms .. 600000. */
int frames_from_ms(int *frames, const char *option, int ms, int min_ms, struct error *err);

#endif
