// SPDX-License-Identifier: MIT
#include "model/cost.h"

#include <stdlib.h>
#include <string.h>

static int64_t square(int64_t x)
{
    return x * x;
}

static void count_parameters(struct cost *cost, const struct param *list, int n)
{
    for (int i = 0; i < n; i++) {
        int64_t count = list[i].kind == PARAM_COUNTER ? 0 : (int64_t)param_count(&list[i]);
        int buffer = list[i].kind == PARAM_BUFFER && !list[i].encoder; // BatchNorm statistics
        cost->parameters += buffer ? 0 : count;
        cost->encoder_parameters += list[i].encoder ? count : 0;
    }
}

static void count_encoder(struct cost *cost, const struct model_config *c)
{
    const struct wavlm_config *w = &c->wavlm;
    int64_t T = 16000, E = w->embed, K = w->pos_kernel;

    for (int i = 0; i < w->n_convs; i++) {
        T = (T - w->conv[i].kernel) / w->conv[i].stride + 1;
        cost->conv_macs += T * w->conv[i].kernel * axis_size(c, AXIS_CONV_IN, i) *
                           w->conv[i].channels;
    }
    if (w->fbank)
        T = 49; // of one second
    cost->projection_macs = T * axis_size(c, AXIS_FEATURES, 0) * E;
    if (K > 0)
        cost->pos_conv_macs = (T + 2 * (K / 2) - K + 1) * K * E * E / w->pos_groups;
    cost->encoder_macs = cost->conv_macs + cost->projection_macs + cost->pos_conv_macs;
    for (int i = 0; i < w->n_layers; i++) {
        int64_t A = axis_size(c, AXIS_A, i);
        cost->attention_macs[i] = 4 * T * A * E + 2 * square(T) * A;
        cost->feed_forward_macs[i] = 2 * T * E * w->layer[i].ff;
        cost->encoder_macs += cost->attention_macs[i] + cost->feed_forward_macs[i];
    }
}

/* One conformer block on T rows that each see `keys` rows. */
static int64_t conformer_macs(const struct readout_config *r, int64_t T, int64_t keys)
{
    int64_t R = r->width, F = r->ff, posi = r->use_posi ? keys + T - 1 : 0;

    return 2 * 2 * T * R * F + 4 * T * R * R + 2 * T * keys * R + T * posi * R + 3 * T * R * R +
           T * R * r->kernel;
}

static int64_t readout_macs(const struct model_config *c, int64_t T, int64_t keys)
{
    const struct readout_config *r = &c->readout;

    if (!r->present)
        return 0;
    return T * r->n_reps * c->wavlm.embed + T * c->wavlm.embed * r->width +
           r->n_layers * conformer_macs(r, T, keys) + T * r->width * r->n_classes;
}

/* Whether one may have become the other by pruning. */
static int is_shape_of(const struct wavlm_config *pruned, const struct wavlm_config *dense)
{
    return pruned->embed == dense->embed && pruned->n_layers == dense->n_layers &&
           pruned->n_layers > 0 && pruned->fbank == dense->fbank &&
           pruned->n_convs == dense->n_convs &&
           pruned->layer[0].total_heads == dense->layer[0].total_heads;
}

/* The architecture before pruning, if it is one of ours or of the published. */
static int find_dense(struct model_config *dense, const struct wavlm_config *w)
{
    static const char *const names[] = {"base", "large", "nano", "nano-conv"};
    int found = 0;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !found; i++) {
        char *json = config_arch_json(names[i], NULL);
        found = json && config_parse(dense, json, NULL) == 0 && is_shape_of(w, &dense->wavlm);
        free(json);
    }
    return found;
}

/* Else it is taken to have had all heads and the widest feed-forward in every layer. */
static void make_dense(struct wavlm_config *w)
{
    int widest = 0;

    for (int i = 0; i < w->n_layers; i++)
        widest = w->layer[i].ff > widest ? w->layer[i].ff : widest;
    for (int i = 0; i < w->n_layers; i++) {
        struct layer_shape *layer = &w->layer[i];
        layer->has_attention = 1;
        layer->has_feed_forward = widest > 0;
        layer->ff = widest;
        layer->n_heads = layer->total_heads;
        for (int h = 0; h < layer->total_heads; h++)
            layer->heads[h] = h;
    }
}

static double count_sparsity(const struct cost *cost, const struct model_config *c)
{
    struct model_config *dense = malloc(sizeof(*dense));
    struct param *list = NULL;
    struct cost whole = {0};
    int n = 0;

    if (dense && !find_dense(dense, &c->wavlm)) {
        *dense = *c;
        make_dense(&dense->wavlm);
    }
    if (dense)
        list = params_list(dense, &n);
    count_parameters(&whole, list, n);
    free(list);
    free(dense);
    if (whole.encoder_parameters <= 0)
        return 0.0;
    double left = (double)cost->encoder_parameters / (double)whole.encoder_parameters;
    return left < 1.0 ? 1.0 - left : 0.0;
}

void cost_count(struct cost *cost, const struct model_config *c, const struct param *list, int n)
{
    *cost = (struct cost){0};
    count_parameters(cost, list, n);
    count_encoder(cost, c);
    cost->readout_macs = readout_macs(c, 49, 49);
    cost->sparsity = count_sparsity(cost, c);
}

/* Taps of the positional convolution that meet something: rows are taken in
 * tiles of 64, and those behind the block's end are left out (pos_conv.c). */
static int64_t pos_conv_taps(const struct wavlm_config *w, int64_t T)
{
    int64_t taps = 0;

    for (int64_t row = 0; row < T; row += 64) {
        int64_t n = T - row < 64 ? T - row : 64, seen = T - row + w->pos_kernel / 2;
        taps += n * (seen < w->pos_kernel ? seen : w->pos_kernel);
    }
    return taps;
}

double cost_live_macs(const struct model_config *c, const struct reach *reach)
{
    const struct wavlm_config *w = &c->wavlm;
    int64_t T = reach->window_frames ? reach->window_frames
                                     : reach->block_frames + reach->right_frames;
    int64_t keys = reach->left_frames + T;
    int64_t E = w->embed, macs = 0, in = blocks_cover(T);

    for (int i = 0; i < w->n_convs; i++) {
        in = (in - w->conv[i].kernel) / w->conv[i].stride + 1;
        macs += in * w->conv[i].kernel * axis_size(c, AXIS_CONV_IN, i) * w->conv[i].channels;
    }
    macs += T * axis_size(c, AXIS_FEATURES, 0) * E + pos_conv_taps(w, T) * E * E / w->pos_groups;
    for (int i = 0; i < config_layers_used(c); i++) {
        int64_t A = axis_size(c, AXIS_A, i);
        macs += 4 * T * A * E + 2 * T * keys * A + 2 * T * E * w->layer[i].ff;
        if (w->layer[0].has_attention)
            macs += 2 * T * A; // the gate
    }
    macs += readout_macs(c, T, keys);
    return (double)macs * 50.0 / reach->block_frames;
}
