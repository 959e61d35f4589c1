// SPDX-License-Identifier: MIT
/* resnet_random.c - a speaker network of random weights: a state dict of its own
 * making goes the way of every other. */
#include "model/random.h"
#include "model/resnet_params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

/* Kernels and matrices uniform with variance 2 / fan-in, which keeps the scale
 * through a ReLU; norms near 1, biases and means near 0. */
static void fill(float *x, size_t n, const struct resnet_param *p, struct random *rng)
{
    size_t fan_in = p->n_axes > 1 ? n / (size_t)p->size[0] : 0;
    int is_offset = strstr(p->name, "bias") || strstr(p->name, "running_mean");
    float span = fan_in ? sqrtf(6.0f / (float)fan_in) : 0.2f;
    float middle = fan_in || is_offset ? 0.0f : 1.0f;

    for (size_t i = 0; i < n; i++)
        x[i] = middle + span * (2.0f * random_uniform(rng) - 1.0f);
}

static void place(struct tensor *tensors, const struct resnet_param *list, int n,
                  struct arena *arena)
{
    for (int i = 0; i < n; i++) {
        tensors[i] = (struct tensor){.name = list[i].name, .n_axes = list[i].n_axes};
        memcpy(tensors[i].size, list[i].size, sizeof(list[i].size));
        tensors[i].data = arena_floats(arena, tensor_count(&tensors[i]));
    }
}

int resnet_open_random(struct resnet *r, const struct resnet_shape *shape, uint64_t seed,
                       struct error *err)
{
    struct resnet_param list[RESNET_MAX_PARAMS];
    struct tensor tensors[RESNET_MAX_PARAMS];
    struct checkpoint c = {.tensors = tensors};
    struct arena arena = {0};
    struct random rng;

    *r = (struct resnet){0};
    c.n_tensors = resnet_params_list(list, shape);
    place(tensors, list, c.n_tensors, &arena);
    if (arena_commit(&arena, err))
        return -1;
    place(tensors, list, c.n_tensors, &arena);
    random_init(&rng, seed);
    for (int i = 0; i < c.n_tensors; i++)
        fill((float *)(uintptr_t)tensors[i].data, tensor_count(&tensors[i]), &list[i], &rng);
    qsort(tensors, (size_t)c.n_tensors, sizeof(*tensors), compare_names);
    int status = resnet_open(r, &c, err);
    arena_release(&arena);
    return status;
}
