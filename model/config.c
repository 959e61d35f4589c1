// SPDX-License-Identifier: MIT
/* config.c - JSON to struct model_config, every value checked once.
 *
 * Upstream's key names (torchaudio's wavlm_model arguments and DiariZen's model
 * arguments) are kept, so that a checkpoint's own config goes in unchanged. */
#include "model/config.h"

#include "model/json.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

/* Encoder frames are 20 ms of 25 ms (stream/frame.h); every WavLM has these. */
enum { STRIDE_PRODUCT = 320, RECEPTIVE_FIELD = 400 };

/* Upstream's configs have 3 KB and are four deep. */
static const struct json_limits limits = {"config", "", 1 << 20, 1 << 16, 16, 1};

static int get_int(int *dst, const cJSON *object, const char *key, int min, int max, int fallback,
                   struct error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!item && fallback >= min) {
        *dst = fallback;
        return 0;
    }
    if (!item)
        return fail(err, "config: \"%s\" is missing", key);
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble))
        return fail(err, "config: \"%s\" should be a whole number", key);
    if (item->valuedouble < min || item->valuedouble > max)
        return fail(err, "config: \"%s\" is %.10g, expected %d to %d", key, item->valuedouble, min,
                    max);
    *dst = (int)item->valuedouble;
    return 0;
}

static int get_bool(int *dst, const cJSON *object, const char *key, int fallback,
                    struct error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!item && fallback >= 0) {
        *dst = fallback;
        return 0;
    }
    if (!item)
        return fail(err, "config: \"%s\" is missing", key);
    if (!cJSON_IsBool(item))
        return fail(err, "config: \"%s\" should be true or false", key);
    *dst = cJSON_IsTrue(item);
    return 0;
}

/* A probability of dropping; absent: 0. */
static int get_rate(float *dst, const cJSON *object, const char *key, struct error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    *dst = 0.0f;
    if (!item || cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0.0 && item->valuedouble <= 0.99))
        return fail(err, "config: \"%s\" should be a number from 0 to 0.99", key);
    *dst = (float)item->valuedouble;
    return 0;
}

/* A cosine distance; absent: 0. */
static int get_distance(float *dst, const cJSON *object, const char *key, struct error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    *dst = 0.0f;
    if (!item || cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsNumber(item) || !(item->valuedouble > 0.0 && item->valuedouble <= 2.0))
        return fail(err, "config: \"%s\" should be a cosine distance, above 0 and at most 2", key);
    *dst = (float)item->valuedouble;
    return 0;
}

/* An array of exactly n items (n < 0: any number up to max). */
static const cJSON *get_array(const cJSON *object, const char *key, int n, int max,
                              struct error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (!cJSON_IsArray(item)) {
        fail(err, "config: \"%s\" should be a list", key);
        return NULL;
    }
    int size = cJSON_GetArraySize(item);
    if (n >= 0 ? size != n : (size < 1 || size > max)) {
        fail(err, "config: \"%s\" has %d entries, expected %s%d", key, size, n >= 0 ? "" : "1 to ",
             n >= 0 ? n : max);
        return NULL;
    }
    return item;
}

static int item_int(int *dst, const cJSON *item, const char *key, int min, int max,
                    struct error *err)
{
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble) ||
        item->valuedouble < min || item->valuedouble > max)
        return fail(err, "config: \"%s\" holds something that is not a whole number from %d to %d",
                    key, min, max);
    *dst = (int)item->valuedouble;
    return 0;
}

