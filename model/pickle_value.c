// SPDX-License-Identifier: MIT
/* pickle_value.c - looking into what a pickle held. */
#include "model/pickle.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Configs are flat; and a value that holds itself must end somewhere. */
enum { DEPTH_MAX = 32, JSON_MAX = 1 << 20 };

const struct value *value_get(const struct value *dict, const char *key)
{
    const struct value *found = NULL;
    size_t length = strlen(key);

    if (!dict || dict->type != VALUE_DICT)
        return NULL;
    for (size_t i = 0; i + 1 < dict->sequence.n; i += 2) {
        const struct value *k = dict->sequence.items[i];
        if (k->type == VALUE_STRING && k->string.length == length &&
            !memcmp(k->string.text, key, length))
            found = dict->sequence.items[i + 1]; // as in Python, the last one counts
    }
    return found;
}

static cJSON *to_json(const struct value *v, int depth, int *budget);

static char *text_of(const struct value *v)
{
    char number[24];

    if (v->type == VALUE_STRING)
        return strndup(v->string.text, v->string.length);
    if (v->type != VALUE_INT)
        return NULL;
    snprintf(number, sizeof(number), "%" PRId64, v->integer);
    return strdup(number);
}

static int add_item(cJSON *parent, const struct value *key, const struct value *v, int depth,
                    int *budget)
{
    cJSON *child = to_json(v, depth, budget);
    char *name = key ? text_of(key) : NULL;
    int added = 0;

    if (child && !key)
        added = cJSON_AddItemToArray(parent, child);
    else if (child && name)
        added = cJSON_AddItemToObject(parent, name, child);
    if (!added)
        cJSON_Delete(child);
    free(name);
    return added ? 0 : -1;
}

static cJSON *sequence_json(const struct value *v, int depth, int *budget)
{
    int is_dict = v->type == VALUE_DICT;
    cJSON *json = is_dict ? cJSON_CreateObject() : cJSON_CreateArray();

    for (size_t i = 0; json && i < v->sequence.n; i += is_dict ? 2 : 1) {
        const struct value *key = is_dict ? v->sequence.items[i] : NULL;
        if (add_item(json, key, v->sequence.items[i + (is_dict ? 1 : 0)], depth, budget)) {
            cJSON_Delete(json);
            json = NULL;
        }
    }
    return json;
}

static cJSON *to_json(const struct value *v, int depth, int *budget)
{
    char number[24];
    char *text;
    cJSON *json = NULL;

    if (depth > DEPTH_MAX || --*budget < 0)
        return NULL;
    switch (v->type) {
    case VALUE_NONE: return cJSON_CreateNull();
    case VALUE_BOOL: return cJSON_CreateBool(v->integer != 0);
    case VALUE_FLOAT: return cJSON_CreateNumber(v->real);
    case VALUE_INT:
        snprintf(number, sizeof(number), "%" PRId64, v->integer);
        return cJSON_CreateRaw(number); // a double could not hold them all
    case VALUE_STRING:
        text = text_of(v);
        json = text ? cJSON_CreateString(text) : NULL;
        free(text);
        return json;
    case VALUE_TUPLE:
    case VALUE_LIST:
    case VALUE_DICT: return sequence_json(v, depth + 1, budget);
    case VALUE_GLOBAL:
    case VALUE_STORAGE:
    case VALUE_TENSOR: break;
    }
    return NULL;
}

char *value_json(const struct value *v, struct error *err)
{
    int budget = JSON_MAX;
    cJSON *json = to_json(v, 0, &budget);
    char *text = json ? cJSON_PrintUnformatted(json) : NULL;

    cJSON_Delete(json);
    if (!text)
        fail(err, "its config is not plain data");
    return text;
}
