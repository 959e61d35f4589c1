// SPDX-License-Identifier: MIT
/* exporting.h - what the tests of written models share: a folder, models to write, and
 * what a model answers. */
#ifndef EXPORTING_H
#define EXPORTING_H

#include "synthetic.h"

#include "model/checkpoint_read.h"
#include "model/export.h"

#include <cjson/cJSON.h>

static char folder[64];

static inline int setup(void **state)
{
    (void)state;
    synthetic_folder(folder);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    synthetic_remove(folder);
    return 0;
}

static inline const char *inside(const char *name)
{
    static char paths[4][256];
    static int turn;
    char *path = paths[turn++ % 4];

    snprintf(path, 256, "%s/%s", folder, name);
    return path;
}

struct subject {
    struct checkpoint c;
    struct model m;
    struct export e;
};

enum { N_SAMPLES = 16000 };

static inline void subject_open(struct subject *s, const char *path, enum dtype dtype)
{
    struct reach reach = reach_offline(N_SAMPLES);
    struct error err;

    check_open(&s->c, path);
    if (model_open(&s->m, &s->c, &reach, &err) || export_open(&s->e, &s->m, &s->c, dtype, &err))
        check_fail("%s: %s", path, err.text);
}

static inline void subject_close(struct subject *s)
{
    export_close(&s->e);
    model_close(&s->m);
    checkpoint_close(&s->c);
}

/* What a model answers to a second of noise: its last layer and, if it has them, scores. */
static inline float *answer(const struct model *m, size_t *n)
{
    static float x[N_SAMPLES];
    struct model_state s;
    struct model_acts a;
    struct error err;
    struct random rng;
    struct block b;

    random_init(&rng, 3);
    check_fill(x, N_SAMPLES, &rng);
    if (model_state_open(&s, m, &err) || model_acts_open(&a, m, &err))
        check_fail("%s", err.text);
    assert_int_equal(block_next(&b, &s.at, N_SAMPLES, 1, m->reach.block_frames, 0), 1);
    model_forward(&a, &s, m, x, &b, 1);
    const struct readout_config *r = &m->config.readout;
    *n = (size_t)b.own * (size_t)(r->present ? r->n_classes : m->config.wavlm.embed);
    float *out = malloc(*n * sizeof(*out));
    assert_non_null(out);
    memcpy(out, r->present ? a.readout.scores : a.encoder.rep[m->config.wavlm.n_layers],
           *n * sizeof(*out));
    model_acts_close(&a);
    model_state_close(&s);
    return out;
}

/* A named architecture with random weights, made to run as live says. */
static inline void random_subject(struct subject *s, const char *arch, const char *live)
{
    struct reach reach = reach_offline(N_SAMPLES);
    struct error err;
    char *json = config_arch_json(arch, &err);
    cJSON *root = cJSON_Parse(json);

    cJSON_AddStringToObject(root, "live", live);
    free(json);
    json = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    s->c = (struct checkpoint){.config = json};
    if (model_open_config(&s->m, json, &reach, &err))
        check_fail("%s", err.text);
    params_randomize(&s->m.params, s->m.list, s->m.n_params, 8);
    model_derive(&s->m);
    if (export_open(&s->e, &s->m, &s->c, DTYPE_F32, &err))
        check_fail("%s", err.text);
}

static inline void random_close(struct subject *s)
{
    free((char *)(uintptr_t)s->c.config);
    s->c.config = NULL;
    subject_close(s);
}

#endif