static int parse_convs(struct wavlm_config *w, const cJSON *json, struct error *err)
{
    static const char key[] = "extractor_conv_layer_config";
    const cJSON *list = get_array(json, key, -1, MAX_CONVS, err), *item;
    int stride = 1, window = 1;

    if (!list)
        return -1;
    w->n_convs = 0;
    cJSON_ArrayForEach(item, list)
    {
        struct conv_shape *conv = &w->conv[w->n_convs++];
        if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 3)
            return fail(err, "config: \"%s\" should hold [channels, kernel, stride] lists", key);
        if (item_int(&conv->channels, cJSON_GetArrayItem(item, 0), key, 1, MAX_WIDTH, err) ||
            item_int(&conv->kernel, cJSON_GetArrayItem(item, 1), key, 1, 64, err) ||
            item_int(&conv->stride, cJSON_GetArrayItem(item, 2), key, 1, 64, err))
            return -1;
        if (conv->kernel < conv->stride)
            return fail(err, "config: \"%s\" has a kernel shorter than its stride", key);
        window += (conv->kernel - 1) * stride;
        stride *= conv->stride;
        if (stride > STRIDE_PRODUCT || window > RECEPTIVE_FIELD)
            break;
    }
    if (stride != STRIDE_PRODUCT || window != RECEPTIVE_FIELD)
        return fail(err, "config: \"%s\": frames should be %d samples every %d, as in every WavLM",
                    key, RECEPTIVE_FIELD, STRIDE_PRODUCT);
    return 0;
}

static int parse_fbank(struct wavlm_config *w, const cJSON *json, struct error *err)
{
    return get_int(&w->fbank_bins, json, "fbank_bins", 8, 256, 0, err) ||
                   get_int(&w->fbank_half_bins, json, "fbank_half_bins", 0, 128, 0, err)
               ? -1
               : 0;
}

static int parse_heads(struct layer_shape *layer, const cJSON *heads, struct error *err)
{
    static const char key[] = "encoder_remaining_heads";
    const cJSON *head;

    layer->n_heads = 0;
    if (!cJSON_IsArray(heads))
        return fail(err, "config: \"%s\" should hold a list of heads for every layer", key);
    cJSON_ArrayForEach(head, heads)
    {
        int h = 0, last = layer->n_heads ? layer->heads[layer->n_heads - 1] : -1;
        if (item_int(&h, head, key, 0, layer->total_heads - 1, err))
            return -1;
        if (h <= last)
            return fail(err, "config: \"%s\": heads should be in ascending order, each once", key);
        layer->heads[layer->n_heads++] = h;
    }
    return 0;
}

static int parse_layer(struct wavlm_config *w, int i, const cJSON *attention, const cJSON *ff_used,
                       const cJSON *total, const cJSON *remaining, const cJSON *ff,
                       struct error *err)
{
    struct layer_shape *layer = &w->layer[i];

    if (!cJSON_IsBool(attention) || !cJSON_IsBool(ff_used))
        return fail(err, "config: \"encoder_use_attention\" and \"encoder_use_feed_forward\" "
                         "should hold true or false");
    if (item_int(&layer->total_heads, total, "encoder_total_num_heads", 1, MAX_HEADS, err) ||
        item_int(&layer->ff, ff, "encoder_ff_interm_features", 0, MAX_WIDTH, err) ||
        parse_heads(layer, remaining, err))
        return -1;
    layer->has_attention = cJSON_IsTrue(attention);
    layer->has_feed_forward = cJSON_IsTrue(ff_used);
    if (w->embed % layer->total_heads)
        return fail(err, "config: layer %d: width %d cannot be shared by %d heads", i, w->embed,
                    layer->total_heads);
    if (layer->total_heads != w->layer[0].total_heads)
        return fail(err, "config: layer %d has %d heads in all, layer 0 has %d: they share one "
                         "position bias and should be the same",
                    i, layer->total_heads, w->layer[0].total_heads);
    if (layer->has_attention && !layer->n_heads)
        return fail(err, "config: layer %d has attention but no head", i);
    if (layer->has_feed_forward && !layer->ff)
        return fail(err, "config: layer %d has a feed-forward without inner units", i);
    if (!layer->has_attention)
        layer->n_heads = 0;
    if (!layer->has_feed_forward)
        layer->ff = 0;
    return 0;
}

