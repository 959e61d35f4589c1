// SPDX-License-Identifier: MIT
/* cmd_info.c - `info`: what a model is, what it costs, what pruning left. */
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/speaker_network.h"
#include "model/cost.h"
#include "stream/utf8.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct usage usage = {
    "MODEL|ARCH",
    "Prints the architecture, parameters, multiply-accumulates per second of audio, and\n"
    "what pruning left in each layer. MODEL is a model file, checkpoint or folder, or\n"
    "built-in; ARCH one of base, base-s80, base-s90, large, large-s80, large-s90, fbank, nano,\n"
    "nano-conv, or the speaker network resnet34.\n\n"
    "Two counts: upstream's, of one second as one window, and what live costs a second in\n"
    "blocks of --block with --left before them: every product from the extractor to the\n"
    "classifier; norms and activations are left out.\n\n"
    "  antiphon info built-in\n"
    "  antiphon info base-s80 --json",
};

struct subject {
    struct block_options block;
    struct model_config config;
    struct cost cost;
    char *provenance;
    double live_macs;
};

static int count(struct subject *s, const char *json, struct error *err)
{
    struct reach reach;
    struct param *list;
    int n;

    if (reach_from_options(&reach, &s->block, err))
        return -1;
    if (config_parse(&s->config, json, err))
        return -1;
    list = params_list(&s->config, &n);
    if (!list)
        return fail(err, "out of memory");
    if (reach.left_frames == REACH_OWN)
        reach.left_frames = s->config.left_frames;
    s->block.left_ms = 20 * reach.left_frames;
    cost_count(&s->cost, &s->config, list, n);
    s->live_macs = cost_live_macs(&s->config, &reach);
    free(list);
    return 0;
}

/* A file is opened whole, so that what is printed is true of one that runs. */
static int subject_open(struct subject *s, struct loaded *l, struct error *err)
{
    struct reach reach = reach_defaults();

    if (load_bind(l, &reach, err))
        return -1;
    int status = count(s, l->checkpoint.config, err);
    if (l->checkpoint.provenance)
        s->provenance = strdup(l->checkpoint.provenance);
    unload_model(l);
    return status;
}

static cJSON *layer_json(const struct subject *s, int i)
{
    const struct layer_shape *layer = &s->config.wavlm.layer[i];
    cJSON *json = cJSON_CreateObject();

    cJSON_AddNumberToObject(json, "heads", layer->n_heads);
    cJSON_AddNumberToObject(json, "total_heads", layer->total_heads);
    cJSON_AddItemToObject(json, "remaining_heads",
                          cJSON_CreateIntArray(layer->heads, layer->n_heads));
    cJSON_AddNumberToObject(json, "feed_forward", layer->ff);
    cJSON_AddNumberToObject(json, "attention_macs", (double)s->cost.attention_macs[i]);
    cJSON_AddNumberToObject(json, "feed_forward_macs", (double)s->cost.feed_forward_macs[i]);
    return json;
}

static int print_json(const struct subject *s, struct error *err)
{
    const struct model_config *c = &s->config;
    cJSON *json = cJSON_CreateObject(), *convs = cJSON_AddArrayToObject(json, "conv_channels");
    cJSON *layers;

    for (int i = 0; i < c->wavlm.n_convs; i++)
        cJSON_AddItemToArray(convs, cJSON_CreateNumber(c->wavlm.conv[i].channels));
    cJSON_AddNumberToObject(json, "parameters", (double)s->cost.parameters);
    cJSON_AddNumberToObject(json, "encoder_parameters", (double)s->cost.encoder_parameters);
    cJSON_AddNumberToObject(json, "macs_per_second",
                            (double)(s->cost.encoder_macs + s->cost.readout_macs));
    cJSON_AddNumberToObject(json, "encoder_macs_per_second", (double)s->cost.encoder_macs);
    cJSON_AddNumberToObject(json, "live_macs_per_second", s->live_macs);
    cJSON_AddNumberToObject(json, "block_ms", s->block.block_ms);
    cJSON_AddNumberToObject(json, "left_ms", s->block.left_ms);
    cJSON_AddNumberToObject(json, "horizon_seconds", c->horizon_seconds);
    cJSON_AddNumberToObject(json, "sparsity", s->cost.sparsity);
    cJSON_AddNumberToObject(json, "width", c->wavlm.embed);
    cJSON_AddStringToObject(json, "live",
                            c->live == LIVE_WINDOW ? "window" : "block-causal");
    if (c->readout.present) {
        cJSON_AddNumberToObject(json, "speakers", c->readout.n_speakers);
        cJSON_AddNumberToObject(json, "at_once", c->readout.at_once);
        cJSON_AddNumberToObject(json, "chunk_seconds", c->readout.chunk_seconds);
        cJSON_AddNumberToObject(json, "classes", c->readout.n_classes);
    }
    if (s->provenance)
        cJSON_AddStringToObject(json, "provenance", s->provenance);
    layers = cJSON_AddArrayToObject(json, "layers");
    for (int i = 0; i < c->wavlm.n_layers; i++)
        cJSON_AddItemToArray(layers, layer_json(s, i));
    return json_print(json, err);
}

static void bar(char *text, int cells, double share)
{
    int full = (int)(share * cells + 0.5);

    for (int i = 0; i < cells; i++)
        text[i] = i < full ? '#' : '.';
    text[cells] = 0;
}

