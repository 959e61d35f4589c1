// SPDX-License-Identifier: MIT
/* cmd_convert.c - `convert`: a model from any of the layouts to any other.
 *
 * The source is opened as a model first, so that nothing is written that would
 * not run: every tensor is there, has its shape and is finite. */
#include "cli/command.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/speaker_network.h"
#include "model/export.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct usage usage = {
    "SRC",
    "Writes the model SRC in another layout. SRC is an antiphon model, a torch checkpoint\n"
    "({\"config\", \"state_dict\"} as torch.save leaves it), a Hugging Face WavLM folder\n"
    "(config.json and weights), a DiariZen folder (config.toml and pytorch_model.bin), or\n"
    "the name of an architecture, which gets random weights, to measure with. A speaker\n"
    "network is converted as well: WeSpeaker's ResNet34, as pyannote ships it\n"
    "(pytorch_model.bin), to an antiphon file.\n\n"
    "  --to antiphon   one safetensors file with everything; used in place when opened\n"
    "  --to torch      what DiariZen loads: a checkpoint, or for a diarization model and\n"
    "                  -o FOLDER/ its folder\n"
    "  --to hf         the encoder as transformers loads it: a folder; dense models only\n\n"
    "--dtype bf16 or f16 keeps the weights in two bytes instead of four; they are float32\n"
    "again in memory. A model that comes from upstream is marked as made for whole windows.\n"
    "--left says how much context live blocks have unless `stream` is told otherwise, --horizon\n"
    "how long their running statistics remember, and --chunk how long the windows of `diarize`\n"
    "are.\n\n"
    "  antiphon convert wavlm-large/ -o wavlm-large.safetensors\n"
    "  antiphon convert pruned.safetensors --to torch -o for-diarizen/",
};

struct request {
    const char *source, *output, *to;
    enum dtype dtype;
    int left_ms, horizon_seconds; // or LIVE_UNSAID
    double chunk_seconds; // or NAN
};

static int marks(const struct request *r)
{
    return r->left_ms != LIVE_UNSAID || r->horizon_seconds != LIVE_UNSAID ||
           !isnan(r->chunk_seconds);
}

static void mark(cJSON *object, const char *name, double value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    cJSON_AddNumberToObject(object, name, value);
}

