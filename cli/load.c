// SPDX-License-Identifier: MIT
#include "cli/load.h"

#include "model/builtin.h"

#include <stdio.h>
#include <string.h>

int load_checkpoint(struct checkpoint *c, const char *path, struct error *err)
{
    if (path && strcmp(path, BUILTIN_NAME))
        return checkpoint_open(c, path, err);
    return checkpoint_open_memory(c, builtin_model, builtin_model_bytes(), BUILTIN_NAME, err);
}

int load_model(struct loaded *l, const char *path, const char *arch, const struct reach *reach,
               struct error *err)
{
    *l = (struct loaded){0};
    snprintf(l->name, sizeof(l->name), "%s", arch ? arch : path ? path : BUILTIN_NAME);
    if (arch)
        return model_open_arch(&l->model, arch, 1, reach, err);
    if (load_checkpoint(&l->checkpoint, path, err))
        return -1;
    return load_bind(l, reach, err);
}

int load_bind(struct loaded *l, const struct reach *reach, struct error *err)
{
    if (model_open(&l->model, &l->checkpoint, reach, err)) {
        fail_prefix(err, "%s: ", l->name);
        unload_model(l);
        return -1;
    }
    return 0;
}

void unload_model(struct loaded *l)
{
    model_close(&l->model);
    checkpoint_close(&l->checkpoint);
}

/* A frame is 20 ms. */
static int frames_from_ms(int *frames, const char *option, int ms, int min_ms, struct error *err)
{
    if (ms < min_ms || ms > 600000 || ms % 20)
        return fail(err, "%s %d: should be a multiple of 20 ms from %d to 600000", option, ms,
                    min_ms);
    *frames = ms / 20;
    return 0;
}

int reach_from_options(struct reach *reach, const struct block_options *o, struct error *err)
{
    *reach = reach_defaults();
    return frames_from_ms(&reach->block_frames, "--block", o->block_ms, 20, err) ||
                   frames_from_ms(&reach->left_frames, "--left", o->left_ms, 0, err) ||
                   frames_from_ms(&reach->right_frames, "--right", o->right_ms, 0, err)
               ? -1
               : 0;
}
