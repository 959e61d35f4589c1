// SPDX-License-Identifier: MIT
#include "model/json.h"

#include "model/text.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int scan(const char *text, size_t n, const struct json_limits *l, struct error *err)
{
    int in_string = 0, depth = 0, n_values = 0;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if ((unsigned char)c < 0x20 && (in_string || !strchr("\t\n\r", c) || !c))
            return fail(err, "%s has a control character at byte %zu%s", l->what, i, l->advice);
        if (in_string) {
            if (c == '\\' && n - i > 5 && !memcmp(text + i, "\\u0000", 6))
                return fail(err, "%s has a zero character in a name%s", l->what, l->advice);
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
        n_values += !in_string && (c == ',' || c == '{' || c == '[');
        if (depth > l->depth)
            return fail(err, "%s is nested deeper than %d%s", l->what, l->depth, l->advice);
        if (n_values > l->n_values)
            return fail(err, "%s has more than %d values%s", l->what, l->n_values, l->advice);
    }
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_object(const cJSON *object, const struct json_limits *l, struct error *err)
{
    size_t n = 0, at = 0;
    const cJSON *item;
    int status = 0;

    cJSON_ArrayForEach(item, object)
        n++;
    const char **keys = malloc((n + 1) * sizeof(*keys));
    if (!keys)
        return fail(err, "out of memory for the %s; close other programs", l->what);
    cJSON_ArrayForEach(item, object)
        keys[at++] = item->string;
    qsort(keys, n, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < n && status == 0; i++) {
        if (!strcmp(keys[i - 1], keys[i]))
            status = fail(err, "%s: \"%.60s\" stands there twice%s", l->what, keys[i], l->advice);
    }
    free(keys);
    return status;
}

/* As deep as the text was allowed to be. */
static int check_unique(const cJSON *json, const struct json_limits *l, struct error *err)
{
    const cJSON *item;

    if (cJSON_IsObject(json) && check_object(json, l, err))
        return -1;
    cJSON_ArrayForEach(item, json) {
        if (item->child && check_unique(item, l, err))
            return -1;
    }
    return 0;
}

static int check_end(const char *at, const char *end, const struct json_limits *l,
                     struct error *err)
{
    for (; at < end; at++) {
        if (!strchr(" \t\n\r", *at))
            return fail(err, "%s has something after its JSON%s", l->what, l->advice);
    }
    return 0;
}

cJSON *json_read(const char *text, size_t n, const struct json_limits *l, struct error *err)
{
    const char *end = NULL;

    if (n > l->n_bytes) {
        fail(err, "%s of %zu bytes; at most %zu are read%s", l->what, n, l->n_bytes, l->advice);
        return NULL;
    }
    if (!utf8_valid(text, n)) {
        fail(err, "%s is not UTF-8%s", l->what, l->advice);
        return NULL;
    }
    if (scan(text, n, l, err))
        return NULL;
    errno = 0; // cJSON does not say why, but malloc does
    cJSON *json = cJSON_ParseWithLengthOpts(text, n, &end, 0);
    if (!json) {
        if (errno == ENOMEM)
            fail(err, "out of memory for the %s; close other programs", l->what);
        else
            fail(err, "%s is not JSON%s", l->what, l->advice);
        return NULL;
    }
    if (check_end(end, text + n, l, err) || (l->unique && check_unique(json, l, err))) {
        cJSON_Delete(json);
        return NULL;
    }
    return json;
}

void json_add(cJSON *array, cJSON *item)
{
    if (!cJSON_AddItemToArray(array, item))
        cJSON_Delete(item);
}