static int parse_layers(struct wavlm_config *w, const cJSON *json, struct error *err)
{
    const cJSON *attention, *ff_used, *total, *remaining, *ff;
    int n = w->n_layers;

    if (!cJSON_GetObjectItemCaseSensitive(json, "encoder_remaining_heads"))
        return fail(err, "config: \"encoder_remaining_heads\" is missing: not a WavLM "
                         "(wav2vec 2.0 and HuBERT are not supported)");
    if (!(attention = get_array(json, "encoder_use_attention", n, 0, err)) ||
        !(ff_used = get_array(json, "encoder_use_feed_forward", n, 0, err)) ||
        !(total = get_array(json, "encoder_total_num_heads", n, 0, err)) ||
        !(remaining = get_array(json, "encoder_remaining_heads", n, 0, err)) ||
        !(ff = get_array(json, "encoder_ff_interm_features", n, 0, err)))
        return -1;
    for (int i = 0; i < n; i++) {
        if (parse_layer(w, i, cJSON_GetArrayItem(attention, i), cJSON_GetArrayItem(ff_used, i),
                        cJSON_GetArrayItem(total, i), cJSON_GetArrayItem(remaining, i),
                        cJSON_GetArrayItem(ff, i), err))
            return -1;
    }
    return 0;
}

/* Checkpoints in the middle of pruning hold gates instead of a final shape. */
static int refuse_gates(const cJSON *json, struct error *err)
{
    static const char *const keys[] = {
        "extractor_prune_conv_channels", "encoder_prune_attention_heads",
        "encoder_prune_attention_layer", "encoder_prune_feed_forward_intermediate",
        "encoder_prune_feed_forward_layer",
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        int gated = 0;
        if (get_bool(&gated, json, keys[i], 0, err))
            return -1;
        if (gated)
            return fail(err, "config: \"%s\" is true: this checkpoint still has its pruning "
                             "gates; cut it (shrink) first", keys[i]);
    }
    return 0;
}

static int parse_wavlm(struct wavlm_config *w, const cJSON *json, struct error *err)
{
    const cJSON *mode = cJSON_GetObjectItemCaseSensitive(json, "extractor_mode");

    if (!cJSON_IsString(mode))
        return fail(err, "config: \"extractor_mode\" is missing");
    w->group_norm = !strcmp(mode->valuestring, "group_norm");
    w->fbank = !strcmp(mode->valuestring, "fbank");
    if (!w->group_norm && !w->fbank && strcmp(mode->valuestring, "layer_norm"))
        return fail(err, "config: \"extractor_mode\" is \"%.40s\", expected group_norm, "
                         "layer_norm or fbank", mode->valuestring);
    if (refuse_gates(json, err) || (w->fbank ? parse_fbank : parse_convs)(w, json, err) ||
        get_bool(&w->conv_bias, json, "extractor_conv_bias", 0, err) ||
        get_int(&w->embed, json, "encoder_embed_dim", 1, MAX_WIDTH, 0, err) ||
        get_int(&w->pos_kernel, json, "encoder_pos_conv_kernel", w->fbank ? 0 : 1, 1024, -1,
                err) ||
        get_int(&w->pos_groups, json, "encoder_pos_conv_groups", 1, 1024, 0, err) ||
        get_int(&w->n_layers, json, "encoder_num_layers", w->fbank ? 0 : 1, MAX_LAYERS, -1, err) ||
        get_int(&w->n_buckets, json, "encoder_num_buckets", 4, 4096, 0, err) ||
        get_int(&w->max_distance, json, "encoder_max_distance", 2, 1 << 20, 0, err) ||
        get_bool(&w->norm_first, json, "encoder_layer_norm_first", -1, err) ||
        get_bool(&w->normalize_waveform, json, "normalize_waveform", 0, err) ||
        get_rate(&w->projection_dropout, json, "encoder_projection_dropout", err) ||
        get_rate(&w->attention_dropout, json, "encoder_attention_dropout", err) ||
        get_rate(&w->ff_dropout, json, "encoder_ff_interm_dropout", err) ||
        get_rate(&w->dropout, json, "encoder_dropout", err) ||
        get_rate(&w->layer_drop, json, "encoder_layer_drop", err))
        return -1;
    if (w->embed % w->pos_groups)
        return fail(err, "config: width %d cannot be shared by %d groups of the positional "
                         "convolution", w->embed, w->pos_groups);
    if (w->n_buckets % 4 || w->max_distance <= w->n_buckets / 4)
        return fail(err, "config: %d buckets up to distance %d make no relative positions",
                    w->n_buckets, w->max_distance);
    return parse_layers(w, json, err);
}

