// SPDX-License-Identifier: MIT
/* diarizen.c - a DiariZen model's folder: config.toml and pytorch_model.bin.
 *
 * inih finds the lines of [model.args]; their values are the few that TOML and
 * JSON have in common, and what is neither is refused. All else in the file is
 * the trainer's and is not looked at, but for what convert said of our own. The WavLM's shape is what wavlm_src
 * names: one of upstream's own, or a checkpoint, of which only the config
 * counts; the weights are in pytorch_model.bin. */
#include "model/folder.h"

#include "model/config.h"
#include "model/text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

const char *const diarizen_shapes[DIARIZEN_SHAPES][2] = {
    {"wavlm_base", "base"},
    {"wavlm_large", "large"},
    {"wavlm_base_s80_md", "base-s80"},
    {"wavlm_large_s80_md", "large-s80"},
};

enum { MAX_ARGUMENTS = 64 };

/* What upstream's Model takes for an argument that is not there. */
static const char defaults[] =
    "{\"wavlm_layer_num\":13,\"wavlm_feat_dim\":768,\"attention_in\":256,\"ffn_hidden\":1024,"
    "\"num_head\":4,\"num_layer\":4,\"kernel_size\":31,\"dropout\":0.1,\"use_posi\":false,"
    "\"output_activate_function\":false,\"max_speakers_per_chunk\":4,"
    "\"max_speakers_per_frame\":2,\"chunk_size\":5}";

static const struct json_limits config_limits = {"its config", "", 1 << 20, 1 << 16, 16, 1};

/* --- config.toml ------------------------------------------------------ */

struct toml {
    const char *at;     // what is left of the text
    int line;           // of the one that was read last
    int is_arguments;   // it is in [model.args]
    int is_own;         // it is in [antiphon], which convert writes
    int is_expected;    // it should have come to the handler
    cJSON *arguments;
    struct error *err;  // filled if failed
    int n_sections, failed;
};

/* Whether the line before was what inih takes for a key and its value. */
static int check_line(struct toml *toml)
{
    if (!toml->failed && toml->is_expected)
        toml->failed = fail(toml->err, "line %d: is no \"name = value\"", toml->line);
    return toml->failed;
}

/* One line for inih, without the blanks before it, which would continue the line before.
 * inih's lines are short: the rest of a longer one is left out, so that its value is
 * incomplete and refused. */
static char *next_line(char *line, int size, void *stream)
{
    struct toml *toml = stream;

    if (check_line(toml) || !*toml->at)
        return NULL;
    toml->at += strspn(toml->at, " \t");
    size_t n = strcspn(toml->at, "\n"), kept = n < (size_t)size - 1 ? n : (size_t)size - 1;
    memcpy(line, toml->at, kept);
    line[kept] = 0;
    toml->at += n + (toml->at[n] == '\n');
    toml->line++;
    if (*line == '[') {
        toml->is_arguments = !strncmp(line, "[model.args]", strlen("[model.args]"));
        toml->is_own = !strncmp(line, "[antiphon]", strlen("[antiphon]"));
        toml->n_sections += toml->is_arguments;
    } else {
        toml->is_expected = toml->is_arguments && !strchr("#;\r", *line);
    }
    return line;
}

/* 'text', in which nothing is escaped. */
static cJSON *read_literal(const char *value, const char **end)
{
    size_t n = strcspn(value + 1, "'");
    char text[256];

    if (value[1 + n] != '\'' || n >= sizeof(text))
        return NULL;
    memcpy(text, value + 1, n);
    text[n] = 0;
    *end = value + n + 2;
    return cJSON_CreateString(text);
}

static cJSON *read_value(const char *value, struct error *err)
{
    const char *end = NULL;
    cJSON *json;

    errno = 0; // cJSON does not say why, but malloc does
    json = *value == '\'' ? read_literal(value, &end) :
           cJSON_ParseWithLengthOpts(value, strlen(value), &end, 0);
    if (json) {
        end += strspn(end, " \t\r");
        if (!*end || *end == '#')
            return json;
        cJSON_Delete(json);
    }
    if (errno == ENOMEM)
        fail(err, "out of memory; close other programs");
    else
        fail(err, "value %.60s is not understood; expected a number, \"text\", true or false",
             value);
    return NULL;
}

