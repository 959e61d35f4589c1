// SPDX-License-Identifier: MIT
#include "prune/gates.h"

#include "model/params.h"
#include "model/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double BETA = 2.0 / 3.0, LOW = -0.1, HIGH = 1.1, EPS = 1e-6;

const char *const gate_unit_names[N_GATE_UNITS] = {"conv", "head", "interm", "attlayer",
                                                   "ffnlayer"};

static const char *const upstream_names[N_GATE_UNITS] = {
    "feature_extractor.conv_layers.%d.hard_concrete",
    "encoder.transformer.layers.%d.attention.hard_concrete_for_heads",
    "encoder.transformer.layers.%d.feed_forward.hard_concrete_for_intermediate",
    "encoder.transformer.layers.%d.attention.hard_concrete_for_layer",
    "encoder.transformer.layers.%d.feed_forward.hard_concrete_for_layer",
};

int gate_units_parse(unsigned *units, const char *text, struct error *err)
{
    *units = 0;
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ",");
        int unit = 0;
        while (unit < N_GATE_UNITS && (strlen(gate_unit_names[unit]) != length ||
                                       strncmp(at, gate_unit_names[unit], length)))
            unit++;
        if (unit == N_GATE_UNITS)
            return fail(err, "--units: \"%.*s\" is none of conv, head, interm, attlayer, ffnlayer",
                        (int)(length < 40 ? length : 40), at);
        *units |= 1u << unit;
        at += length + (at[length] == ',');
    }
    return *units ? 0 : fail(err, "--units: nothing to prune");
}

/* Gates of that unit in layer i; 0: none there. */
static int unit_count(const struct model_config *c, enum gate_unit unit, int i)
{
    const struct wavlm_config *w = &c->wavlm;

    if (unit == GATE_CONV)
        return i < w->n_convs ? w->conv[i].channels : 0;
    if (i >= config_layers_used(c))
        return 0;
    switch (unit) {
    case GATE_HEADS: return w->layer[i].n_heads;
    case GATE_INTERM: return w->layer[i].ff;
    case GATE_ATTLAYER: return w->layer[i].has_attention;
    default: return w->layer[i].has_feed_forward;
    }
}

/* Columns of the masks that a gate's values spread over. */
static size_t unit_columns(const struct model_config *c, enum gate_unit unit, int i)
{
    if (unit == GATE_HEADS)
        return (size_t)axis_size(c, AXIS_A, i);
    if (unit == GATE_ATTLAYER || unit == GATE_FFNLAYER)
        return (size_t)c->wavlm.embed;
    return (size_t)unit_count(c, unit, i);
}

static float **mask_of(struct masks *m, enum gate_unit unit, int i)
{
    float **const slots[] = {&m->conv[0], &m->ctx[0], &m->act[0], &m->attention[0],
                             &m->feed_forward[0]};

    return slots[unit] + i;
}

static void gates_place(struct gates *g)
{
    for (int k = 0; k < g->n; k++) {
        struct gate *gate = &g->list[k];
        size_t n = (size_t)gate->n;
        float **const parts[] = {&gate->log_alpha, &gate->u, &gate->value, &gate->slope, &gate->m,
                                 &gate->v};

        for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
            *parts[i] = arena_floats(&g->arena, n);
        *mask_of(&g->masks, gate->unit, gate->index) =
            arena_floats(&g->arena, unit_columns(g->config, gate->unit, gate->index));
    }
}

static int list_gates(struct gates *g, const struct model_config *c, unsigned units)
{
    int layers = c->wavlm.n_convs > MAX_LAYERS ? c->wavlm.n_convs : MAX_LAYERS;

    g->list = calloc((size_t)layers * N_GATE_UNITS, sizeof(*g->list));
    if (!g->list)
        return -1;
    for (int unit = 0; unit < N_GATE_UNITS; unit++) {
        for (int i = 0; (units >> unit & 1) && i < layers; i++) {
            struct gate *gate = &g->list[g->n];
            gate->n = unit_count(c, (enum gate_unit)unit, i);
            if (gate->n == 0)
                continue;
            gate->unit = (enum gate_unit)unit;
            gate->index = i;
            snprintf(gate->name, sizeof(gate->name), upstream_names[unit], i);
            g->n++;
        }
    }
    return 0;
}

/* Normal with upstream's deviation of 0.01 around the initial opening. */
static void start(struct gate *gate, struct random *rng)
{
    double drop = gate->unit == GATE_INTERM ? 0.5 : 0.01, mean = log(1.0 - drop) - log(drop);

    for (int i = 0; i < gate->n; i++) {
        double a = random_uniform(rng) + 1e-12, b = random_uniform(rng);
        gate->log_alpha[i] =
            (float)(mean + 0.01 * sqrt(-2.0 * log(a)) * cos(2.0 * acos(-1.0) * b));
    }
}

