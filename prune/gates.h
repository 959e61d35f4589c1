// SPDX-License-Identifier: MIT
/* gates.h - hard-concrete gates on the units that pruning cuts (Louizos et al.
 * 2018), as DiariZen has them.
 *
 *   train  s = sigmoid((ln(u / (1-u)) + log_alpha) / beta) (r - l) + l, clamped to 0 .. 1
 *   open   l0 = sum sigmoid(log_alpha - beta ln(-l / r)): how many are expected open
 *   test   the round(n - l0) smallest of sigmoid(0.8 log_alpha / beta) closed, the
 *          others as they are: soft, not 1
 *
 * beta 2/3, l -0.1, r 1.1. The walk's masks (model/training.h) are the gates'
 * values spread over columns; their slopes come back the same way. */
#ifndef GATES_H
#define GATES_H

#include "model/arena.h"
#include "model/config.h"
#include "model/training.h"

enum gate_unit { GATE_CONV, GATE_HEADS, GATE_INTERM, GATE_ATTLAYER, GATE_FFNLAYER, N_GATE_UNITS };

/* "conv", "head", "interm", "attlayer", "ffnlayer". */
extern const char *const gate_unit_names[N_GATE_UNITS];

struct gate {
    enum gate_unit unit;
    int index, n;     // layer; gates in it
    char name[140];   // upstream's, without .log_alpha
    float *log_alpha, *u, *value; // [n]
    float *slope;     // [n] by log_alpha
    float *m, *v;     // [n] AdamW's moments
};

struct gates {
    struct gate *list;
    int n;
    struct masks masks; // values by column, for the forward pass
    const struct model_config *config;
    struct arena arena;
};

/* Gates on those units (bits 1 << unit) of the encoder's used layers; started as
 * upstream: 0.99 open, inner units 0.5. The config must outlive them. */
int gates_open(struct gates *g, const struct model_config *c, unsigned units, uint64_t seed,
               struct error *err);
void gates_close(struct gates *g);

/* Values of a training step. u is drawn from (seed, step), or kept if step < 0. */
void gates_sample(struct gates *g, uint64_t seed, long step);

/* Values to infer with. */
void gates_settle(struct gates *g);

/* slope += d loss / d log_alpha from the slopes by the masks, for the values of
 * gates_sample. */
void gates_backward(struct gates *g, const struct masks *slopes);
void gates_clear_slopes(struct gates *g);

/* Expected number of open ones of a gate, and the slope of each. */
double gate_open_count(const struct gate *g);
double gate_open_slope(const struct gate *g, int i);

/* "conv,head" to bits. */
int gate_units_parse(unsigned *units, const char *text, struct error *err);

/* The gate of that unit and layer, or NULL. */
struct gate *gates_find(const struct gates *g, enum gate_unit unit, int index);

#endif
