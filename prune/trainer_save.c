// SPDX-License-Identifier: MIT
/* trainer_save.c - a run's state as one safetensors file: the weights under
 * their names, train.m.NAME, train.v.NAME and train.ema.NAME beside them,
 * train.heads.NAME (heads.h), and train.state, numbers in double precision. */
#include "prune/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* train.state: */
enum state {
    STATE_VERSION,
    STATE_STEP,
    STATE_NEXT_CLIP,
    STATE_SEED_LOW,
    STATE_SEED_HIGH,
    STATE_PLATEAU,
    STATE_HISTORY,
    N_STATE
};

enum { VERSION = 1, MAX_NAME = 200 };

struct writing {
    struct tensor *tensors;
    char (*names)[MAX_NAME];
    int n;
};

static void add(struct writing *w, const char *prefix, const struct param *p, const float *data)
{
    struct tensor *t = &w->tensors[w->n];

    snprintf(w->names[w->n], MAX_NAME, "%s%s", prefix, p->name);
    *t = (struct tensor){.name = w->names[w->n], .dtype = DTYPE_F32, .n_axes = p->n_axes,
                         .data = data};
    for (int i = 0; i < p->n_axes; i++)
        t->size[i] = p->size[i];
    w->n++;
}

static int writing_open(struct writing *w, int n, struct error *err)
{
    *w = (struct writing){.tensors = calloc((size_t)n, sizeof(*w->tensors)),
                          .names = calloc((size_t)n, MAX_NAME)};
    return w->tensors && w->names ? 0 : fail(err, "out of memory");
}

static void writing_close(struct writing *w)
{
    free(w->tensors);
    free(w->names);
}

/* A gate's vector under its name, or the multipliers. */
static void add_vector(struct writing *w, const char *prefix, const char *name, enum dtype dtype,
                       int n, const void *data)
{
    snprintf(w->names[w->n], MAX_NAME, "%s%s", prefix, name);
    w->tensors[w->n] = (struct tensor){w->names[w->n], dtype, 1, {n}, data};
    w->n++;
}

static int gates_of(const struct trainer *t)
{
    return t->distiller ? t->distiller->gates.n : 0;
}

/* A gate's log_alpha under upstream's name. */
static void add_log_alpha(struct writing *w, const struct gate *g, const float *log_alpha)
{
    snprintf(w->names[w->n], MAX_NAME, "%s.log_alpha", g->name);
    w->tensors[w->n] = (struct tensor){w->names[w->n], DTYPE_F32, 1, {g->n}, log_alpha};
    w->n++;
}

static void add_gates(struct writing *w, const struct distiller *d)
{
    for (int k = 0; k < d->gates.n; k++) {
        const struct gate *g = &d->gates.list[k];
        add_vector(w, "gate.", g->name, DTYPE_F32, g->n, g->log_alpha);
        add_vector(w, "gate.m.", g->name, DTYPE_F32, g->n, g->m);
        add_vector(w, "gate.v.", g->name, DTYPE_F32, g->n, g->v);
    }
    add_vector(w, "gate.", "lagrangian", DTYPE_F64, 6, &d->lagrangian);
}

