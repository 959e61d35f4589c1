// SPDX-License-Identifier: MIT
#include "cli/plot_model.h"

#include "model/checkpoint.h"
#include "stream/plot_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_arch(const char *name)
{
    struct error ignored;
    char *json = config_arch_json(name, &ignored);

    free(json);
    return json != NULL;
}

int plot_model_is(const char *path)
{
    const char *dot = strrchr(path, '.');

    return (dot && (!strcmp(dot, ".safetensors") || !strcmp(dot, ".pt") || !strcmp(dot, ".bin"))) ||
           is_arch(path);
}

static int read_shape(struct model_config *c, const char *path, struct error *err)
{
    struct checkpoint file;
    struct error why;
    int status;

    if (is_arch(path)) {
        char *json = config_arch_json(path, err);
        status = json ? config_parse(c, json, err) : -1;
        free(json);
        return status;
    }
    if (checkpoint_open(&file, path, err))
        return -1;
    status = file.config ? config_parse(c, file.config, &why)
                         : fail(&why, "no config in the file");
    checkpoint_close(&file);
    return status ? fail(err, "%s: %s", path, why.text) : 0;
}

int plot_model(const char *output, const char *path, const char *dense, struct error *err)
{
    struct model_config *shapes = calloc(2, sizeof(*shapes));
    int status = shapes ? 0 : fail(err, "out of memory");

    if (status == 0)
        status = read_shape(&shapes[0], path, err);
    if (status == 0 && dense)
        status = read_shape(&shapes[1], dense, err);
    if (status == 0)
        status = plot_map(output, path, &shapes[0].wavlm, dense ? &shapes[1].wavlm : NULL, err);
    free(shapes);
    return status;
}
