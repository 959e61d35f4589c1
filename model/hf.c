// SPDX-License-Identifier: MIT
/* hf.c - WavLM as Hugging Face's transformers keep it: config.json and weights.
 *
 * Tensors are renamed, never changed; heads of WavLMForX, the mask embedding
 * and whatever else is not the encoder are left out. What a config.json does
 * not say is transformers' default. The waveform is normalised if the
 * preprocessor's config says so, or, without one, where the extractor has
 * LayerNorm, as upstream's import has it. */
#include "model/folder.h"

#include "model/config.h"
#include "model/text.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct json_limits config_limits = {"config", "", 4 << 20, 1 << 16, 16, 1};

/* What the encoder's shape needs of config.json. */
struct hf_config {
    int embed, n_layers, n_heads, ff, n_buckets, max_distance, pos_kernel, pos_groups, n_convs;
    int conv[3][MAX_CONVS]; // channels, kernel, stride
    int group_norm, norm_first, conv_bias, normalize;
    double hidden_dropout, attention_dropout, activation_dropout, projection_dropout, layer_drop;
};

/* --- values ----------------------------------------------------------- */

static int whole(int *dst, const cJSON *item, const char *key, int max, struct error *err)
{
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble) ||
        item->valuedouble < 1 || item->valuedouble > max)
        return fail(err, "\"%s\" should be a whole number from 1 to %d", key, max);
    *dst = (int)item->valuedouble;
    return 0;
}

static int get_whole(int *dst, const cJSON *json, const char *key, int max, int otherwise,
                     struct error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    *dst = otherwise;
    return item ? whole(dst, item, key, max, err) : 0;
}

static int get_flag(int *dst, const cJSON *json, const char *key, int otherwise,
                    struct error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    if (item && !cJSON_IsBool(item))
        return fail(err, "\"%s\" should be true or false", key);
    *dst = item ? cJSON_IsTrue(item) : otherwise;
    return 0;
}

static int get_rate(double *dst, const cJSON *json, const char *key, double otherwise,
                    struct error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    *dst = otherwise;
    if (!item)
        return 0;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0.0 && item->valuedouble < 1.0))
        return fail(err, "\"%s\" should be a number from 0 to 1", key);
    *dst = item->valuedouble;
    return 0;
}

/* The text of a key that has to be one of two; index of which. */
static int get_choice(int *dst, const cJSON *json, const char *key, const char *first,
                      const char *second, struct error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    *dst = 0;
    if (!item || (cJSON_IsString(item) && !strcmp(item->valuestring, first)))
        return 0;
    *dst = 1;
    if (cJSON_IsString(item) && !strcmp(item->valuestring, second))
        return 0;
    return fail(err, "\"%s\" is \"%.40s\"; only %s is known", key,
                cJSON_IsString(item) ? item->valuestring : "no text", first);
}

static int get_convs(struct hf_config *h, const cJSON *json, struct error *err)
{
    static const char *const keys[3] = {"conv_dim", "conv_kernel", "conv_stride"};
    static const int usual[3][7] = {{512, 512, 512, 512, 512, 512, 512}, {10, 3, 3, 3, 3, 2, 2},
                                    {5, 2, 2, 2, 2, 2, 2}};

    for (int i = 0; i < 3; i++) {
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, keys[i]), *item;
        int n = 0;
        if (list && !cJSON_IsArray(list))
            return fail(err, "\"%s\" should be a list", keys[i]);
        cJSON_ArrayForEach(item, list)
        {
            if (n == MAX_CONVS)
                return fail(err, "\"%s\" has more than %d entries", keys[i], MAX_CONVS);
            if (whole(&h->conv[i][n++], item, keys[i], MAX_WIDTH, err))
                return -1;
        }
        for (; !list && n < 7; n++)
            h->conv[i][n] = usual[i][n];
        if (!n || (i && n != h->n_convs))
            return fail(err, "\"conv_dim\", \"conv_kernel\" and \"conv_stride\" should have the "
                             "same number of entries");
        h->n_convs = n;
    }
    return 0;
}