int gates_open(struct gates *g, const struct model_config *c, unsigned units, uint64_t seed,
               struct error *err)
{
    struct random rng;

    *g = (struct gates){.config = c};
    if (list_gates(g, c, units))
        return fail(err, "out of memory");
    if (g->n == 0) {
        gates_close(g);
        return fail(err, "nothing to prune: the model has none of these units");
    }
    gates_place(g);
    if (arena_commit(&g->arena, err)) {
        gates_close(g);
        return -1;
    }
    gates_place(g);
    random_init(&rng, seed);
    for (int k = 0; k < g->n; k++)
        start(&g->list[k], &rng);
    return 0;
}

void gates_close(struct gates *g)
{
    free(g->list);
    arena_release(&g->arena);
    *g = (struct gates){0};
}

struct gate *gates_find(const struct gates *g, enum gate_unit unit, int index)
{
    for (int k = 0; k < g->n; k++) {
        if (g->list[k].unit == unit && g->list[k].index == index)
            return &g->list[k];
    }
    return NULL;
}

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static void spread(struct gates *g, const struct gate *gate)
{
    float *mask = *mask_of(&g->masks, gate->unit, gate->index);
    size_t columns = unit_columns(g->config, gate->unit, gate->index);
    size_t each = columns / (size_t)gate->n;

    for (size_t i = 0; i < columns; i++)
        mask[i] = gate->value[i / each];
}

/* The stretched value before it is clamped. */
static double stretched(const struct gate *gate, int i)
{
    double u = gate->u[i];

    return sigmoid((log(u / (1.0 - u)) + gate->log_alpha[i]) / BETA) * (HIGH - LOW) + LOW;
}

void gates_sample(struct gates *g, uint64_t seed, long step)
{
    struct random rng;

    random_init(&rng, seed ^ (uint64_t)step * 0x9e3779b97f4a7c15u);
    for (int k = 0; k < g->n; k++) {
        struct gate *gate = &g->list[k];
        for (int i = 0; i < gate->n; i++) {
            if (step >= 0)
                gate->u[i] = (float)(EPS + (1.0 - 2.0 * EPS) * random_uniform(&rng));
            gate->value[i] = (float)fmin(1.0, fmax(0.0, stretched(gate, i)));
        }
        spread(g, gate);
    }
}

double gate_open_count(const struct gate *g)
{
    double sum = 0.0;

    for (int i = 0; i < g->n; i++)
        sum += sigmoid(g->log_alpha[i] - BETA * log(-LOW / HIGH));
    return sum;
}

double gate_open_slope(const struct gate *g, int i)
{
    double s = sigmoid(g->log_alpha[i] - BETA * log(-LOW / HIGH));

    return s * (1.0 - s);
}

struct soft {
    float value;
    int i;
};

static int by_value(const void *a, const void *b)
{
    const struct soft *x = a, *y = b;

    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return x->i - y->i;
}

void gates_settle(struct gates *g)
{
    for (int k = 0; k < g->n; k++) {
        struct gate *gate = &g->list[k];
        struct soft sorted[MAX_WIDTH];
        /* Python's round: half to even, as nearbyint by default. */
        int closed = (int)nearbyint((double)(float)(gate->n - gate_open_count(gate)));

        for (int i = 0; i < gate->n; i++) {
            gate->value[i] = (float)sigmoid(gate->log_alpha[i] / BETA * 0.8);
            sorted[i] = (struct soft){gate->value[i], i};
        }
        qsort(sorted, (size_t)gate->n, sizeof(*sorted), by_value);
        for (int i = 0; i < closed && i < gate->n; i++)
            gate->value[sorted[i].i] = 0.0f;
        spread(g, gate);
    }
}

void gates_clear_slopes(struct gates *g)
{
    for (int k = 0; k < g->n; k++)
        memset(g->list[k].slope, 0, (size_t)g->list[k].n * sizeof(float));
}

void gates_backward(struct gates *g, const struct masks *slopes)
{
    for (int k = 0; k < g->n; k++) {
        struct gate *gate = &g->list[k];
        const float *d = *mask_of((struct masks *)(uintptr_t)slopes, gate->unit, gate->index);
        size_t each = unit_columns(g->config, gate->unit, gate->index) / (size_t)gate->n;

        for (int i = 0; i < gate->n; i++) {
            double s = stretched(gate, i), open = (s - LOW) / (HIGH - LOW), sum = 0.0;
            for (size_t c = 0; c < each; c++)
                sum += d[(size_t)i * each + c];
            if (s >= 0.0 && s <= 1.0) // torch's clamp passes at the limits
                gate->slope[i] += (float)(sum * (HIGH - LOW) * open * (1.0 - open) / BETA);
        }
    }
}
