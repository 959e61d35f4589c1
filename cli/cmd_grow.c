// SPDX-License-Identifier: MIT
/* cmd_grow.c - `grow`: a model with more units that computes the same, to train on. */
#include "cli/command.h"
#include "cli/load.h"
#include "cli/options.h"
#include "model/cost.h"
#include "model/export.h"
#include "prune/grow.h"

#include <stdio.h>
#include <stdlib.h>

static const struct usage usage = {
    "",
    "Adds units to a model. What is new begins with random weights where it reads and with\n"
    "zeros where it writes, so that the model computes what it did, until it is trained on: a\n"
    "model that was pruned further than its task bears, or that no longer learns, gets room\n"
    "without losing what it knows. Numbers are the least there shall be; what has more keeps it.\n"
    "Heads come back under the numbers that pruning took away.\n\n"
    "  antiphon grow -m pruned.safetensors --heads 4 --feed-forward 512 -o grown.safetensors\n"
    "  antiphon finetune -m grown.safetensors --speech DIR --steps 8000 -o better.safetensors",
};

struct arguments {
    const char *model, *output;
    struct growth by;
    long long seed;
};

/* "a.safetensors: 3.39 M parameters (2.08 M before), 0.170 G MACs per second of audio (0.105 G)" */
static void say_growth(const char *output, const struct model *before, const struct model *after)
{
    const struct model *both[] = {before, after};
    struct cost cost[2];
    double macs[2];

    for (int i = 0; i < 2; i++) {
        cost_count(&cost[i], &both[i]->config, both[i]->list, both[i]->n_params);
        macs[i] = (double)(cost[i].encoder_macs + cost[i].readout_macs);
    }
    fprintf(stderr, "%s: %.2f M parameters (%.2f M before), %.3f G MACs per second of audio (%.3f G)\n",
            output, (double)cost[1].parameters / 1e6, (double)cost[0].parameters / 1e6, macs[1] / 1e9,
            macs[0] / 1e9);
}

static int write_grown(const struct arguments *a, const struct loaded *l, const struct model *grown,
                       const char *config, struct error *err)
{
    struct export e;
    char provenance[1024];

    snprintf(provenance, sizeof(provenance), "%.900s; grown",
             l->checkpoint.provenance ? l->checkpoint.provenance : l->name);
    if (export_open(&e, grown, &l->checkpoint, DTYPE_F32, err))
        return -1;
    int status = export_antiphon(&e, a->output, config, provenance, err);
    export_close(&e);
    return status;
}

static int run(const struct arguments *a, struct error *err)
{
    struct reach reach = reach_defaults();
    struct loaded loaded;
    struct model grown;
    char *config;

    if (load_model(&loaded, a->model, NULL, &reach, err))
        return -1;
    int status = grow(&grown, &config, &loaded.model, loaded.checkpoint.config, &a->by, &reach, err);
    if (status) {
        fail_prefix(err, "%s: ", loaded.name);
    } else {
        status = write_grown(a, &loaded, &grown, config, err);
        if (status == 0)
            say_growth(a->output, &loaded.model, &grown);
        model_close(&grown);
        free(config);
    }
    unload_model(&loaded);
    return status;
}

static int check_arguments(const struct arguments *a, struct error *err)
{
    const struct growth *by = &a->by;
    const struct option_range ranges[] = {
        {"heads", by->heads, 0, MAX_HEADS},
        {"feed-forward", by->feed_forward, 0, MAX_WIDTH},
        {"conformer-layers", by->conformer_layers, 0, MAX_CONFORMER_LAYERS},
        {"conformer-feed-forward", by->conformer_feed_forward, 0, MAX_WIDTH},
        {"embedding-projection", by->embedding_projection, 0, MAX_WIDTH / 2},
    };

    if (!a->output)
        return fail(err, "where to? say -o FILE");
    if (options_in_range(ranges, sizeof(ranges) / sizeof(*ranges), err))
        return -1;
    if (!by->heads && !by->feed_forward && !by->conformer_layers && !by->conformer_feed_forward &&
        !by->embedding_projection)
        return fail(err, "by what? say --heads, --feed-forward, --conformer-layers, --conformer-feed-forward or "
                         "--embedding-projection");
    return 0;
}

int cmd_grow(int argc, const char **argv, struct error *err)
{
    struct arguments a = {.seed = 1};
    const struct poptOption table[] = {
        {"model", 'm', POPT_ARG_STRING, &a.model, 0, "model file [built-in]", "FILE"},
        {"output", 'o', POPT_ARG_STRING, &a.output, 0, "the model to make", "FILE"},
        {"heads", 0, POPT_ARG_INT, &a.by.heads, 0, "attention heads of a layer", "N"},
        {"feed-forward", 0, POPT_ARG_INT, &a.by.feed_forward, 0,
         "inner units of a layer's feed-forward", "N"},
        {"conformer-layers", 0, POPT_ARG_INT, &a.by.conformer_layers, 0,
         "layers of the readout's conformer", "N"},
        {"conformer-feed-forward", 0, POPT_ARG_INT, &a.by.conformer_feed_forward, 0,
         "inner units of each of its feed-forwards", "N"},
        {"embedding-projection", 0, POPT_ARG_INT, &a.by.embedding_projection, 0,
         "numbers of a speaker vector that come from the feature projection; `calibrate` then", "N"},
        {"seed", 0, POPT_ARG_LONGLONG, &a.seed, 0, "of the random weights [1]", "N"},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        a.by.seed = (uint64_t)a.seed;
        if (o.helped)
            status = STATUS_DONE;
        else if (options_expect(&o, 0, 0, &usage, err) == 0 && check_arguments(&a, err) == 0)
            status = run(&a, err) ? STATUS_FAILED : STATUS_DONE;
    }
    options_close(&o);
    return status;
}