int config_powerset_classes(int n_speakers, int at_once)
{
    int classes = 0, choose = 1;

    for (int k = 0; k <= at_once && k <= n_speakers; k++) {
        classes += choose;
        choose = choose * (n_speakers - k) / (k + 1);
    }
    return classes;
}

static int parse_activation(struct readout_config *r, const cJSON *json, struct error *err)
{
    static const char key[] = "output_activate_function";
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

    r->activation = OUTPUT_LINEAR;
    if (!item || cJSON_IsFalse(item) || cJSON_IsNull(item))
        return 0;
    if (!cJSON_IsString(item))
        return fail(err, "config: \"%s\" should be false or a name", key);
    if (!strcmp(item->valuestring, "ReLU"))
        r->activation = OUTPUT_RELU;
    else if (!strcmp(item->valuestring, "Tanh"))
        r->activation = OUTPUT_TANH;
    else
        return fail(err, "config: \"%s\" is \"%.40s\", expected false, ReLU or Tanh", key,
                    item->valuestring);
    return 0;
}

static int parse_readout(struct readout_config *r, const struct wavlm_config *w, const cJSON *json,
                         struct error *err)
{
    const cJSON *chunk = cJSON_GetObjectItemCaseSensitive(json, "chunk_size");
    int width = 0, classes = 0;

    r->present = 1;
    r->chunk_seconds = !chunk || cJSON_IsNull(chunk) ? 8.0 : cJSON_GetNumberValue(chunk);
    if (!(r->chunk_seconds >= 0.1 && r->chunk_seconds <= 3600.0)) // NaN: it is no number
        return fail(err, "config: \"chunk_size\" should be seconds, 0.1 to 3600");
    if (get_int(&r->n_reps, json, "wavlm_layer_num", 1, w->n_layers + 1, 0, err) ||
        get_int(&width, json, "wavlm_feat_dim", 1, MAX_WIDTH, 0, err) ||
        get_int(&r->width, json, "attention_in", 1, MAX_WIDTH, 0, err) ||
        get_int(&r->ff, json, "ffn_hidden", 1, MAX_WIDTH, 0, err) ||
        get_int(&r->n_heads, json, "num_head", 1, MAX_HEADS, 0, err) ||
        get_int(&r->n_layers, json, "num_layer", 1, MAX_CONFORMER_LAYERS, 0, err) ||
        get_int(&r->kernel, json, "kernel_size", 1, 255, 31, err) ||
        get_bool(&r->use_posi, json, "use_posi", 0, err) || parse_activation(r, json, err) ||
        get_int(&r->n_speakers, json, "max_speakers_per_chunk", 1, MAX_LOCAL_SPEAKERS, 4, err) ||
        get_int(&r->at_once, json, "max_speakers_per_frame", 1, MAX_AT_ONCE, 2, err) ||
        get_int(&r->embedding, json, "embedding_dim", 0, MAX_WIDTH, 0, err) ||
        get_int(&r->embedding_projection, json, "embedding_projection", 0, r->embedding, 0, err) ||
        get_distance(&r->embedding_threshold, json, "embedding_threshold", err) ||
        get_int(&r->sample_rate, json, "sample_rate", 16000, 16000, 16000, err) ||
        get_rate(&r->dropout, json, "dropout", err) ||
        get_rate(&r->conv_dropout, json, "conv_dropout", err))
        return -1;
    if (!cJSON_GetObjectItemCaseSensitive(json, "conv_dropout"))
        r->conv_dropout = 0.1f;
    if (width != w->embed)
        return fail(err, "config: \"wavlm_feat_dim\" is %d, the WavLM is %d wide", width,
                    w->embed);
    if (r->at_once > r->n_speakers)
        return fail(err, "config: %d of %d speakers at once", r->at_once, r->n_speakers);
    if (r->width % r->n_heads)
        return fail(err, "config: readout width %d cannot be shared by %d heads", r->width,
                    r->n_heads);
    if (r->kernel % 2 == 0)
        return fail(err, "config: \"kernel_size\" is %d, expected an odd number", r->kernel);
    r->n_classes = config_powerset_classes(r->n_speakers, r->at_once);
    if (get_int(&classes, json, "classes", 1, MAX_WIDTH, r->n_classes, err))
        return -1;
    if (classes != r->n_classes)
        return fail(err, "config: %d classes, but a powerset of %d speakers, %d at once, has %d",
                    classes, r->n_speakers, r->at_once, r->n_classes);
    return 0;
}

