// SPDX-License-Identifier: MIT
#include "prune/expected_size.h"

#include "model/params.h"

#include <math.h>
#include <stdlib.h>

/* What is open of every axis, and the slope of the size by it. */
struct counts {
    double conv[MAX_CONVS], columns[MAX_LAYERS], ff[MAX_LAYERS], attention[MAX_LAYERS],
        feed_forward[MAX_LAYERS];
};

static void count_all(struct counts *n, const struct model_config *c)
{
    for (int i = 0; i < c->wavlm.n_convs; i++)
        n->conv[i] = c->wavlm.conv[i].channels;
    for (int i = 0; i < config_layers_used(c); i++) {
        n->columns[i] = (double)axis_size(c, AXIS_A, i);
        n->ff[i] = c->wavlm.layer[i].ff;
        n->attention[i] = c->wavlm.layer[i].has_attention;
        n->feed_forward[i] = c->wavlm.layer[i].has_feed_forward;
    }
}

static double *count_of(struct counts *n, const struct gate *g)
{
    double *const slots[] = {n->conv, n->columns, n->ff, n->attention, n->feed_forward};

    return slots[g->unit] + g->index;
}

/* Columns that one gate stands for. */
static double unit_width(const struct gate *g, const struct model_config *c)
{
    return g->unit == GATE_HEADS ? config_head_width(&c->wavlm, g->index) : 1.0;
}

static double params_size(const struct counts *n, struct counts *d, const struct model_config *c)
{
    const struct wavlm_config *w = &c->wavlm;
    double E = w->embed, in = 1.0, *d_in = NULL, size = 0.0;
    double features = (double)axis_size(c, AXIS_FEATURES, 0);

    for (int i = 0; i < w->n_convs; i++) {
        double k = w->conv[i].kernel, out = n->conv[i];
        double besides = (!w->group_norm || i == 0 ? 2.0 : 0.0) + (w->conv_bias ? 1.0 : 0.0);
        size += in * out * k + besides * out;
        d->conv[i] += in * k + besides;
        if (d_in)
            *d_in += out * k;
        in = out;
        d_in = &d->conv[i];
    }
    in = d_in ? in : features;
    size += in + 2.0 * in + (in + 1.0) * E; // dummy_weight, norm, projection
    if (d_in)
        *d_in += 3.0 + E;
    if (w->pos_kernel)
        size += w->pos_kernel + E * E / w->pos_groups * w->pos_kernel + E;
    size += 2.0 * E;
    for (int i = 0; i < w->n_layers; i++) {
        double a = n->columns[i], f = n->ff[i];
        double attention = (E + 1.0) * a * 3.0 + (a + 1.0) * E;
        double feed_forward = (E + 1.0) * f + (f + 1.0) * E;
        size += 4.0 * E + n->attention[i] * attention + n->feed_forward[i] * feed_forward;
        d->columns[i] += n->attention[i] * ((E + 1.0) * 3.0 + E);
        d->ff[i] += n->feed_forward[i] * (2.0 * E + 1.0);
        d->attention[i] += attention;
        d->feed_forward[i] += feed_forward;
    }
    return size;
}

/* Multiply-accumulates of one second. */
static double macs_size(const struct counts *n, struct counts *d, const struct model_config *c)
{
    const struct wavlm_config *w = &c->wavlm;
    double E = w->embed, T = 16000.0, in = 1.0, *d_in = NULL, size = 0.0;

    for (int i = 0; i < w->n_convs; i++) {
        double k = w->conv[i].kernel, out = n->conv[i];
        T = floor((T - k) / w->conv[i].stride) + 1.0;
        size += T * k * in * out;
        d->conv[i] += T * k * in;
        if (d_in)
            *d_in += T * k * out;
        in = out;
        d_in = &d->conv[i];
    }
    T = w->fbank ? 49.0 : T;
    in = d_in ? in : (double)axis_size(c, AXIS_FEATURES, 0);
    size += T * in * E;
    if (d_in)
        *d_in += T * E;
    if (w->pos_kernel)
        size += (T + 2 * (w->pos_kernel / 2) - w->pos_kernel + 1) * w->pos_kernel * E * E /
                w->pos_groups;
    for (int i = 0; i < w->n_layers; i++) {
        double attention = 4.0 * T * E + 2.0 * T * T, feed_forward = 2.0 * T * E;
        size += n->attention[i] * attention * n->columns[i] +
                n->feed_forward[i] * feed_forward * n->ff[i];
        d->columns[i] += n->attention[i] * attention;
        d->ff[i] += n->feed_forward[i] * feed_forward;
        d->attention[i] += attention * n->columns[i];
        d->feed_forward[i] += feed_forward * n->ff[i];
    }
    return size;
}

