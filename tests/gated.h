// SPDX-License-Identifier: MIT
/* gated.h - what the tests of gates and of the cut share: upstream's gated students. */
#ifndef GATED_H
#define GATED_H

#include "check.h"

#include "model/model.h"
#include "prune/gates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const float *floats(const struct checkpoint *c, const char *a, const char *b)
{
    char key[420];

    snprintf(key, sizeof(key), "%s%s", a, b);
    const struct tensor *t = checkpoint_find(c, key);
    if (!t)
        check_fail("no %s in the golden", key);
    return t->data;
}

/* The student's config says that it has gates: ours are beside the model. */
static char *read_config(const char *name)
{
    char *text = check_read(check_path("golden/%s/student.config.json", name)), *at;
    char *config = malloc(strlen(text) + 16);

    while ((at = strstr(text, "_prune_")) != NULL) {
        at[1] = 'x'; // an unknown key
    }
    sprintf(config, "{\"wavlm\":%s}", text);
    free(text);
    return config;
}

static void take_log_alpha(struct gates *g, const struct checkpoint *c)
{
    for (int k = 0; k < g->n; k++)
        memcpy(g->list[k].log_alpha, floats(c, g->list[k].name, ".log_alpha"),
               (size_t)g->list[k].n * sizeof(float));
}

static struct reach whole(int64_t n_samples, int n_streams)
{
    int frames = (int)blocks_frames(n_samples);

    return (struct reach){.block_frames = frames + 1, .n_blocks = n_streams,
                          .n_rows = n_streams * frames, .stream_frames = frames, .keep = KEEP_ALL};
}

#endif
