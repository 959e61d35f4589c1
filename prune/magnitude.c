// SPDX-License-Identifier: MIT
#include "prune/magnitude.h"

#include "prune/shrink.h"

#include <math.h>
#include <stdlib.h>

/* So far that its sigmoid is 0 or 1 in single precision. */
static const float FAR = 30.0f;

struct unit {
    double squares;
    int i;
};

static int by_size(const void *a, const void *b)
{
    const struct unit *x = a, *y = b;

    if (x->squares != y->squares)
        return x->squares < y->squares ? -1 : 1;
    return x->i - y->i;
}

/* Adds the squares of a tensor to the units of the gate on one of its axes. */
static void add_squares(struct unit *units, const struct param *p, int axis, int each,
                        const float *values)
{
    size_t inner = 1, n = param_count(p);

    for (int a = axis + 1; a < p->n_axes; a++)
        inner *= (size_t)p->size[a];
    for (size_t i = 0; i < n; i++) {
        size_t at = i / inner % (size_t)p->size[axis];
        units[at / (size_t)each].squares += (double)values[i] * values[i];
    }
}

static void measure(struct unit *units, const struct gate *g, const struct gates *gates,
                    const struct model *m)
{
    for (int i = 0; i < g->n; i++)
        units[i] = (struct unit){0.0, i};
    for (int k = 0; k < m->n_params; k++) {
        const struct param *p = &m->list[k];
        const float *values = param_values(&m->params, p);
        for (int axis = 0; p->n_axes >= 2 && values && axis < p->n_axes; axis++) {
            int each;
            if (shrink_gate(&m->config, gates, p, axis, &each) == g)
                add_squares(units, p, axis, each, values);
        }
    }
    qsort(units, (size_t)g->n, sizeof(*units), by_size);
}

/* Closes that share of every gate's units; the sparsity it makes. */
static double close_share(struct distiller *d, struct unit *const *units, double share)
{
    for (int k = 0; k < d->gates.n; k++) {
        struct gate *g = &d->gates.list[k];
        int closed = (int)floor(share * g->n + 0.5);
        for (int i = 0; i < g->n; i++)
            g->log_alpha[units[k][i].i] = i < closed && i < g->n - 1 ? -FAR : FAR;
    }
    return 1.0 - expected_size(&d->gates, d->settings.target, &d->settings.time, 0.0).size /
                     d->unpruned;
}

int magnitude_close(struct distiller *d, const struct model *m, struct error *err)
{
    struct unit **units = calloc((size_t)d->gates.n, sizeof(*units));
    double low = 0.0, high = 1.0, wanted = d->settings.sparsity;
    int status = units ? 0 : fail(err, "out of memory");

    for (int k = 0; status == 0 && k < d->gates.n; k++) {
        units[k] = calloc((size_t)d->gates.list[k].n, sizeof(**units));
        if (units[k])
            measure(units[k], &d->gates.list[k], &d->gates, m);
        else
            status = fail(err, "out of memory");
    }
    if (status == 0) {
        double most = close_share(d, units, 1.0);
        if (most < wanted)
            status = fail(err, "a sparsity of %.1f %% cannot be reached by magnitude, which leaves one "
                               "unit everywhere: at most %.1f %%", 100.0 * wanted, 100.0 * most);
    }
    for (int i = 0; status == 0 && i < 60; i++) {
        double middle = 0.5 * (low + high);
        *(close_share(d, units, middle) < wanted ? &low : &high) = middle;
    }
    if (status == 0)
        d->sparsity = close_share(d, units, high);
    for (int k = 0; units && k < d->gates.n; k++)
        free(units[k]);
    free(units);
    return status;
}