static int refuse(struct toml *toml, const char *name)
{
    toml->failed = fail_prefix(toml->err, "line %d: \"%.60s\": ", toml->line, name);
    return 0;
}

/* Beside "live": how a model of ours wants to run. */
enum { N_MARKS = 2 };
static const char *const marks[N_MARKS] = {"left_ms", "horizon_seconds"};

static int is_our_key(const char *name)
{
    for (int i = 0; i < N_MARKS; i++) {
        if (!strcmp(name, marks[i]))
            return 1;
    }
    return !strcmp(name, "live");
}

/* inih's handler: a key and its value. */
static int take_argument(void *user, const char *section, const char *name, const char *value)
{
    struct toml *toml = user;
    cJSON *json;

    if ((!toml->is_arguments && !(toml->is_own && is_our_key(name))) || toml->failed)
        return 1;
    toml->is_expected = 0;
    if (cJSON_GetObjectItemCaseSensitive(toml->arguments, name))
        fail(toml->err, "stands there twice");
    else if (cJSON_GetArraySize(toml->arguments) == MAX_ARGUMENTS)
        fail(toml->err, "is one argument too many; upstream has 16");
    else if (!utf8_valid(name, strlen(name)) || !utf8_valid(value, strlen(value)))
        fail(toml->err, "is no UTF-8");
    else if ((json = read_value(value, toml->err)) != NULL) {
        if (!cJSON_IsArray(json) && !cJSON_IsObject(json) && !cJSON_IsNull(json) &&
            cJSON_AddItemToObject(toml->arguments, name, json))
            return 1;
        cJSON_Delete(json);
        fail(toml->err, errno == ENOMEM ? "out of memory; close other programs" :
             "should be a number, \"text\", true or false");
    }
    return refuse(toml, name);
}

int diarizen_arguments(cJSON *arguments, const char *text, struct error *err)
{
    struct toml toml = {.at = text, .arguments = arguments, .err = err};

    if (!arguments)
        return fail(err, "out of memory; close other programs");
    ini_parse_stream(next_line, &toml, take_argument, &toml); // what it returns is not needed
    if (toml.failed)
        return -1;
    if (toml.n_sections != 1)
        return fail(err, "has %s [model.args]; expected a DiariZen model's config",
                    toml.n_sections ? "more than one" : "no");
    return 0;
}

/* What is not there gets upstream's default. */
static int fill_arguments(cJSON *arguments, struct error *err)
{
    cJSON *all = cJSON_Parse(defaults), *item;
    int failed = !all;

    while (!failed && (item = all->child) != NULL) {
        cJSON_DetachItemViaPointer(all, item);
        if (cJSON_GetObjectItemCaseSensitive(arguments, item->string))
            cJSON_Delete(item);
        else
            cJSON_AddItemToArray(arguments, item); // keeps its name
    }
    cJSON_Delete(all);
    return failed ? fail(err, "out of memory; close other programs") : 0;
}

/* --- the WavLM's shape ------------------------------------------------- */

static int is_shape(const char *source)
{
    for (int i = 0; i < DIARIZEN_SHAPES; i++) {
        if (!strcmp(diarizen_shapes[i][0], source))
            return i;
    }
    return -1;
}

/* The wavlm section of a config, as text to be freed. */
static char *wavlm_section(const char *config, struct error *err)
{
    cJSON *json = json_read(config, strlen(config), &config_limits, err);
    const cJSON *wavlm = cJSON_GetObjectItemCaseSensitive(json, "wavlm");
    char *text = NULL;

    if (json && !cJSON_IsObject(wavlm))
        fail(err, "its config has no \"wavlm\" section");
    else if (json && (text = cJSON_PrintUnformatted(wavlm)) == NULL)
        fail(err, "out of memory; close other programs");
    cJSON_Delete(json);
    return text;
}

