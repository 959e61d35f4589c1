// SPDX-License-Identifier: MIT
/* fuzz_config.c - any bytes as a model's configuration; what is accepted and small is
 * built, and hears a block. */
#include "fuzz.h"

#include "model/cost.h"
#include "model/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Larger ones take the fuzzer's time, not other paths. */
enum { SMALL_PARAMETERS = 200000, SMALL_MEMORY = 64 << 20 };

static void hear(const struct model *m)
{
    static const float samples[4000] = {0.5f, -0.25f};
    struct model_state state = {0};
    struct model_acts acts = {0};
    struct error err = {{0}};
    struct block b;

    if (model_state_open(&state, m, &err) || model_acts_open(&acts, m, &err))
        abort();
    while (block_next(&b, &state.at, 4000 - state.at.samples, 1, m->reach.block_frames,
                      m->reach.right_frames))
        model_forward(&acts, &state, m, samples + state.at.samples, &b, 1);
    model_acts_close(&acts);
    model_state_close(&state);
}

static void build(const char *json)
{
    const struct reach reach = {.block_frames = 4, .left_frames = 6, .n_blocks = 1};
    struct error err = {{0}};
    struct model m;

    if (model_open_config(&m, json, &reach, &err)) {
        if (!*err.text)
            abort();
        return;
    }
    if (m.arena.size < SMALL_MEMORY) {
        params_randomize(&m.params, m.list, m.n_params, 1);
        model_derive(&m);
        hear(&m);
    }
    model_close(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model_config c;
    struct error err = {{0}};
    struct cost cost;
    struct param *list;
    int n;
    char *json = malloc(size + 1);

    if (!json)
        return 0;
    memcpy(json, data, size);
    json[size] = 0;
    if (config_parse(&c, json, &err)) {
        if (!*err.text || strchr(err.text, '\n'))
            abort();
        free(json);
        return 0;
    }
    list = params_list(&c, &n);
    if (list) {
        cost_count(&cost, &c, list, n);
        if (!(cost.sparsity >= -1.0 && cost.sparsity <= 1.0))
            abort();
        if (cost.parameters < SMALL_PARAMETERS)
            build(json);
    }
    free(list);
    free(json);
    return 0;
}