int trainer_save(const struct trainer *t, const char *path, struct error *err)
{
    double state[N_STATE] = {
        [STATE_VERSION] = VERSION,
        [STATE_STEP] = (double)t->step,
        [STATE_NEXT_CLIP] = (double)t->next_clip,
        [STATE_SEED_LOW] = (double)(t->settings.seed & 0xffffffffu),
        [STATE_SEED_HIGH] = (double)(t->settings.seed >> 32),
        [STATE_PLATEAU] = t->plateau_factor,
        [STATE_HISTORY] = t->n_history,
    };
    struct writing w;
    int n_gates = gates_of(t);
    int status = writing_open(&w, 4 * t->n_params + 3 * n_gates + 3 * t->heads.n + 3, err);

    for (int i = 0; status == 0 && i < t->n_params; i++) {
        const struct param *p = &t->list[i];
        add(&w, "", p, param_values(&t->model.params, p));
        if (t->settings.ema > 0.0)
            add(&w, "train.ema.", p, param_values(&t->ema, p));
        if (p->kind != PARAM_WEIGHT)
            continue;
        add(&w, "train.m.", p, param_values(&t->m, p));
        add(&w, "train.v.", p, param_values(&t->v, p));
    }
    if (status == 0 && n_gates)
        add_gates(&w, t->distiller);
    if (status == 0)
        w.n += heads_list(&t->heads, w.tensors + w.n, w.names + w.n);
    if (status == 0) {
        w.tensors[w.n++] = (struct tensor){"train.state", DTYPE_F64, 1, {N_STATE}, state};
        w.tensors[w.n++] =
            (struct tensor){"train.history", DTYPE_F64, 1, {TRAINER_HISTORY}, t->history};
        status = checkpoint_write(path, w.tensors, w.n, t->config, "a training run's state", err);
    }
    writing_close(&w);
    return status;
}

int trainer_write_model(const struct trainer *t, const char *path, const char *provenance,
                        struct error *err)
{
    const struct model_params *from = t->settings.ema > 0.0 ? &t->ema : &t->model.params;
    struct writing w;
    int status = writing_open(&w, t->n_params + gates_of(t), err);

    for (int i = 0; status == 0 && i < t->n_params; i++)
        add(&w, "", &t->list[i], param_values(from, &t->list[i]));
    for (int k = 0; status == 0 && k < gates_of(t); k++)
        add_log_alpha(&w, &t->distiller->gates.list[k], t->distiller->gates.list[k].log_alpha);
    if (status == 0)
        status = checkpoint_write(path, w.tensors, w.n, t->config, provenance, err);
    writing_close(&w);
    return status;
}

static int check_finite(const char *name, const float *x, size_t n, struct error *err)
{
    int is_square = strstr(name, "train.v.") || strstr(name, "gate.v."); // of the optimiser

    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]) || (is_square && x[i] < 0.0f))
            return fail(err, "tensor %s: element %zu is %g; the file is damaged", name, i,
                        (double)x[i]);
    }
    return 0;
}

static int check_finite_doubles(const char *name, const double *x, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return fail(err, "tensor %s: element %zu is %g; the file is damaged", name, i, x[i]);
    }
    return 0;
}

/* Copies the tensor prefix + p's name, which must be there and of p's size. */
static int take(float *to, const struct checkpoint *c, const char *prefix, const struct param *p,
                struct error *err)
{
    char name[MAX_NAME];
    const struct tensor *t;

    snprintf(name, sizeof(name), "%s%s", prefix, p->name);
    t = checkpoint_find(c, name);
    if (!t || t->dtype != DTYPE_F32 || tensor_count(t) != param_count(p))
        return fail(err, "no tensor %s of %zu numbers: not a run of this model", name,
                    param_count(p));
    if (check_finite(name, t->data, param_count(p), err))
        return -1;
    memcpy(to, t->data, param_count(p) * sizeof(float));
    return 0;
}

/* mean = ((a + b) + c) / n, as upstream adds. */
static void add_to_mean(float *mean, const float *one, size_t count, int k, int n)
{
    for (size_t i = 0; i < count; i++) {
        mean[i] = k ? mean[i] + one[i] : one[i];
        if (k == n - 1)
            mean[i] /= (float)n;
    }
}

static int take_vector(void *to, const struct checkpoint *c, const char *prefix,
                       const char *name, const char *suffix, enum dtype dtype, int n,
                       struct error *err)
{
    char key[MAX_NAME];

