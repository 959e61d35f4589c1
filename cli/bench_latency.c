// SPDX-License-Identifier: MIT
#include "cli/bench_latency.h"

#include "cli/progress.h"
#include "prune/latency.h"

#include <stdio.h>

static void tell(void *user, double share)
{
    progress_at(user, 100.0 * share);
}

static void print_curve(const char *what, const char *unit, const struct latency_curve *c)
{
    printf("  %-12s ", what);
    for (int i = 1; i < c->n; i++)
        printf("%s%.0f: %.3f", i > 1 ? ", " : "", c->x[i], c->ms[i]);
    printf(" (%s)\n", unit);
}

int bench_latency(const char *path, const struct model *m, const char *name, int threads,
                  struct error *err)
{
    struct latency l;
    struct progress progress;
    int status;

    progress_begin(&progress, "timing layer shapes", "%", 100.0);
    status = latency_measure(&l, &m->config, &m->reach, threads, tell, &progress, err);
    progress_end(&progress);
    if (status || latency_write(&l, path, err))
        return -1;
    printf("%s, blocks of %d ms with %d ms before them, %d thread%s; ms a block\n", name,
           20 * l.block_frames, 20 * l.left_frames, threads, threads == 1 ? "" : "s");
    for (int i = 0; i < m->config.wavlm.n_convs; i++) {
        const struct latency_grid *g = &l.conv[i];
        printf("  convolution %d ", i);
        for (int k = 0; k < g->n_out; k++) {
            int in = g->n_in == 1 ? 0 : k < g->n_in ? k : g->n_in - 1;
            printf("%s%.0fx%.0f: %.3f", k ? ", " : "", g->in[in], g->out[k], g->ms[in][k]);
        }
        printf("\n");
    }
    if (m->config.wavlm.n_convs)
        print_curve("projection", "features", &l.projection);
    print_curve("attention", "heads", &l.attention);
    print_curve("feed-forward", "inner units", &l.feed_forward);
    printf("  %-12s %.3f\n  %-12s %.3f (without the readout)\n", "the rest", l.fixed_ms, "this model",
           latency_of(&l, &m->config));
    return 0;
}