/* The config with the marks that say how the model wants to run live. */
static char *marked_config(const struct request *r, const char *config, int is_own)
{
    cJSON *root = cJSON_Parse(config);
    cJSON *readout = cJSON_GetObjectItemCaseSensitive(root, "readout");
    char *text;

    if (!is_own && !cJSON_GetObjectItemCaseSensitive(root, "live"))
        cJSON_AddStringToObject(root, "live", "window");
    if (r->left_ms != LIVE_UNSAID)
        mark(root, "left_ms", r->left_ms);
    if (r->horizon_seconds != LIVE_UNSAID)
        mark(root, "horizon_seconds", r->horizon_seconds);
    if (readout && !isnan(r->chunk_seconds))
        mark(readout, "chunk_size", r->chunk_seconds);
    text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

static int write_antiphon(const struct request *r, const struct export *e, const struct loaded *l,
                          struct error *err)
{
    /* Only our own files carry a provenance. */
    const char *provenance = l->checkpoint.provenance;
    int same = provenance && !marks(r);
    char *config = same ? strdup(e->config) : marked_config(r, e->config, provenance != NULL);
    char converted[400];
    int status;

    snprintf(converted, sizeof(converted), "converted from %s", l->name);
    if (!config)
        return fail(err, "out of memory");
    status = export_antiphon(e, r->output, config, provenance ? provenance : converted, err);
    free(config);
    return status;
}

static int write_model(const struct request *r, const struct loaded *l, struct error *err)
{
    const char *left_out = NULL;
    struct export e;
    int status;

    if (export_open(&e, &l->model, &l->checkpoint, r->dtype, err))
        return fail_prefix(err, "%s: ", l->name);
    if (!strcmp(r->to, "torch"))
        status = export_torch(&e, r->output, &left_out, err);
    else if (!strcmp(r->to, "hf"))
        status = export_hf(&e, r->output, &left_out, err);
    else
        status = write_antiphon(r, &e, l, err);
    if (status == 0)
        fprintf(stderr, "%s: %d tensors\n", r->output, l->model.n_params);
    if (status == 0 && left_out)
        fprintf(stderr, "%s: left out: %s\n", r->output, left_out);
    export_close(&e);
    return status;
}

static int convert_network(const struct request *r, const struct checkpoint *c, struct error *err)
{
    if (strcmp(r->to, "antiphon") || r->dtype != DTYPE_F32)
        return fail(err, "%s: is a speaker network, which is only written as antiphon, f32",
                    r->source);
    return speaker_network_convert(c, r->source, r->output, err);
}

/* Random weights of a named architecture. */
static int convert_arch(const struct request *r, char *config, struct error *err)
{
    struct reach reach = reach_defaults();
    struct loaded loaded;

    if (load_model(&loaded, NULL, r->source, &reach, err))
        return -1;
    loaded.checkpoint.config = config;
    int status = write_model(r, &loaded, err);
    unload_model(&loaded);
    return status;
}

static int convert(const struct request *r, struct error *err)
{
    struct reach reach = reach_defaults();
    struct loaded loaded = {0};
    int status;

    snprintf(loaded.name, sizeof(loaded.name), "%s", r->source);
    if (load_checkpoint(&loaded.checkpoint, r->source, err))
        return -1;
    if (resnet_recognize(&loaded.checkpoint)) {
        status = convert_network(r, &loaded.checkpoint, err);
        checkpoint_close(&loaded.checkpoint);
        return status;
    }
    if (load_bind(&loaded, &reach, err))
        return -1;
    status = write_model(r, &loaded, err);
    unload_model(&loaded);
    return status;
}

static int check_marks(const struct request *r, struct error *err)
{
    const struct block_options block = {320, r->left_ms, 0};
    struct reach reach;

    if (marks(r) && strcmp(r->to, "antiphon"))
        return fail(err, "--left, --horizon and --chunk go with --to antiphon");
    if (r->horizon_seconds != LIVE_UNSAID && horizon_check(r->horizon_seconds, err))
        return -1;
    if (!isnan(r->chunk_seconds) && !(r->chunk_seconds >= 1.0 && r->chunk_seconds <= 60.0))
        return fail(err, "--chunk: windows of %.3g s: expected 1 to 60", r->chunk_seconds);
    return reach_from_options(&reach, &block, err);
}

static int parse_request(struct request *r, const char *dtype, struct error *err)
{
    static const struct {
        const char *name;
        enum dtype dtype;
    } dtypes[] = {{"f32", DTYPE_F32}, {"f16", DTYPE_F16}, {"bf16", DTYPE_BF16}};

    if (strcmp(r->to, "antiphon") && strcmp(r->to, "torch") && strcmp(r->to, "hf"))
        return fail(err, "--to %s: the only formats written are antiphon, torch and hf", r->to);
    for (int i = 0; i < 3; i++) {
        if (!strcmp(dtype, dtypes[i].name)) {
            r->dtype = dtypes[i].dtype;
            return !r->output ? fail(err, "where to? say -o FILE") : check_marks(r, err);
        }
    }
    return fail(err, "--dtype %s: expected f32, f16 or bf16", dtype);
}

int cmd_convert(int argc, const char **argv, struct error *err)
{
    const char *dtype = "f32";
    struct request r = {.to = "antiphon", .left_ms = LIVE_UNSAID,
                        .horizon_seconds = LIVE_UNSAID, .chunk_seconds = NAN};
    const struct poptOption table[] = {
        {"output", 'o', POPT_ARG_STRING, &r.output, 0, "write the model here", "FILE|FOLDER"},
        {"to", 0, POPT_ARG_STRING, &r.to, 0, "format: antiphon, torch or hf [antiphon]",
         "FORMAT"},
        {"left", 0, POPT_ARG_INT, &r.left_ms, 0,
         "context before a live block, unless told otherwise [as it was]", "MS"},
        {"horizon", 0, POPT_ARG_INT, &r.horizon_seconds, 0,
         "memory of its running statistics, 0: for ever, likewise [as it was]", "SEC"},
        {"chunk", 0, POPT_ARG_DOUBLE, &r.chunk_seconds, 0,
         "windows of `diarize`, unless told otherwise [as long as those it was trained on]", "SEC"},
        {"dtype", 0, POPT_ARG_STRING, &dtype, 0, "weights as f32, f16 or bf16 [f32]", "TYPE"},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped) {
            status = STATUS_DONE;
        } else if (options_expect(&o, 1, 1, &usage, err) == 0 &&
                   parse_request(&r, dtype, err) == 0) {
            r.source = o.arguments[0];
            char *arch = access(r.source, F_OK) ? config_arch_json(r.source, NULL) : NULL;
            status = (arch ? convert_arch(&r, arch, err) : convert(&r, err)) ? STATUS_FAILED
                                                                             : STATUS_DONE;
            free(arch);
        }
    }
    options_close(&o);
    return status;
}
