// SPDX-License-Identifier: MIT
#include "prune/distiller.h"

#include "prune/optimizer.h"

#include <math.h>
#include <string.h>

struct distiller_settings distiller_defaults(void)
{
    return (struct distiller_settings){
        .weights = {.l1 = 1.0, .cos = 1.0},
        .units = 1u << GATE_CONV | 1u << GATE_HEADS | 1u << GATE_INTERM,
        .sparsity = 0.8,
        .reg_lr = 2e-2,
        .seed = 1,
    };
}

/* The smallest size that closing all gates leaves. */
static double least_size(struct distiller *d)
{
    struct gates *g = &d->gates;
    float kept[MAX_WIDTH];
    double least;

    for (int k = 0; k < g->n; k++) { // expected counts of 0, without losing what was there
        struct gate *gate = &g->list[k];
        memcpy(kept, gate->log_alpha, (size_t)gate->n * sizeof(float));
        for (int i = 0; i < gate->n; i++)
            gate->log_alpha[i] = -60.0f;
        memcpy(gate->u, kept, (size_t)gate->n * sizeof(float));
    }
    least = expected_size(g, d->settings.target, &d->settings.time, 0.0).size;
    for (int k = 0; k < g->n; k++)
        memcpy(g->list[k].log_alpha, g->list[k].u, (size_t)g->list[k].n * sizeof(float));
    return least;
}

static int open_gates(struct distiller *d, const struct model_config *student, struct error *err)
{
    const struct distiller_settings *s = &d->settings;
    unsigned units = s->units;

    if (student->wavlm.fbank)
        units &= ~(1u << GATE_CONV); // filter banks have no channels to cut
    if (gates_open(&d->gates, student, units, s->seed, err))
        return -1;
    struct expected_size size = expected_size(&d->gates, s->target, &s->time, 0.0);
    d->unpruned = s->target == TARGET_PARAMS ? encoder_parameters(student) : size.unpruned;
    if (!(d->unpruned > 0.0))
        return fail(err, "out of memory to count parameters");
    double most = 1.0 - least_size(d) / d->unpruned;
    if (s->sparsity < 0.0 || s->sparsity >= most)
        return fail(err, "a sparsity of %.1f %% cannot be reached with these units: at most %.1f %%",
                    100.0 * s->sparsity, 100.0 * most);
    return 0;
}

static int choose_layers(struct distiller *d, const struct model_config *student,
                         struct error *err)
{
    struct distiller_settings *s = &d->settings;
    int last = student->wavlm.n_layers;

    if (s->n_layers == 0) {
        for (int k = 0; k < 4; k++) {
            int layer = (last * k + 1) / 3;
            if (k == 0 || layer > s->layers[s->n_layers - 1])
                s->layers[s->n_layers++] = layer;
        }
    }
    for (int k = 0; k < s->n_layers; k++) {
        if (s->layers[k] < 0 || s->layers[k] > last)
            return fail(err, "distillation at layer %d: the model has 0 to %d", s->layers[k],
                        last);
    }
    return 0;
}

int distiller_open(struct distiller *d, const char *path, const struct model_config *student,
                   const struct distiller_settings *settings, int n_frames, struct error *err)
{
    struct reach reach = {.block_frames = n_frames + 1, .n_blocks = 1, .stream_frames = n_frames};

    memset(d, 0, sizeof(*d));
    d->settings = *settings;
    if (checkpoint_open(&d->file, path, err))
        return -1;
    checkpoint_take_model(&d->file);
    if (model_open(&d->teacher, &d->file, &reach, err))
        return fail_prefix(err, "teacher %s: ", path);
    d->teacher.config.readout.present = 0; // representations alone are compared
    const struct wavlm_config *t = &d->teacher.config.wavlm, *s = &student->wavlm;
    if (t->embed != s->embed || t->n_layers != s->n_layers)
        return fail(err, "teacher %s has %d layers of width %d, the student %d of %d: they cannot "
                         "be compared", path, t->n_layers, t->embed, s->n_layers, s->embed);
    if (choose_layers(d, student, err))
        return -1;
    return settings->units ? open_gates(d, student, err) : 0;
}

void distiller_close(struct distiller *d)
{
    gates_close(&d->gates);
    model_close(&d->teacher);
    checkpoint_close(&d->file);
    memset(d, 0, sizeof(*d));
}

void distiller_begin(struct distiller *d, long step)
{
    if (d->gates.n)
        gates_sample(&d->gates, d->settings.seed, step);
}

void distiller_slopes(struct distiller *d, const struct masks *slopes, long step)
{
    const struct distiller_settings *s = &d->settings;
    double warm = s->sparsity_warmup > 0 ? (double)step / (double)s->sparsity_warmup : 1.0;

    if (!d->gates.n)
        return;
    gates_clear_slopes(&d->gates);
    gates_backward(&d->gates, slopes);
    d->target_now = s->sparsity * fmin(1.0, warm);
    d->sparsity = 1.0 - expected_size(&d->gates, s->target, &s->time, 0.0).size / d->unpruned;
    double slope = lagrangian_slope(&d->lagrangian, d->sparsity, d->target_now);
    if (slope != 0.0)
        expected_size(&d->gates, s->target, &s->time, -slope / d->unpruned);
}

const struct masks *distiller_masks(const struct distiller *d)
{
    return d && d->gates.n ? &d->gates.masks : NULL;
}

double distiller_penalty(const struct distiller *d)
{
    return d->gates.n ? lagrangian_loss(&d->lagrangian, d->sparsity, d->target_now) : 0.0;
}

double distiller_squares(const struct distiller *d)
{
    double sum = 0.0;

    for (int k = 0; k < d->gates.n; k++)
        sum += squares_sum(d->gates.list[k].slope, (size_t)d->gates.list[k].n);
    return sum;
}

void distiller_apply(struct distiller *d, double scale, long step)
{
    struct adamw a = adamw_defaults();

    if (!d->gates.n)
        return;
    a.decay = 0.0;
    for (int k = 0; k < d->gates.n; k++) {
        struct gate *g = &d->gates.list[k];
        adamw_step(g->log_alpha, g->m, g->v, g->slope, (size_t)g->n, &a, d->settings.reg_lr,
                   scale, step + 1);
    }
    double lr = d->settings.multiplier_lr > 0.0 ? d->settings.multiplier_lr : d->settings.reg_lr;
    lagrangian_step(&d->lagrangian, d->sparsity, d->target_now, lr, step + 1);
}

/* Moves the gates by that and settles them; how far the size is from the one wanted. */
static double settle_moved(struct distiller *d, double by)
{
    const struct distiller_settings *s = &d->settings;

    for (int k = 0; k < d->gates.n; k++) {
        for (int i = 0; i < d->gates.list[k].n; i++)
            d->gates.list[k].log_alpha[i] += (float)by;
    }
    gates_settle(&d->gates);
    return settled_size(&d->gates, s->target, &s->time) - (1.0 - s->sparsity) * d->unpruned;
}

double distiller_meet_target(struct distiller *d)
{
    double low = -20.0, high = 20.0, at = 0.0, best = 0.0, off = settle_moved(d, 0.0);

    for (int i = 0; i < 30; i++) { // the size rises with the log alphas, in steps of a unit
        double now = settle_moved(d, (low + high) / 2.0 - at);
        at = (low + high) / 2.0;
        *(now > 0.0 ? &high : &low) = at;
        if (fabs(now) < fabs(off)) {
            off = now;
            best = at;
        }
    }
    settle_moved(d, best - at);
    return best;
}
