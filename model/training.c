// SPDX-License-Identifier: MIT
#include "model/training.h"

#include "model/random.h"

const struct masks *training_masks(const struct training *t)
{
    static const struct masks none;

    return t && t->masks ? t->masks : &none;
}

const float *training_open(const struct training *t, int layer)
{
    return t && t->open_norms && layer >= 0 ? training_masks(t)->conv[layer] : NULL;
}

uint64_t dropout_key(const struct training *t, enum dropout_site site, int index)
{
    struct random rng;

    random_init(&rng, t->seed + (uint64_t)site + (uint64_t)index * N_DROPOUT_SITES);
    return random_bits(&rng);
}

void dropout_apply(float *x, const struct training *t, float rate, enum dropout_site site,
                   int index, size_t n)
{
    if (t && t->dropout && rate > 0.0f)
        kernels_get()->dropout(x, x, rate, dropout_key(t, site, index), n);
}

int layer_dropped(const struct training *t, int index)
{
    struct random rng;

    if (!t || t->layer_drop <= 0.0f)
        return 0;
    random_init(&rng, dropout_key(t, DROP_LAYER, index));
    return random_uniform(&rng) < t->layer_drop;
}