static int parse_config(struct hf_config *h, const cJSON *json, struct error *err)
{
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(json, "model_type");
    int layer_norm, other;

    if (!cJSON_IsString(type))
        return fail(err, "has no \"model_type\"; expected the config.json of a WavLM");
    if (strcmp(type->valuestring, "wavlm"))
        return fail(err, "\"model_type\" is \"%.40s\"; only wavlm is supported",
                    type->valuestring);
    if (get_whole(&h->embed, json, "hidden_size", MAX_WIDTH, 768, err) ||
        get_whole(&h->n_layers, json, "num_hidden_layers", MAX_LAYERS, 12, err) ||
        get_whole(&h->n_heads, json, "num_attention_heads", MAX_HEADS, 12, err) ||
        get_whole(&h->ff, json, "intermediate_size", MAX_WIDTH, 3072, err) ||
        get_whole(&h->n_buckets, json, "num_buckets", 4096, 320, err) ||
        get_whole(&h->max_distance, json, "max_bucket_distance", 1 << 20, 800, err) ||
        get_whole(&h->pos_kernel, json, "num_conv_pos_embeddings", 1024, 128, err) ||
        get_whole(&h->pos_groups, json, "num_conv_pos_embedding_groups", 1024, 16, err) ||
        get_convs(h, json, err) || get_flag(&h->conv_bias, json, "conv_bias", 0, err) ||
        get_flag(&h->norm_first, json, "do_stable_layer_norm", 0, err) ||
        get_choice(&layer_norm, json, "feat_extract_norm", "group", "layer", err) ||
        get_choice(&other, json, "hidden_act", "gelu", "gelu", err) ||
        get_choice(&other, json, "feat_extract_activation", "gelu", "gelu", err) ||
        get_rate(&h->hidden_dropout, json, "hidden_dropout", 0.1, err) ||
        get_rate(&h->attention_dropout, json, "attention_dropout", 0.1, err) ||
        get_rate(&h->activation_dropout, json, "activation_dropout", 0.1, err) ||
        get_rate(&h->projection_dropout, json, "feat_proj_dropout", 0.0, err) ||
        get_rate(&h->layer_drop, json, "layerdrop", 0.1, err))
        return -1;
    h->group_norm = !layer_norm;
    h->normalize = layer_norm;
    return 0;
}

/* --- upstream's config ------------------------------------------------- */

static void add_list(struct text *t, const char *key, int n, const char *value)
{
    text_printf(t, "\"%s\":[", key);
    for (int i = 0; i < n; i++)
        text_printf(t, "%s%s", i ? "," : "", value);
    text_puts(t, "],");
}

static void add_number(struct text *t, const char *key, int value)
{
    text_printf(t, "\"%s\":%d,", key, value);
}

static void add_rate(struct text *t, const char *key, double value)
{
    text_printf(t, "\"%s\":", key);
    text_json_double(t, value);
    text_puts(t, ",");
}

static void add_flag(struct text *t, const char *key, int value)
{
    text_printf(t, "\"%s\":%s,", key, value ? "true" : "false");
}

static void add_heads(struct text *t, const struct hf_config *h)
{
    text_puts(t, "\"encoder_remaining_heads\":[");
    for (int i = 0; i < h->n_layers; i++) {
        for (int head = 0; head < h->n_heads; head++)
            text_printf(t, "%s%d", head ? "," : i ? ",[" : "[", head);
        text_puts(t, "]");
    }
    text_puts(t, "],");
}

/* Keys and their order are those of upstream's import. */
static void add_config(struct text *t, const struct hf_config *h)
{
    char heads[16], ff[16];

    snprintf(heads, sizeof(heads), "%d", h->n_heads);
    snprintf(ff, sizeof(ff), "%d", h->ff);
    text_printf(t, "{\"extractor_mode\":\"%s\",\"extractor_conv_layer_config\":[",
                h->group_norm ? "group_norm" : "layer_norm");
    for (int i = 0; i < h->n_convs; i++)
        text_printf(t, "%s[%d,%d,%d]", i ? "," : "", h->conv[0][i], h->conv[1][i],
                    h->conv[2][i]);
    text_puts(t, "],");
    add_flag(t, "extractor_conv_bias", h->conv_bias);
    add_number(t, "encoder_embed_dim", h->embed);
    add_rate(t, "encoder_projection_dropout", h->projection_dropout);
    add_number(t, "encoder_pos_conv_kernel", h->pos_kernel);
    add_number(t, "encoder_pos_conv_groups", h->pos_groups);
    add_number(t, "encoder_num_layers", h->n_layers);
    add_list(t, "encoder_use_attention", h->n_layers, "true");
    add_list(t, "encoder_use_feed_forward", h->n_layers, "true");
    add_list(t, "encoder_total_num_heads", h->n_layers, heads);
    add_heads(t, h);
    add_number(t, "encoder_num_buckets", h->n_buckets);
    add_number(t, "encoder_max_distance", h->max_distance);
    add_rate(t, "encoder_attention_dropout", h->attention_dropout);
    add_list(t, "encoder_ff_interm_features", h->n_layers, ff);
    add_rate(t, "encoder_ff_interm_dropout", h->activation_dropout);
    add_rate(t, "encoder_dropout", h->hidden_dropout);
    add_flag(t, "encoder_layer_norm_first", h->norm_first);
    add_rate(t, "encoder_layer_drop", h->layer_drop);
    add_flag(t, "normalize_waveform", h->normalize);
    text_puts(t, "\"aux_num_out\":null,\"extractor_prune_conv_channels\":false,"
                 "\"encoder_prune_attention_heads\":false,"
                 "\"encoder_prune_attention_layer\":false,"
                 "\"encoder_prune_feed_forward_intermediate\":false,"
                 "\"encoder_prune_feed_forward_layer\":false}");
}

/* --- files ------------------------------------------------------------ */

