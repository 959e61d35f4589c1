// SPDX-License-Identifier: MIT
#include "prune/heads.h"

#include "prune/draw.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 200 };

static const char *const kinds[3] = {"train.heads.", "train.heads.m.", "train.heads.v."};

static size_t count(const struct head *p)
{
    return (size_t)p->rows * (size_t)p->columns;
}

int heads_add(struct heads *h, const char *name, int64_t rows, int64_t columns, int decays,
              float spread)
{
    struct head *p = &h->list[h->n];

    *p = (struct head){name, rows, columns, decays, spread, h->n_floats};
    h->n_floats += count(p);
    return h->n++;
}

void heads_place(struct heads *h, struct arena *arena)
{
    h->values = arena_floats(arena, h->n_floats);
    h->m = arena_floats(arena, h->n_floats);
    h->v = arena_floats(arena, h->n_floats);
}

void heads_randomize(struct heads *h, uint64_t seed)
{
    for (int k = 0; k < h->n; k++) {
        const struct head *p = &h->list[k];
        struct random rng;
        draw_begin(&rng, seed ^ 0x6865616473u, (uint64_t)k);
        for (size_t i = 0; p->spread > 0.0f && i < count(p); i++)
            h->values[p->at + i] = p->spread * draw_normal(&rng);
    }
}

static float *values_of(const struct heads *h, const struct head *p, int kind)
{
    return (kind == 0 ? h->values : kind == 1 ? h->m : h->v) + p->at;
}

static const struct tensor *find(const struct checkpoint *state, const struct head *p, int kind)
{
    char name[MAX_NAME];

    snprintf(name, sizeof(name), "%s%s", kinds[kind], p->name);
    const struct tensor *t = checkpoint_find(state, name);
    return t && t->dtype == DTYPE_F32 && t->n_axes == 2 && t->size[0] == p->rows &&
                   t->size[1] == p->columns
               ? t : NULL;
}

/* Numbers that a run can go on with; squares (kind 2) are not negative. */
static int proper(const struct tensor *t, int kind)
{
    const float *x = t->data;

    for (size_t i = 0; i < tensor_count(t); i++) {
        if (!isfinite(x[i]) || (kind == 2 && x[i] < 0.0f))
            return 0;
    }
    return 1;
}

void heads_begin_from(struct heads *h, const struct checkpoint *state)
{
    for (int k = 0; k < h->n; k++) {
        const struct tensor *t = find(state, &h->list[k], 0);
        if (t && proper(t, 0))
            memcpy(h->values + h->list[k].at, t->data, count(&h->list[k]) * sizeof(float));
    }
}

int heads_list(const struct heads *h, struct tensor *list, char (*names)[200])
{
    int n = 0;

    for (int k = 0; k < h->n; k++) {
        const struct head *p = &h->list[k];
        for (int kind = 0; kind < 3; kind++) {
            snprintf(names[n], MAX_NAME, "%s%s", kinds[kind], p->name);
            list[n] = (struct tensor){names[n], DTYPE_F32, 2, {p->rows, p->columns},
                                      values_of(h, p, kind)};
            n++;
        }
    }
    return n;
}

int heads_resume(struct heads *h, const struct checkpoint *state, struct error *err)
{
    for (int k = 0; k < h->n; k++) {
        const struct head *p = &h->list[k];
        for (int kind = 0; kind < 3; kind++) {
            const struct tensor *t = find(state, p, kind);
            if (!t)
                return fail(err, "no %s%s of %lld x %lld numbers: the run had other losses or "
                            "other data; begin anew in another folder", kinds[kind], p->name,
                            (long long)p->rows, (long long)p->columns);
            if (!proper(t, kind))
                return fail(err, "%s%s holds what is no number; the file is damaged", kinds[kind],
                            p->name);
            memcpy(values_of(h, p, kind), t->data, count(p) * sizeof(float));
        }
    }
    return 0;
}
