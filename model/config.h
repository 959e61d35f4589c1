// SPDX-License-Identifier: MIT
/* config.h - the shape of a model: WavLM and the readout on top of it.
 *
 * Read from the JSON a checkpoint carries ({"wavlm": ..., "readout": ...}, the
 * upstream keys), or made from the name of an architecture. After
 * config_parse every number is within the limits below, so that sizes made of
 * them fit 64 bits; whether the tensors agree is params.h's question. */
#ifndef CONFIG_H
#define CONFIG_H

#include "model/error.h"

#include <stddef.h>

enum {
    MAX_CONVS = 8,
    MAX_LAYERS = 64,
    MAX_HEADS = 64,
    MAX_CONFORMER_LAYERS = 32,
    MAX_LOCAL_SPEAKERS = 8,
    MAX_AT_ONCE = 4,
    MAX_WIDTH = 65536, // of any axis
};

enum output_activation { OUTPUT_LINEAR, OUTPUT_RELU, OUTPUT_TANH };

struct conv_shape {
    int channels, kernel, stride;
};

struct layer_shape {
    int has_attention, has_feed_forward;
    int total_heads; // before pruning
    int n_heads;     // kept
    int heads[MAX_HEADS]; // their original numbers, ascending as in q, k, v, out
    int ff;          // inner width of the feed-forward, 0 without one
};

struct wavlm_config {
    int group_norm; // 1: GroupNorm after conv layer 0 (Base); 0: LayerNorm after each (Large)
    int fbank;      // 1: filter banks in the place of the convolutions, n_convs = 0
    int fbank_bins, fbank_half_bins; // of a frame, and of each of its halves (0: none)
    int n_convs;
    struct conv_shape conv[MAX_CONVS];
    int conv_bias;
    int embed; // model width C
    int pos_kernel, pos_groups; // kernel 0: no positional convolution
    int n_layers;
    struct layer_shape layer[MAX_LAYERS];
    int n_buckets, max_distance; // of the relative position bias
    int norm_first;              // 1: pre-norm (Large), 0: post-norm (Base)
    int normalize_waveform;
    /* Of training only. */
    float projection_dropout, attention_dropout, ff_dropout, dropout, layer_drop;
};

struct readout_config {
    int present;   // 0: the checkpoint is a bare WavLM
    int n_reps;    // representations in the weighted sum: rep 0 .. n_reps-1
    int width;     // attention_in
    int ff;        // ffn_hidden
    int n_heads, n_layers, kernel;
    int use_posi;  // relative positions in the conformer's attention
    enum output_activation activation;
    int n_speakers, at_once, n_classes; // of the powerset
    int embedding; // width of the embedding readout, 0 without one
    int embedding_projection; // not 0: it reads the feature projection beside the layer sum, and so many numbers of a
                              // calibrated vector, the last, come from there alone: they tell little
                              // of a second and more of many
    float embedding_threshold; // cosine distance beyond which much speech is another voice's;
                               // 0: the readout is not calibrated, the vectors are raw
    int sample_rate;
    double chunk_seconds; // what it was trained on
    float dropout;        // of training only
    float conv_dropout;   // of the convolution parts: 0.1 unless said, as upstream's always is
};

/* How a model wants to run live: a model says so in config "live". */
enum live_mode { LIVE_BLOCK_CAUSAL, LIVE_WINDOW };

struct model_config {
    struct wavlm_config wavlm;
    struct readout_config readout;
    enum live_mode live; // "block-causal" (an antiphon model's default) or "window"
    int left_frames;     // L of a live block unless told otherwise: "left_ms", 8 s unless said
    int horizon_seconds; // likewise of the cumulative statistics, 60 unless said; 0: for ever
};

/* Parses and checks. A key with a value of the wrong kind, an unknown value or
 * a number out of range is refused by name; unknown keys are ignored. */
int config_parse(struct model_config *c, const char *json, struct error *err);

/* The configuration of a named architecture as JSON text, to be freed by the
 * caller, or NULL for an unknown name or without memory. Names: base,
 * base-s80, base-s90, large, large-s80, large-s90, fbank (each with DiariZen's readout),
 * nano. */
char *config_arch_json(const char *name, struct error *err);

/* The names config_arch_json knows, for messages. */
extern const char *const config_arch_names;

/* Number of rows of the readout's powerset: sum over k = 0 .. at_once of
 * n_speakers choose k. */
int config_powerset_classes(int n_speakers, int at_once);

/* Layers that run: those above the last representation in the weighted sum do not. */
int config_layers_used(const struct model_config *c);

/* Width of what speaker vectors are made of: the layer sum, or it and the feature projection. */
int config_traits(const struct model_config *c);

/* Width of one attention head, pruned or not: embed / total heads. */
int config_head_width(const struct wavlm_config *c, int layer);

#endif
