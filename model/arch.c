// SPDX-License-Identifier: MIT
/* arch.c - the named architectures, as the JSON a checkpoint of theirs carries.
 *
 * base and large: WavLM Base(+) and Large (Chen et al. 2022). The -s80 shapes:
 * what structured pruning left of them in DiariZen's published multi-domain
 * models (Han et al. 2025). fbank: their baseline without WavLM, filter banks and
 * the conformer. nano: the built-in model's, filter banks
 * and a small WavLM; nano-conv: the same with WavLM's convolutions. */
#include "model/config.h"

#include "model/json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct arch_layer {
    unsigned heads; // bit h: head h is kept
    int ff;
};

struct arch {
    const char *name;
    int large; // Large's norms and waveform normalisation, else Base's
    int embed, n_layers, n_heads;
    int channels[7];
    const struct arch_layer *layers; // NULL: nothing pruned, ff of this width
    int ff;
    int normalize_waveform;
    int readout_width, readout_ff;
    double chunk_seconds;
    int embedding;
    int bins, half_bins; // of filter banks in the convolutions' place; 0: convolutions
};

static const struct arch_layer base_s80[] = {
    {0x042, 666}, {0x1a0, 660}, {0x209, 649}, {0x913, 1080}, {0x140, 237}, {0x001, 299},
    {0xd80, 437}, {0x113, 573}, {0, 53},      {0, 80},       {0x090, 211}, {0x020, 334},
};

static const struct arch_layer large_s80[] = {
    {0x0076, 1092}, {0x4600, 925}, {0x00b7, 759}, {0x7092, 646},  {0x201d, 745},  {0xe082, 615},
    {0xa800, 684},  {0x811c, 958}, {0x8064, 286}, {0, 294},       {0x0003, 406},  {0x102a, 377},
    {0, 463},       {0x0890, 542}, {0x0240, 298}, {0x0800, 236},  {0, 96},        {0, 104},
    {0x4000, 134},  {0x8020, 211}, {0xa905, 473}, {0x24fb, 1011}, {0x5ecb, 1770}, {0xe09e, 1316},
};

/* The 80 % shapes scaled to the 90 % models' published parameters and MACs, which come
 * without shapes: channels by 0.82 (Large 0.71), heads and inner units by 0.27 (0.395),
 * a head at least where there was one. */
static const struct arch_layer base_s90[] = {
    {0x002, 180}, {0x020, 178}, {0x001, 175}, {0x001, 292}, {0x040, 64}, {0x001, 81},
    {0x080, 118}, {0x001, 155}, {0, 14},      {0, 22},      {0x010, 57}, {0x020, 90},
};

static const struct arch_layer large_s90[] = {
    {0x0006, 431}, {0x0200, 365}, {0x0003, 300}, {0x0012, 255}, {0x0005, 294}, {0x0082, 243},
    {0x0800, 270}, {0x000c, 378}, {0x0024, 113}, {0, 116},      {0x0001, 160}, {0x000a, 149},
    {0, 183},      {0x0010, 214}, {0x0040, 118}, {0x0800, 93},  {0, 38},       {0, 41},
    {0x4000, 53},  {0x0020, 83},  {0x0005, 187}, {0x001b, 399}, {0x004b, 699}, {0x000e, 520},
};

static const struct arch archs[] = {
    {"base", 0, 768, 12, 12, {512, 512, 512, 512, 512, 512, 512}, NULL, 3072, 0, 256, 1024, 8, 0, 0, 0},
    {"base-s80", 0, 768, 12, 12, {90, 161, 173, 181, 351, 155, 137}, base_s80, 0, 0, 256, 1024, 16,
     0, 0, 0},
    {"base-s90", 0, 768, 12, 12, {74, 132, 142, 148, 288, 127, 112}, base_s90, 0, 0, 256, 1024, 16,
     0, 0, 0},
    {"large", 1, 1024, 24, 16, {512, 512, 512, 512, 512, 512, 512}, NULL, 4096, 1, 256, 1024, 8, 0, 0,
     0},
    {"large-s80", 1, 1024, 24, 16, {512, 153, 224, 255, 302, 368, 211}, large_s80, 0, 1, 256, 1024,
     16, 0, 0, 0},
    {"large-s90", 1, 1024, 24, 16, {364, 109, 159, 181, 214, 261, 150}, large_s90, 0, 1, 256, 1024,
     16, 0, 0, 0},
    {"nano", 1, 192, 6, 6, {0}, NULL, 768, 0, 128, 512, 10, 64, 80, 40},
    {"nano-conv", 1, 192, 6, 6, {48, 64, 64, 96, 96, 128, 128}, NULL, 768, 0, 128, 512, 10, 64, 0,
     0},
    {"fbank", 1, 256, 0, 4, {0}, NULL, 0, 0, 256, 1024, 8, 0, 80, 0},
};

const char *const config_arch_names =
    "base, base-s80, base-s90, large, large-s80, large-s90, fbank, nano, nano-conv";

static const struct arch *find_arch(const char *name)
{
    for (size_t i = 0; i < sizeof(archs) / sizeof(*archs); i++) {
        if (!strcmp(archs[i].name, name))
            return &archs[i];
    }
    return NULL;
}

static void add_convs(cJSON *wavlm, const struct arch *a)
{
    static const int kernel[7] = {10, 3, 3, 3, 3, 2, 2}, stride[7] = {5, 2, 2, 2, 2, 2, 2};
    cJSON *convs = cJSON_AddArrayToObject(wavlm, "extractor_conv_layer_config");

    for (int i = 0; i < 7; i++) {
        const int conv[3] = {a->channels[i], kernel[i], stride[i]};
        json_add(convs, cJSON_CreateIntArray(conv, 3));
    }
}

