// SPDX-License-Identifier: MIT
/* export_hf.c - the encoder as transformers' WavLMModel reads it.
 *
 * Transformers gives every layer the same heads and width, so a pruned model
 * has no place there. Names are hf.c's, the other way round; the weight norm
 * has the spelling of published files, which every version reads. */
#include "model/export.h"

#include "model/checkpoint_read.h"
#include "model/folder.h"
#include "model/outfile.h"
#include "model/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- which models ------------------------------------------------------ */

static int is_dense(const struct wavlm_config *w, int i)
{
    const struct layer_shape *a = &w->layer[0], *b = &w->layer[i];

    return b->has_attention && b->has_feed_forward && b->n_heads == b->total_heads &&
           b->total_heads == a->total_heads && b->ff == a->ff;
}

static int check_shape(const struct export *e, struct error *err)
{
    const struct wavlm_config *w = &e->model->config.wavlm;
    const float *scale = e->model->params.dummy_weight;

    if (w->fbank)
        return fail(err, "a model of filter banks cannot be written as hf; transformers' WavLM "
                         "has convolutions");
    for (int i = 0; i < w->n_layers; i++) {
        if (!is_dense(w, i))
            return fail(err, "layer %d is pruned, and transformers' WavLM has the same heads and "
                             "feed-forward in every layer; write it as torch or antiphon", i);
    }
    for (int i = 0; i < w->conv[w->n_convs - 1].channels; i++) {
        if (scale[i] != 1.0f)
            return fail(err, "its features are scaled by dummy_weight, as pruning leaves them, "
                             "which transformers' WavLM has not; write it as torch or antiphon");
    }
    return 0;
}

/* --- config.json ------------------------------------------------------- */

static void add_convs(struct text *t, const struct wavlm_config *w, const char *key, size_t field)
{
    text_printf(t, " \"%s\": [", key);
    for (int i = 0; i < w->n_convs; i++)
        text_printf(t, "%s%d", i ? ", " : "",
                    *(const int *)(const void *)((const char *)&w->conv[i] + field));
    text_puts(t, "],\n");
}

static void add_rate(struct text *t, const char *key, float value)
{
    char shortest[32];

    snprintf(shortest, sizeof(shortest), "%.7g", (double)value); // as it was before it was a float
    text_printf(t, " \"%s\": ", key);
    text_json_double(t, strtod(shortest, NULL));
    text_puts(t, ",\n");
}

static void add_config(struct text *t, const struct wavlm_config *w)
{
    text_puts(t, "{\n \"architectures\": [\"WavLMModel\"],\n \"model_type\": \"wavlm\",\n"
                 " \"torch_dtype\": \"float32\",\n \"hidden_act\": \"gelu\",\n"
                 " \"feat_extract_activation\": \"gelu\",\n \"layer_norm_eps\": 1e-05,\n"
                 " \"apply_spec_augment\": false,\n \"mask_time_prob\": 0.0,\n"
                 " \"mask_feature_prob\": 0.0,\n");
    text_printf(t, " \"feat_extract_norm\": \"%s\",\n", w->group_norm ? "group" : "layer");
    text_printf(t, " \"do_stable_layer_norm\": %s,\n", w->norm_first ? "true" : "false");
    text_printf(t, " \"conv_bias\": %s,\n", w->conv_bias ? "true" : "false");
    text_printf(t, " \"num_feat_extract_layers\": %d,\n", w->n_convs);
    add_convs(t, w, "conv_dim", offsetof(struct conv_shape, channels));
    add_convs(t, w, "conv_kernel", offsetof(struct conv_shape, kernel));
    add_convs(t, w, "conv_stride", offsetof(struct conv_shape, stride));
    text_printf(t, " \"hidden_size\": %d,\n \"output_hidden_size\": %d,\n", w->embed, w->embed);
    text_printf(t, " \"num_hidden_layers\": %d,\n", w->n_layers);
    text_printf(t, " \"num_attention_heads\": %d,\n", w->layer[0].total_heads);
    text_printf(t, " \"intermediate_size\": %d,\n", w->layer[0].ff);
    text_printf(t, " \"num_buckets\": %d,\n", w->n_buckets);
    text_printf(t, " \"max_bucket_distance\": %d,\n", w->max_distance);
    text_printf(t, " \"num_conv_pos_embeddings\": %d,\n", w->pos_kernel);
    text_printf(t, " \"num_conv_pos_embedding_groups\": %d,\n", w->pos_groups);
    add_rate(t, "feat_proj_dropout", w->projection_dropout);
    add_rate(t, "attention_dropout", w->attention_dropout);
    add_rate(t, "activation_dropout", w->ff_dropout);
    add_rate(t, "hidden_dropout", w->dropout);
    add_rate(t, "layerdrop", w->layer_drop);
    text_puts(t, " \"vocab_size\": 32\n}\n");
}