static cJSON *read_json(const char *folder, const char *name, struct error *err)
{
    size_t n;
    char *text = folder_text(&n, folder, name, err);
    cJSON *json = text ? json_read(text, n, &config_limits, err) : NULL;

    if (text && !json)
        fail_prefix(err, "%.300s/%s: ", folder, name);
    free(text);
    return json;
}

static int read_config(struct hf_config *h, const char *folder, struct error *err)
{
    static const char preprocessor[] = "preprocessor_config.json";
    cJSON *json = read_json(folder, "config.json", err);
    int failed = !json;

    if (json && parse_config(h, json, err))
        failed = fail_prefix(err, "%.300s/config.json: ", folder);
    cJSON_Delete(json);
    if (failed || !folder_has(folder, preprocessor))
        return failed ? -1 : 0;
    json = read_json(folder, preprocessor, err);
    failed = !json;
    if (json && get_flag(&h->normalize, json, "do_normalize", h->normalize, err))
        failed = fail_prefix(err, "%.300s/%s: ", folder, preprocessor);
    cJSON_Delete(json);
    return failed ? -1 : 0;
}

int hf_config_text(struct text *t, const cJSON *json, struct error *err)
{
    struct hf_config h = {0};

    if (parse_config(&h, json, err))
        return -1;
    add_config(t, &h);
    return text_check(t, "config", err);
}

static int begins(const char *name, const char *words)
{
    return !strncmp(name, words, strlen(words));
}

/* The tensor's upstream name goes to name [size]; 0: it is not the encoder's. */
static int rename_tensor(char *name, size_t size, const char *from, const char *prefix)
{
    static const char *const spelling[][2] = {
        {"encoder.pos_conv_embed.conv.weight_g",
         "encoder.pos_conv_embed.conv.parametrizations.weight.original0"},
        {"encoder.pos_conv_embed.conv.weight_v",
         "encoder.pos_conv_embed.conv.parametrizations.weight.original1"},
    };
    const char *is_in = "";

    if (!begins(from, prefix) || strlen(from) > size / 2)
        return 0;
    from += strlen(prefix);
    for (int i = 0; i < 2; i++)
        from = strcmp(from, spelling[i][0]) ? from : spelling[i][1];
    if (begins(from, "encoder."))
        is_in = "encoder.transformer", from += strlen("encoder");
    else if (begins(from, "feature_projection."))
        is_in = "encoder.";
    else if (!begins(from, "feature_extractor."))
        return 0;
    snprintf(name, size, "%s%s", is_in, from);
    return 1;
}

/* Renames what is the encoder's and drops the rest. */
static int take_tensors(struct checkpoint *c, struct error *err)
{
    const char *prefix = "";
    int n = 0;

    for (int i = 0; i < c->n_tensors; i++) {
        if (begins(c->tensors[i].name, "wavlm."))
            prefix = "wavlm.";
    }
    for (int i = 0; i < c->n_tensors; i++) {
        char name[512];
        struct tensor t = c->tensors[i];
        if (!rename_tensor(name, sizeof(name), t.name, prefix))
            continue;
        t.name = pool_string(&c->storage->pool, name, strlen(name), err);
        if (!t.name)
            return -1;
        c->tensors[n++] = t;
    }
    if (!n)
        return fail(err, "holds no tensor of a WavLM; expected names such as "
                         "wavlm.encoder.layers.0.attention.k_proj.weight");
    c->n_tensors = n;
    return 0;
}

/* Upstream's scale of the features, which only pruning changes. */
static int add_dummy_weight(struct checkpoint *c, int width, struct error *err)
{
    const struct tensor *old = c->tensors;
    int n = c->n_tensors;
    float *ones = pool_alloc(&c->storage->pool, (size_t)width * sizeof(*ones), 64, err);

    if (!ones || checkpoint_reserve(c, (size_t)n + 1, err))
        return -1;
    for (int i = 0; i < width; i++)
        ones[i] = 1.0f;
    memcpy(c->tensors, old, (size_t)n * sizeof(*old));
    c->tensors[n] = (struct tensor){.name = "feature_extractor.dummy_weight", .dtype = DTYPE_F32,
                                    .n_axes = 1, .size = {width}, .data = ones};
    c->n_tensors = n + 1;
    return 0;
}

static int take_config(struct checkpoint *c, const struct hf_config *h, struct error *err)
{
    struct text t = {.limit = 1 << 20};

    add_config(&t, h);
    int failed = text_check(&t, "config", err) || folder_config(c, t.bytes, NULL, "window", NULL, err);
    text_release(&t);
    return failed ? -1 : 0;
}

int hf_read(struct checkpoint *c, const char *folder, struct error *err)
{
    struct hf_config h = {0};

    if (read_config(&h, folder, err) || folder_weights(c, folder, err))
        return -1;
    if (take_tensors(c, err) || take_config(c, &h, err) ||
        add_dummy_weight(c, h.conv[0][h.n_convs - 1], err))
        return fail_prefix(err, "%.300s: ", folder);
    return 0;
}