    snprintf(key, sizeof(key), "%s%s%s", prefix, name, suffix);
    const struct tensor *t = checkpoint_find(c, key);
    if (!t || t->dtype != dtype || tensor_count(t) != (size_t)n)
        return fail(err, "no %s of %d numbers: not a run with these gates", key, n);
    if (dtype == DTYPE_F64 ? check_finite_doubles(key, t->data, (size_t)n, err)
                           : check_finite(key, t->data, (size_t)n, err))
        return -1;
    memcpy(to, t->data, (size_t)n * (dtype == DTYPE_F64 ? sizeof(double) : sizeof(float)));
    return 0;
}

/* Places for the means of all tensors and gates, and for one of each. */
struct means {
    struct model_params mean, one;
    float **gates, *gate; // [gates], [their widest]
    struct arena arena;
};

static int means_open(struct means *m, const struct trainer *t, struct error *err)
{
    size_t widest = 1;

    *m = (struct means){.gates = calloc((size_t)gates_of(t) + 1, sizeof(*m->gates))};
    if (!m->gates)
        return fail(err, "out of memory");
    for (int pass = 0; pass < 2; pass++) {
        params_place(&m->mean, t->list, t->n_params, &m->arena);
        params_place(&m->one, t->list, t->n_params, &m->arena);
        for (int k = 0; k < gates_of(t); k++) {
            size_t n = (size_t)t->distiller->gates.list[k].n;
            m->gates[k] = arena_floats(&m->arena, n);
            widest = n > widest ? n : widest;
        }
        m->gate = arena_floats(&m->arena, widest);
        if (pass == 0 && arena_commit(&m->arena, err))
            return -1;
    }
    return 0;
}

static void means_close(struct means *m)
{
    free(m->gates);
    arena_release(&m->arena);
}

/* Adds the k-th of n files. */
static int means_add(struct means *m, const struct trainer *t, const char *path, int k, int n,
                     struct error *err)
{
    struct checkpoint c = {0};
    int status = checkpoint_open(&c, path, err);

    for (int i = 0; status == 0 && i < t->n_params; i++) {
        const struct param *p = &t->list[i];
        float *one = *param_slot(&m->one, p);
        status = take(one, &c, "", p, err);
        if (status == 0)
            add_to_mean(*param_slot(&m->mean, p), one, param_count(p), k, n);
    }
    for (int i = 0; status == 0 && i < gates_of(t); i++) {
        const struct gate *g = &t->distiller->gates.list[i];
        status = take_vector(m->gate, &c, "", g->name, ".log_alpha", DTYPE_F32, g->n, err);
        if (status == 0)
            add_to_mean(m->gates[i], m->gate, (size_t)g->n, k, n);
    }
    checkpoint_close(&c);
    return status;
}

int trainer_average(const struct trainer *t, const char *const *paths, int n, const char *output,
                    const char *provenance, struct error *err)
{
    struct means m;
    struct writing w = {0};
    int status = means_open(&m, t, err);

    for (int k = 0; status == 0 && k < n; k++)
        status = means_add(&m, t, paths[k], k, n, err);
    if (status == 0)
        status = writing_open(&w, t->n_params + gates_of(t), err);
    for (int i = 0; status == 0 && i < t->n_params; i++)
        add(&w, "", &t->list[i], param_values(&m.mean, &t->list[i]));
    for (int k = 0; status == 0 && k < gates_of(t); k++)
        add_log_alpha(&w, &t->distiller->gates.list[k], m.gates[k]);
    if (status == 0)
        status = checkpoint_write(output, w.tensors, w.n, t->config, provenance, err);
    means_close(&m);
    writing_close(&w);
    return status;
}

int trainer_take_model(struct trainer *t, const char *path, struct error *err)
{
    struct checkpoint c = {0};
    int status = checkpoint_open(&c, path, err);

    for (int i = 0; status == 0 && i < t->n_params; i++)
        status = take(*param_slot(&t->model.params, &t->list[i]), &c, "", &t->list[i], err);
    for (int i = 0; status == 0 && i < gates_of(t); i++) {
        struct gate *g = &t->distiller->gates.list[i];
        status = take_vector(g->log_alpha, &c, "", g->name, ".log_alpha", DTYPE_F32, g->n, err);
    }
    checkpoint_close(&c);
    if (status == 0)
        model_derive(&t->model);
    return status;
}

