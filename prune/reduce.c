// SPDX-License-Identifier: MIT
#include "prune/reduce.h"

#include "model/kernels.h"

#include <string.h>

/* The part of a tensor: 0 readout, then layers from the last, -1 what is left. */
static int part_of(const struct param *p, int layers)
{
    if (!p->encoder)
        return 0;
    if (strstr(p->name, "transformer.layers.") && p->group_index < layers)
        return layers - p->group_index;
    return -1;
}

static void add_span(struct span *list, size_t at, size_t n)
{
    while (list->n && list->at + list->n != at)
        list++;
    if (!list->n)
        list->at = at;
    list->n += n;
}

void reduce_open(struct reduce *r, const struct model *m, struct gradients **member,
                 int n_members, struct ranks *ranks)
{
    int layers = config_layers_used(&m->config);
    const float *base = (const float *)(const void *)member[0]->arena.base;
    size_t all = member[0]->arena.size / sizeof(float), at = 0;

    memset(r, 0, sizeof(*r));
    r->member = member;
    r->n_members = n_members;
    r->ranks = ranks;
    r->n_parts = layers + 2;
    pthread_mutex_init(&r->lock, NULL);
    /* Parameters lie in the list's order, each to the next one's begin. */
    for (int i = 0; i < m->n_params; i++) {
        const float *here = param_values(&member[0]->params, &m->list[i]);
        const float *next =
            i + 1 < m->n_params ? param_values(&member[0]->params, &m->list[i + 1]) : NULL;
        size_t begin = (size_t)(here - base);
        size_t end = next ? (size_t)(next - base) : begin + param_count(&m->list[i]);
        int part = part_of(&m->list[i], layers);

        add_span(r->part[part < 0 ? layers + 1 : part], begin, end - begin);
        at = end;
    }
    add_span(r->part[layers + 1], at, all - at);
}

void reduce_close(struct reduce *r)
{
    if (r->n_parts)
        pthread_mutex_destroy(&r->lock);
    r->n_parts = 0;
}

static float *floats(const struct reduce *r, int member)
{
    return (float *)(void *)r->member[member]->arena.base;
}

void reduce_done(void *user, int part)
{
    struct reduce *r = user;

    pthread_mutex_lock(&r->lock);
    if (++r->told[part] == r->n_members) {
        for (const struct span *s = r->part[part]; s->n; s++) {
            float *total = floats(r, 0) + s->at;
            for (int i = 1; i < r->n_members; i++)
                kernels_get()->add_scaled(total, total, floats(r, i) + s->at, 1.0f, s->n);
            if (r->ranks)
                ranks_sum_begin(r->ranks, total, s->n);
        }
    }
    pthread_mutex_unlock(&r->lock);
}

void reduce_finish(struct reduce *r)
{
    if (r->ranks)
        ranks_finish(r->ranks);
    memset(r->told, 0, sizeof(r->told));
}
