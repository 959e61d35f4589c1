// SPDX-License-Identifier: MIT
/* cmd_convert.c - `convert`: an upstream checkpoint to an antiphon model.
 *
 * The source is opened as a model first, so that nothing is written that would
 * not run: every tensor is there, has its shape and is finite. */
#include "cli/command.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/speaker_network.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct usage usage = {
    "SRC",
    "Writes SRC, an upstream checkpoint ({\"config\", \"state_dict\"} as torch.save leaves it)\n"
    "or an antiphon model, as an antiphon model: one safetensors file that any safetensors\n"
    "tool opens. Half precision and float64 become float32. A model that comes from\n"
    "upstream is marked as made for whole windows. A speaker network is converted as well:\n"
    "WeSpeaker's ResNet34, as pyannote ships it (pytorch_model.bin).\n\n"
    "  antiphon convert wavlm.pt -o wavlm.safetensors",
};

/* The config with the mark that says how the model wants to run live. */
static char *marked_config(const char *config)
{
    cJSON *root = cJSON_Parse(config);
    char *text;

    if (!cJSON_GetObjectItemCaseSensitive(root, "live"))
        cJSON_AddStringToObject(root, "live", "window");
    text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

/* A counter is kept as the source has it, or 0. */
static const int64_t no_batches = 0;

static void fill(struct tensor *t, const struct loaded *l, const struct param *p)
{
    const struct tensor *source = checkpoint_find(&l->checkpoint, p->name);

    t->name = p->name;
    t->dtype = DTYPE_F32;
    t->n_axes = p->n_axes;
    for (int a = 0; a < p->n_axes; a++)
        t->size[a] = p->size[a];
    t->data = param_values(&l->model.params, p);
    if (p->kind == PARAM_COUNTER) {
        t->dtype = DTYPE_I64;
        t->data = source && source->dtype == DTYPE_I64 ? source->data : &no_batches;
    }
}

static int write_model(const struct loaded *l, const char *output, int from_upstream,
                       struct error *err)
{
    struct tensor *tensors = calloc((size_t)l->model.n_params, sizeof(*tensors));
    char *config = from_upstream ? marked_config(l->checkpoint.config)
                                 : strdup(l->checkpoint.config);
    char provenance[400];
    int status;

    snprintf(provenance, sizeof(provenance), "converted from %s", l->name);
    if (!tensors || !config) {
        status = fail(err, "out of memory");
    } else {
        for (int i = 0; i < l->model.n_params; i++)
            fill(&tensors[i], l, &l->model.list[i]);
        status = checkpoint_write(output, tensors, l->model.n_params, config,
                                  l->checkpoint.provenance ? l->checkpoint.provenance : provenance,
                                  err);
    }
    free(config);
    free(tensors);
    return status;
}

static int convert(const char *source, const char *output, struct error *err)
{
    struct reach reach = reach_defaults();
    struct loaded loaded = {0};
    int status;

    snprintf(loaded.name, sizeof(loaded.name), "%s", source);
    if (load_checkpoint(&loaded.checkpoint, source, err))
        return -1;
    if (resnet_recognize(&loaded.checkpoint)) {
        status = speaker_network_convert(&loaded.checkpoint, source, output, err);
        checkpoint_close(&loaded.checkpoint);
        return status;
    }
    if (load_bind(&loaded, &reach, err))
        return -1;
    /* Only our own files carry a provenance. */
    status = write_model(&loaded, output, !loaded.checkpoint.provenance, err);
    if (status == 0)
        fprintf(stderr, "%s: %d tensors\n", output, loaded.model.n_params);
    unload_model(&loaded);
    return status;
}

int cmd_convert(int argc, const char **argv, struct error *err)
{
    const char *output = NULL, *to = "antiphon";
    const struct poptOption table[] = {
        {"output", 'o', POPT_ARG_STRING, &output, 0, "write the model here", "FILE"},
        {"to", 0, POPT_ARG_STRING, &to, 0, "format: antiphon [antiphon]", "FORMAT"},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped)
            status = STATUS_DONE;
        else if (strcmp(to, "antiphon"))
            fail(err, "--to %s: the only format written is antiphon", to);
        else if (options_expect(&o, 1, 1, &usage, err) == 0 && !output)
            fail(err, "where to? say -o FILE");
        else if (o.n_arguments == 1)
            status = convert(o.arguments[0], output, err) ? STATUS_FAILED : STATUS_DONE;
    }
    options_close(&o);
    return status;
}
