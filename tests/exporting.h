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

/* A small model that is dense, has convolutions and all that a readout may have. */
static const char small_model[] =
    "{\"wavlm\":{\"extractor_mode\":\"layer_norm\",\"extractor_conv_layer_config\":[[16,10,5],"
    "[16,3,2],[16,3,2],[16,3,2],[16,3,2],[16,2,2],[24,2,2]],\"extractor_conv_bias\":false,"
    "\"encoder_embed_dim\":48,\"encoder_projection_dropout\":0.1,\"encoder_pos_conv_kernel\":128,"
    "\"encoder_pos_conv_groups\":16,\"encoder_num_layers\":2,"
    "\"encoder_use_attention\":[true,true],\"encoder_use_feed_forward\":[true,true],"
    "\"encoder_total_num_heads\":[4,4],\"encoder_remaining_heads\":[[0,1,2,3],[0,1,2,3]],"
    "\"encoder_num_buckets\":320,\"encoder_max_distance\":800,\"encoder_attention_dropout\":0.1,"
    "\"encoder_ff_interm_features\":[64,64],\"encoder_ff_interm_dropout\":0.0,"
    "\"encoder_dropout\":0.1,\"encoder_layer_norm_first\":true,\"encoder_layer_drop\":0.05,"
    "\"aux_num_out\":null,\"normalize_waveform\":false},"
    "\"readout\":{\"wavlm_layer_num\":3,\"wavlm_feat_dim\":48,\"attention_in\":32,"
    "\"ffn_hidden\":64,\"num_head\":4,\"num_layer\":2,\"kernel_size\":31,\"dropout\":0.1,"
    "\"use_posi\":false,\"output_activate_function\":false,\"max_speakers_per_chunk\":4,"
    "\"max_speakers_per_frame\":2,\"chunk_size\":8,\"embedding_dim\":16}}";

/* "small" or a named architecture, with random weights, made to run as live says. */
static inline void random_subject(struct subject *s, const char *arch, const char *live)
{
    struct reach reach = reach_offline(N_SAMPLES);
    struct error err;
    char *json = strcmp(arch, "small") ? config_arch_json(arch, &err) : strdup(small_model);
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