static int parse_live(struct model_config *c, const cJSON *json, struct error *err)
{
    const cJSON *live = cJSON_GetObjectItemCaseSensitive(json, "live");
    int left_ms;

    c->live = LIVE_BLOCK_CAUSAL;
    if (get_int(&left_ms, json, "left_ms", 0, 600000, 8000, err) ||
        get_int(&c->horizon_seconds, json, "horizon_seconds", 0, 1000000, 60, err))
        return -1;
    if (left_ms % 20)
        return fail(err, "config: \"left_ms\" is %d, expected a multiple of 20", left_ms);
    c->left_frames = left_ms / 20;
    if (!live)
        return 0;
    if (!cJSON_IsString(live))
        return fail(err, "config: \"live\" should be block-causal or window");
    if (!strcmp(live->valuestring, "window"))
        c->live = LIVE_WINDOW;
    else if (strcmp(live->valuestring, "block-causal"))
        return fail(err, "config: \"live\" is \"%.40s\", expected block-causal or window",
                    live->valuestring);
    return 0;
}

static int parse_root(struct model_config *c, const cJSON *root, struct error *err)
{
    const cJSON *wavlm = cJSON_GetObjectItemCaseSensitive(root, "wavlm");
    const cJSON *readout = cJSON_GetObjectItemCaseSensitive(root, "readout");

    if (!cJSON_IsObject(wavlm))
        return fail(err, "config: no \"wavlm\" section");
    if (parse_wavlm(&c->wavlm, wavlm, err) || parse_live(c, root, err))
        return -1;
    if (!readout || cJSON_IsNull(readout))
        return 0;
    if (!cJSON_IsObject(readout))
        return fail(err, "config: \"readout\" should be an object");
    return parse_readout(&c->readout, &c->wavlm, readout, err);
}

int config_parse(struct model_config *c, const char *json, struct error *err)
{
    cJSON *root = json_read(json, strlen(json), &limits, err);
    int status;

    *c = (struct model_config){0};
    if (!root)
        return -1;
    if (!cJSON_IsObject(root))
        status = fail(err, "config: not a JSON object");
    else
        status = parse_root(c, root, err);
    cJSON_Delete(root);
    return status;
}

int config_layers_used(const struct model_config *c)
{
    return c->readout.present ? c->readout.n_reps - 1 : c->wavlm.n_layers;
}

int config_traits(const struct model_config *c)
{
    return c->wavlm.embed * (c->readout.embedding_projection ? 2 : 1);
}

int config_head_width(const struct wavlm_config *c, int layer)
{
    int n = c->layer[layer].total_heads;

    return n ? c->embed / n : c->embed; // a model without layers has no heads
}