static void add_layers(cJSON *wavlm, const struct arch *a)
{
    cJSON *attention = cJSON_AddArrayToObject(wavlm, "encoder_use_attention");
    cJSON *feed_forward = cJSON_AddArrayToObject(wavlm, "encoder_use_feed_forward");
    cJSON *total = cJSON_AddArrayToObject(wavlm, "encoder_total_num_heads");
    cJSON *remaining = cJSON_AddArrayToObject(wavlm, "encoder_remaining_heads");
    cJSON *ff = cJSON_AddArrayToObject(wavlm, "encoder_ff_interm_features");

    for (int i = 0; i < a->n_layers; i++) {
        unsigned kept = a->layers ? a->layers[i].heads : (1u << a->n_heads) - 1;
        int inner = a->layers ? a->layers[i].ff : a->ff;
        cJSON *heads = cJSON_CreateArray();
        for (int h = 0; h < a->n_heads; h++) {
            if (kept >> h & 1)
                json_add(heads, cJSON_CreateNumber(h));
        }
        json_add(attention, cJSON_CreateBool(kept != 0));
        json_add(feed_forward, cJSON_CreateBool(inner > 0));
        json_add(total, cJSON_CreateNumber(a->n_heads));
        json_add(remaining, heads);
        json_add(ff, cJSON_CreateNumber(inner));
    }
}

static void add_wavlm(cJSON *root, const struct arch *a)
{
    static const char *const gates[] = {
        "extractor_prune_conv_channels", "encoder_prune_attention_heads",
        "encoder_prune_attention_layer", "encoder_prune_feed_forward_intermediate",
        "encoder_prune_feed_forward_layer",
    };
    cJSON *w = cJSON_AddObjectToObject(root, "wavlm");
    double dropout = a->embedding ? 0.0 : 0.1; // nano is too small to want it

    cJSON_AddStringToObject(w, "extractor_mode",
                            a->bins ? "fbank" : a->large ? "layer_norm" : "group_norm");
    if (a->bins) {
        cJSON_AddNumberToObject(w, "fbank_bins", a->bins);
        cJSON_AddNumberToObject(w, "fbank_half_bins", a->half_bins);
    } else {
        add_convs(w, a);
        cJSON_AddBoolToObject(w, "extractor_conv_bias", 0);
    }
    cJSON_AddNumberToObject(w, "encoder_embed_dim", a->embed);
    cJSON_AddNumberToObject(w, "encoder_projection_dropout", dropout);
    cJSON_AddNumberToObject(w, "encoder_pos_conv_kernel", a->bins ? 0 : 128);
    cJSON_AddNumberToObject(w, "encoder_pos_conv_groups", 16);
    cJSON_AddNumberToObject(w, "encoder_num_layers", a->n_layers);
    add_layers(w, a);
    cJSON_AddNumberToObject(w, "encoder_num_buckets", 320);
    cJSON_AddNumberToObject(w, "encoder_max_distance", 800);
    cJSON_AddNumberToObject(w, "encoder_attention_dropout", dropout);
    cJSON_AddNumberToObject(w, "encoder_ff_interm_dropout", 0.0);
    cJSON_AddNumberToObject(w, "encoder_dropout", dropout);
    cJSON_AddBoolToObject(w, "encoder_layer_norm_first", a->large);
    cJSON_AddNumberToObject(w, "encoder_layer_drop", a->embedding ? 0.0 : a->large ? 0.1 : 0.05);
    cJSON_AddNullToObject(w, "aux_num_out");
    cJSON_AddBoolToObject(w, "normalize_waveform", a->normalize_waveform);
    for (size_t i = 0; i < sizeof(gates) / sizeof(*gates); i++)
        cJSON_AddBoolToObject(w, gates[i], 0);
}

static void add_readout(cJSON *root, const struct arch *a)
{
    cJSON *r = cJSON_AddObjectToObject(root, "readout");

    cJSON_AddNumberToObject(r, "wavlm_layer_num", a->n_layers + 1);
    cJSON_AddNumberToObject(r, "wavlm_feat_dim", a->embed);
    cJSON_AddNumberToObject(r, "attention_in", a->readout_width);
    cJSON_AddNumberToObject(r, "ffn_hidden", a->readout_ff);
    cJSON_AddNumberToObject(r, "num_head", 4);
    cJSON_AddNumberToObject(r, "num_layer", 4);
    cJSON_AddNumberToObject(r, "kernel_size", 31);
    cJSON_AddNumberToObject(r, "dropout", a->embedding ? 0.0 : 0.1);
    if (a->embedding)
        cJSON_AddNumberToObject(r, "conv_dropout", 0.0);
    cJSON_AddBoolToObject(r, "use_posi", 0);
    cJSON_AddBoolToObject(r, "output_activate_function", 0);
    cJSON_AddNumberToObject(r, "max_speakers_per_chunk", 4);
    cJSON_AddNumberToObject(r, "max_speakers_per_frame", 2);
    cJSON_AddNumberToObject(r, "sample_rate", 16000);
    cJSON_AddNumberToObject(r, "chunk_size", a->chunk_seconds);
    if (a->embedding)
        cJSON_AddNumberToObject(r, "embedding_dim", a->embedding);
}

char *config_arch_json(const char *name, struct error *err)
{
    const struct arch *a = find_arch(name);
    cJSON *root;
    char *json;

    if (!a) {
        fail(err, "unknown architecture \"%.40s\"; there are %s", name, config_arch_names);
        return NULL;
    }
    errno = 0; // what cannot be added is left out without a word, but malloc says why
    root = cJSON_CreateObject();
    add_wavlm(root, a);
    add_readout(root, a);
    json = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (!json || errno == ENOMEM) {
        fail(err, "out of memory; close other programs");
        free(json);
        return NULL;
    }
    return json;
}
