// SPDX-License-Identifier: MIT
/* load.h - a model by the name a user gives it: a file, an architecture, or none. */
#ifndef LOAD_H
#define LOAD_H

#include "model/model.h"

#include <limits.h>

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

/* How a model is to run live, as commands take it; what was not said is
 * LIVE_UNSAID. */
struct live_options {
    int block_ms, left_ms;  // block by block
    double horizon_seconds; // likewise
    double window_seconds;  // in windows
    int step_ms;
    int right_ms;           // either
};

#define LIVE_UNSAID INT_MIN
#define LIVE_OPTIONS_NONE                                                                          \
    {LIVE_UNSAID, LIVE_UNSAID, LIVE_UNSAID, LIVE_UNSAID, LIVE_UNSAID, LIVE_UNSAID}

/* -1 with err filled if a horizon was said that is none. */
int horizon_check(double seconds, struct error *err);

/* A horizon as a reach has it: the model's own if none was said. */
double horizon_or_own(double seconds);

#define HORIZON_OPTION(seconds)                                                                    \
    {"horizon", 0, POPT_ARG_DOUBLE, &(seconds), 0,                                                 \
     "memory of running statistics, 0: for ever [the model's]", "SEC"}

/* popt's rows for a table. */
#define LIVE_OPTIONS(o)                                                                            \
    {"block", 0, POPT_ARG_INT, &(o).block_ms, 0, "block by block: audio a step [320]", "MS"},      \
    {"left", 0, POPT_ARG_INT, &(o).left_ms, 0, "and the context before it [the model's]", "MS"},   \
    {"window", 0, POPT_ARG_DOUBLE, &(o).window_seconds, 0,                                         \
     "encode the last SEC anew at each step [the model's]", "SEC"},                                \
    {"step", 0, POPT_ARG_INT, &(o).step_ms, 0, "and such a step [500]", "MS"},                     \
    {"right", 0, POPT_ARG_INT, &(o).right_ms, 0, "look-ahead, adds to the latency [0]", "MS"}

/* -1 with err filled if what was said contradicts itself or is out of range. */
int live_options_check(const struct live_options *o, struct error *err);

/* The reach: what the options say, else as the model was made for. */
int live_reach(struct reach *reach, const struct live_options *o, const struct model_config *c,
               struct error *err);

/* load_model, with the reach that live_reach finds. Options were checked. */
int load_live_model(struct loaded *l, const char *path, const char *arch,
                    const struct live_options *o, struct error *err);

/* Block, left context and look-ahead as commands take them, in milliseconds; a left context of
 * LIVE_UNSAID is the model's own. */
struct block_options {
    int block_ms, left_ms, right_ms;
};

/* What the options say (the left context may be REACH_OWN), the rest as in reach_defaults. -1 with err filled unless
 * all are multiples of 20 ms within reason. */
int reach_from_options(struct reach *reach, const struct block_options *o, struct error *err);

#endif