/* wavlm_src as a checkpoint: a path, from the folder unless absolute. */
static char *shape_of_file(const char *folder, const char *source, struct error *err)
{
    char *path = *source == '/' ? strdup(source) : folder_path(folder, source, err), *text = NULL;
    struct checkpoint c;

    if (!path) {
        fail(err, "out of memory; close other programs");
    } else if (checkpoint_open_file(&c, path, err)) {
        fail_prefix(err, "wavlm_src, which is neither wavlm_base, wavlm_large, wavlm_base_s80_md "
                         "nor wavlm_large_s80_md: ");
    } else {
        if (!c.config)
            fail(err, "has no config of a WavLM");
        else
            text = wavlm_section(c.config, err);
        if (!text)
            fail_prefix(err, "wavlm_src: %.200s: ", path);
        checkpoint_close(&c);
    }
    free(path);
    return text;
}

static char *read_shape(const char *folder, const cJSON *arguments, struct error *err)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(arguments, "wavlm_src");
    const char *source = cJSON_GetStringValue(item);
    char *text, *json;

    if (!source || !*source) {
        fail(err, "[model.args] names no wavlm_src; expected wavlm_base, wavlm_large, "
                  "wavlm_base_s80_md, wavlm_large_s80_md or a WavLM checkpoint");
        return NULL;
    }
    if (is_shape(source) < 0)
        return shape_of_file(folder, source, err);
    json = config_arch_json(diarizen_shapes[is_shape(source)][1], err);
    text = json ? wavlm_section(json, err) : NULL;
    free(json);
    return text;
}

/* --- the whole -------------------------------------------------------- */

/* Losses and metrics that upstream's trainer may have saved along. */
static void drop_training(struct checkpoint *c)
{
    int n = 0;

    for (int i = 0; i < c->n_tensors; i++) {
        const char *name = c->tensors[i].name;
        if (strncmp(name, "loss_func.", 10) && strncmp(name, "validation_metric.", 18))
            c->tensors[n++] = c->tensors[i];
    }
    c->n_tensors = n;
}

/* Takes the marks out: members of an object, NULL without any; to be freed. */
static char *take_marks(int *failed, cJSON *arguments, struct error *err)
{
    cJSON *own = cJSON_CreateObject();
    char *text = NULL;

    for (int i = 0; own && i < N_MARKS; i++) {
        cJSON *mark = cJSON_DetachItemFromObjectCaseSensitive(arguments, marks[i]);
        if (mark)
            cJSON_AddItemToObject(own, marks[i], mark);
    }
    if (own && cJSON_GetArraySize(own) && (text = cJSON_PrintUnformatted(own)) != NULL) {
        size_t n = strlen(text);
        memmove(text, text + 1, n - 2); // without the braces
        text[n - 2] = '\0';
    }
    *failed = !own || (cJSON_GetArraySize(own) && !text);
    if (*failed)
        fail(err, "out of memory; close other programs");
    cJSON_Delete(own);
    return text;
}

static int take_config(struct checkpoint *c, const char *folder, const char *text,
                       struct error *err)
{
    cJSON *arguments = cJSON_CreateObject(), *live = NULL;
    char *wavlm = NULL, *readout = NULL, *own = NULL;
    int failed = diarizen_arguments(arguments, text, err) || fill_arguments(arguments, err);

    if (!failed)
        own = take_marks(&failed, arguments, err);
    if (!failed) {
        live = cJSON_DetachItemFromObjectCaseSensitive(arguments, "live");
        wavlm = read_shape(folder, arguments, err);
        readout = wavlm ? cJSON_PrintUnformatted(arguments) : NULL;
        if (wavlm && !readout)
            fail(err, "out of memory; close other programs");
        failed = !readout ||
                 folder_config(c, wavlm, readout,
                               cJSON_IsString(live) ? live->valuestring : "window", own, err);
    }
    free(own);
    free(readout);
    free(wavlm);
    cJSON_Delete(live);
    cJSON_Delete(arguments);
    return failed ? fail_prefix(err, "%.300s/config.toml: ", folder) : 0;
}

int diarizen_read(struct checkpoint *c, const char *folder, struct error *err)
{
    size_t n;
    char *text = folder_text(&n, folder, "config.toml", err);
    int failed = !text || take_config(c, folder, text, err) || folder_weights(c, folder, err);

    free(text);
    if (failed)
        return -1;
    drop_training(c);
    return 0;
}