static void print_layers(const struct subject *s)
{
    const struct wavlm_config *w = &s->config.wavlm;
    int widest = 1;

    for (int i = 0; i < w->n_layers; i++)
        widest = w->layer[i].ff > widest ? w->layer[i].ff : widest;
    widest = w->embed * 4 > widest ? w->embed * 4 : widest;
    printf("\n  layer  heads                  feed-forward\n");
    for (int i = 0; i < w->n_layers; i++) {
        const struct layer_shape *layer = &w->layer[i];
        char kept[MAX_HEADS + 1], units[21];
        memset(kept, '.', sizeof(kept));
        for (int h = 0; h < layer->n_heads; h++)
            kept[layer->heads[h]] = '#';
        kept[layer->total_heads] = 0;
        bar(units, 20, (double)layer->ff / widest);
        printf("  %5d  %2d/%-2d %-16s %5d %s\n", i, layer->n_heads, layer->total_heads, kept,
               layer->ff, units);
    }
}

static void print_text(const struct subject *s, const char *name)
{
    const struct wavlm_config *w = &s->config.wavlm;
    const struct readout_config *r = &s->config.readout;

    printf("%s: WavLM of %d layers, %d wide, %s, %s\n", name, w->n_layers, w->embed,
           w->fbank ? "filter banks" : w->group_norm ? "GroupNorm extractor" : "LayerNorm extractor",
           w->norm_first ? "pre-norm" : "post-norm");
    if (r->present)
        printf("  readout       conformer of %d layers, %d wide; %d speakers, %d at once "
               "(%d classes)\n"
               "  windows       %.4g s offline\n", r->n_layers, r->width, r->n_speakers, r->at_once,
               r->n_classes, (double)r->chunk_seconds);
    else
        printf("  readout       none: representations only\n");
    printf("  made for      %s\n",
           s->config.live == LIVE_WINDOW ? "whole windows" : "block-causal streaming");
    printf("  parameters    %.2f M, %.2f M of them the encoder's\n",
           (double)s->cost.parameters / 1e6, (double)s->cost.encoder_parameters / 1e6);
    printf("  sparsity      %.1f %%\n", 100.0 * s->cost.sparsity);
    printf("  MACs          %.3f G per second of audio (encoder %.3f G; upstream's count)\n",
           (double)(s->cost.encoder_macs + s->cost.readout_macs) / 1e9,
           (double)s->cost.encoder_macs / 1e9);
    printf("  live MACs     %.3f G per second of audio, in blocks of %d ms with %g s before\n",
           s->live_macs / 1e9, s->block.block_ms, s->block.left_ms / 1000.0);
    if (s->config.horizon_seconds)
        printf("  statistics    live of the last %d s\n", s->config.horizon_seconds);
    if (w->fbank)
        printf("  filter banks  %d of a frame, %d of each half\n", w->fbank_bins,
               w->fbank_half_bins);
    else
        printf("  convolutions ");
    for (int i = 0; i < w->n_convs; i++)
        printf(" %d%s", w->conv[i].channels, i + 1 < w->n_convs ? "" : "\n");
    if (s->provenance) {
        char text[400]; // whoever wrote the file does not move our cursor
        utf8_name(text, sizeof(text), s->provenance);
        printf("  provenance    %s\n", text);
    }
    print_layers(s);
}

static int print(const struct subject *s, const char *name, int json, struct error *err)
{
    if (json)
        return print_json(s, err);
    print_text(s, name);
    return 0;
}

static int info(const char *name, const struct block_options *block, int json,
                struct error *err)
{
    char *arch = config_arch_json(name, NULL);
    struct subject subject = {.block = *block};
    struct loaded loaded = {0};
    int status;

    if (!strcmp(name, SPEAKER_ARCH))
        return speaker_network_info(NULL, name, json, err);
    if (arch) {
        status = count(&subject, arch, err);
    } else {
        snprintf(loaded.name, sizeof(loaded.name), "%s", name);
        if (load_checkpoint(&loaded.checkpoint, name, err))
            return -1;
        if (resnet_recognize(&loaded.checkpoint)) {
            status = speaker_network_info(&loaded.checkpoint, name, json, err);
            checkpoint_close(&loaded.checkpoint);
            return status;
        }
        status = subject_open(&subject, &loaded, err);
    }
    if (status == 0)
        status = print(&subject, name, json, err);
    free(subject.provenance);
    free(arch);
    return status;
}

int cmd_info(int argc, const char **argv, struct error *err)
{
    struct block_options block = {320, LIVE_UNSAID, 0};
    int json = 0;
    struct reach reach;
    const struct poptOption table[] = {
        {"json", 0, POPT_ARG_NONE, &json, 0, "print one JSON object", NULL},
        {"block", 0, POPT_ARG_INT, &block.block_ms, 0, "audio a step, live [320]", "MS"},
        {"left", 0, POPT_ARG_INT, &block.left_ms, 0, "context before a block [the model's]", "MS"},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped)
            status = STATUS_DONE;
        else if (options_expect(&o, 1, 1, &usage, err) == 0 &&
                 reach_from_options(&reach, &block, err) == 0)
            status = info(o.arguments[0], &block, json, err) ? STATUS_FAILED : STATUS_DONE;
    }
    options_close(&o);
    return status;
}