static int take_tensors(struct trainer *t, const struct checkpoint *c, struct error *err)
{
    for (int i = 0; i < t->n_params; i++) {
        const struct param *p = &t->list[i];
        if (take(*param_slot(&t->model.params, p), c, "", p, err))
            return -1;
        if (t->settings.ema > 0.0 && take(*param_slot(&t->ema, p), c, "train.ema.", p, err))
            return -1;
        if (p->kind == PARAM_WEIGHT && (take(*param_slot(&t->m, p), c, "train.m.", p, err) ||
                                        take(*param_slot(&t->v, p), c, "train.v.", p, err)))
            return -1;
    }
    return 0;
}

static int take_gates(struct distiller *d, const struct checkpoint *c, struct error *err)
{
    for (int k = 0; k < d->gates.n; k++) {
        struct gate *g = &d->gates.list[k];
        if (take_vector(g->log_alpha, c, "gate.", g->name, "", DTYPE_F32, g->n, err) ||
            take_vector(g->m, c, "gate.m.", g->name, "", DTYPE_F32, g->n, err) ||
            take_vector(g->v, c, "gate.v.", g->name, "", DTYPE_F32, g->n, err))
            return -1;
    }
    return d->gates.n == 0
               ? 0 : take_vector(&d->lagrangian, c, "gate.", "lagrangian", "", DTYPE_F64, 6, err);
}

static int take_state(struct trainer *t, const struct checkpoint *c, struct error *err)
{
    const struct tensor *state = checkpoint_find(c, "train.state");
    const struct tensor *history = checkpoint_find(c, "train.history");
    const double *x = state ? state->data : NULL;

    if (!x || state->dtype != DTYPE_F64 || tensor_count(state) != N_STATE || !history ||
        history->dtype != DTYPE_F64 || tensor_count(history) != TRAINER_HISTORY ||
        x[STATE_VERSION] != VERSION)
        return fail(err, "no state of a training run");
    if (!(x[STATE_STEP] >= 0.0 && x[STATE_STEP] < 1e15) ||
        !(x[STATE_NEXT_CLIP] >= 0.0 && x[STATE_NEXT_CLIP] < 1e15) ||
        !(x[STATE_HISTORY] >= 0.0 && x[STATE_HISTORY] < 1e9) ||
        !(x[STATE_PLATEAU] > 0.0 && x[STATE_PLATEAU] <= 1.0))
        return fail(err, "the state of the run makes no sense");
    if (x[STATE_SEED_LOW] != (double)(t->settings.seed & 0xffffffffu) ||
        x[STATE_SEED_HIGH] != (double)(t->settings.seed >> 32))
        return fail(err, "the run had another seed: give it, or begin anew in another folder");
    if (check_finite_doubles("train.history", history->data, TRAINER_HISTORY, err))
        return -1;
    t->step = (long)x[STATE_STEP];
    t->next_clip = (uint64_t)x[STATE_NEXT_CLIP];
    t->n_history = (int)x[STATE_HISTORY];
    t->plateau_factor = x[STATE_PLATEAU];
    memcpy(t->history, history->data, sizeof(t->history));
    return 0;
}

int trainer_resume(struct trainer *t, const char *path, struct error *err)
{
    struct checkpoint c;
    struct error why;
    int status;

    if (checkpoint_open(&c, path, err))
        return -1;
    status = take_tensors(t, &c, &why) || heads_resume(&t->heads, &c, &why) ||
                     take_state(t, &c, &why) ||
                     (t->distiller && take_gates(t->distiller, &c, &why))
                 ? -1 : 0;
    checkpoint_close(&c);
    if (status)
        return fail(err, "%s: %s", path, why.text);
    model_derive(&t->model);
    return 0;
}