static void add_preprocessor(struct text *t, const struct wavlm_config *w)
{
    text_printf(t, "{\n \"feature_extractor_type\": \"Wav2Vec2FeatureExtractor\",\n"
                   " \"do_normalize\": %s,\n \"feature_size\": 1,\n",
                w->normalize_waveform ? "true" : "false");
    text_printf(t, " \"padding_side\": \"right\",\n \"padding_value\": 0.0,\n"
                   " \"return_attention_mask\": %s,\n \"sampling_rate\": 16000\n}\n",
                w->group_norm ? "false" : "true");
}

static int write_text(const char *folder, const char *name, const struct text *t,
                      struct error *err)
{
    char *path = folder_path(folder, name, err);
    struct outfile f;
    int failed = !path || text_check(t, name, err) || outfile_open(&f, path, err);

    if (!failed && outfile_write(&f, t->bytes, t->n, err)) {
        outfile_discard(&f);
        failed = 1;
    } else if (!failed) {
        failed = outfile_commit(&f, err);
    }
    free(path);
    return failed ? -1 : 0;
}

static int write_configs(const struct export *e, const char *folder, struct error *err)
{
    struct text config = {.limit = 1 << 20}, preprocessor = {.limit = 1 << 20};
    int failed;

    add_config(&config, &e->model->config.wavlm);
    add_preprocessor(&preprocessor, &e->model->config.wavlm);
    failed = write_text(folder, "preprocessor_config.json", &preprocessor, err) ||
             write_text(folder, "config.json", &config, err);
    text_release(&config);
    text_release(&preprocessor);
    return failed ? -1 : 0;
}

/* --- model.safetensors -------------------------------------------------- */

enum { NAME_BYTES = 200 }; // a param's name has fewer than 160

/* Puts `to` for `from` at the beginning of the name, if that is there. */
static void rename_part(char name[NAME_BYTES], const char *from, const char *to)
{
    size_t n_from = strlen(from), n_to = strlen(to);

    if (strncmp(name, from, n_from) || strlen(name) - n_from + n_to >= NAME_BYTES)
        return;
    memmove(name + n_to, name + n_from, strlen(name) - n_from + 1);
    memcpy(name, to, n_to);
}

/* Upstream's name to transformers'; 0: it has none. */
static int rename_tensor(char name[NAME_BYTES], const char *upstream)
{
    snprintf(name, NAME_BYTES, "%s", upstream);
    rename_part(name, "wavlm_model.", "");
    if (!strcmp(name, "feature_extractor.dummy_weight"))
        return 0;
    rename_part(name, "encoder.feature_projection.", "feature_projection.");
    rename_part(name, "encoder.transformer.", "encoder.");
    rename_part(name, "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
                "encoder.pos_conv_embed.conv.weight_g");
    rename_part(name, "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
                "encoder.pos_conv_embed.conv.weight_v");
    return 1;
}

static int write_weights(const struct export *e, const char *folder, struct error *err)
{
    struct tensor *list = calloc((size_t)e->n_tensors, sizeof(*list));
    char (*names)[NAME_BYTES] = calloc((size_t)e->n_tensors, sizeof(*names));
    char *path = folder_path(folder, "model.safetensors", err);
    int n = 0, failed = !path;

    if (!list || !names)
        failed = fail(err, "%.300s: out of memory; close other programs", folder);
    for (int i = 0; !failed && i < e->n_tensors; i++) {
        if (!e->model->list[i].encoder || !rename_tensor(names[n], e->tensors[i].name))
            continue;
        list[n] = e->tensors[i];
        list[n].name = names[n];
        n++;
    }
    if (!failed)
        failed = safetensors_write_format(path, list, n, "pt", err);
    free(path);
    free(names);
    free(list);
    return failed ? -1 : 0;
}

int export_hf(const struct export *e, const char *path, const char **left_out,
              struct error *err)
{
    char *folder;
    int failed;

    *left_out = e->model->config.readout.present ?
        "the readout, which transformers' WavLM has not" : NULL;
    if (check_shape(e, err))
        return fail_prefix(err, "%.300s: ", path);
    folder = export_folder(path, err);
    failed = !folder || write_weights(e, folder, err) || write_configs(e, folder, err);
    free(folder);
    return failed ? -1 : 0;
}
