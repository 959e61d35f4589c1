// SPDX-License-Identifier: MIT
#include "prune/latency.h"

#include "model/clock.h"
#include "model/op.h"
#include "model/params.h"

#include <stdlib.h>

enum { TRIALS = 12 };

/* Seconds of the fastest of several y [T,O] = x [T,I] w [O,I]. */
static double time_linear(float *memory, int T, int I, int O)
{
    float *x = memory, *w = x + (size_t)T * (size_t)I, *y = w + (size_t)I * (size_t)O;
    double best = 1e9;

    for (int k = 0; k < TRIALS; k++) {
        double began = clock_monotonic(), took;
        linear_forward(y, x, w, NULL, T, I, O);
        took = clock_monotonic() - began;
        best = took < best ? took : best;
    }
    return best;
}

static double ns_per_mac(float *memory, int T, int I, int O)
{
    return 1e9 * time_linear(memory, T, I, O) / ((double)T * I * O);
}

int latency_measure(struct size_weights *w, const struct model_config *c, int block_frames,
                    struct error *err)
{
    const struct wavlm_config *s = &c->wavlm;
    int E = s->embed, F = 64, most = E, rows = block_frames;
    size_t floats;
    float *memory;

    for (int i = 0; i < config_layers_used(c); i++)
        F = s->layer[i].ff > F ? s->layer[i].ff : F;
    for (int i = 0; i < s->n_convs; i++) {
        int wide = s->conv[i].channels * s->conv[i].kernel;
        most = wide > most ? wide : most;
    }
    most = F > most ? F : most;
    floats = (size_t)(rows * 64 + most) * (size_t)most * 2;
    memory = calloc(floats, sizeof(float));
    if (!memory)
        return fail(err, "out of memory");
    *w = (struct size_weights){0};
    int stride = 320;
    for (int i = 0; i < s->n_convs; i++) {
        stride /= s->conv[i].stride;
        int T = rows * stride < rows * 64 ? rows * stride : rows * 64;
        w->conv[i] = ns_per_mac(memory, T, (int)axis_size(c, AXIS_CONV_IN, i) * s->conv[i].kernel,
                                s->conv[i].channels);
    }
    w->projection = ns_per_mac(memory, rows, (int)axis_size(c, AXIS_FEATURES, 0), E);
    w->attention = ns_per_mac(memory, rows, E, E);
    w->feed_forward = (ns_per_mac(memory, rows, E, F) + ns_per_mac(memory, rows, F, E)) / 2.0;
    free(memory);
    return 0;
}