/* Milliseconds of a live block. */
static double time_size(const struct counts *n, struct counts *d, const struct model_config *c,
                        const struct latency *l)
{
    const struct wavlm_config *w = &c->wavlm;
    double in = 1.0, *d_in = NULL, size = l->fixed_ms;

    for (int i = 0; i < w->n_convs; i++) {
        double by_in, by_out;
        size += latency_grid_at(&l->conv[i], in, n->conv[i], &by_in, &by_out);
        d->conv[i] += by_out;
        if (d_in)
            *d_in += by_in;
        in = n->conv[i];
        d_in = &d->conv[i];
    }
    if (d_in) {
        double by_in;
        size += latency_curve_at(&l->projection, in, &by_in);
        *d_in += by_in;
    }
    for (int i = 0; i < config_layers_used(c); i++) {
        double width = config_head_width(w, i), by_heads, by_units;
        double attention = latency_curve_at(&l->attention, n->columns[i] / width, &by_heads);
        double feed_forward = latency_curve_at(&l->feed_forward, n->ff[i], &by_units);
        size += n->attention[i] * attention + n->feed_forward[i] * feed_forward;
        d->columns[i] += n->attention[i] * by_heads / width;
        d->ff[i] += n->feed_forward[i] * by_units;
        d->attention[i] += attention;
        d->feed_forward[i] += feed_forward;
    }
    return size;
}

static double size_of(const struct counts *n, struct counts *d, const struct model_config *c,
                      enum size_target target, const struct latency *time)
{
    if (target == TARGET_PARAMS)
        return params_size(n, d, c);
    return target == TARGET_MACS ? macs_size(n, d, c) : time_size(n, d, c, time);
}

struct expected_size expected_size(struct gates *g, enum size_target target,
                                   const struct latency *time, double factor)
{
    struct counts n = {0}, d = {0}, ignored = {0};
    struct expected_size size;

    count_all(&n, g->config);
    size.unpruned = size_of(&n, &ignored, g->config, target, time);
    for (int k = 0; k < g->n; k++)
        *count_of(&n, &g->list[k]) =
            gate_open_count(&g->list[k]) * unit_width(&g->list[k], g->config);
    size.size = size_of(&n, &d, g->config, target, time);
    for (int k = 0; factor != 0.0 && k < g->n; k++) {
        struct gate *gate = &g->list[k];
        double slope = factor * *count_of(&d, gate) * unit_width(gate, g->config);
        for (int i = 0; i < gate->n; i++)
            gate->slope[i] += (float)(slope * gate_open_slope(gate, i));
    }
    return size;
}

double settled_size(const struct gates *g, enum size_target target, const struct latency *time)
{
    struct counts n = {0}, ignored = {0};

    count_all(&n, g->config);
    for (int k = 0; k < g->n; k++) {
        const struct gate *gate = &g->list[k];
        double *count = count_of(&n, gate);
        *count = 0.0;
        for (int i = 0; i < gate->n; i++)
            *count += gate->value[i] != 0.0f ? unit_width(gate, g->config) : 0.0;
    }
    return size_of(&n, &ignored, g->config, target, time);
}

double encoder_parameters(const struct model_config *c)
{
    int n = 0;
    struct param *list = params_list(c, &n);
    double sum = 0.0;

    for (int i = 0; list && i < n; i++)
        sum += list[i].encoder ? (double)param_count(&list[i]) : 0.0;
    free(list);
    return sum;
}

double lagrangian_loss(const struct lagrangian *l, double sparsity, double target)
{
    double off = sparsity - target;

    return l->l1 * off + l->l2 * off * off;
}

double lagrangian_slope(const struct lagrangian *l, double sparsity, double target)
{
    return l->l1 + 2.0 * l->l2 * (sparsity - target);
}

static void ascend(double *x, double *m, double *v, double slope, double lr, long t)
{
    *m = 0.9 * *m + 0.1 * slope;
    *v = 0.999 * *v + 0.001 * slope * slope;
    *x += lr * (*m / (1.0 - pow(0.9, (double)t))) /
          (sqrt(*v / (1.0 - pow(0.999, (double)t))) + 1e-8);
}

void lagrangian_step(struct lagrangian *l, double sparsity, double target, double lr, long t)
{
    double off = sparsity - target;

    ascend(&l->l1, &l->m1, &l->v1, off, lr, t);
    ascend(&l->l2, &l->m2, &l->v2, off * off, lr, t);
}
