// SPDX-License-Identifier: MIT
/* pickle_json.c - plain values as JSON text.
 *
 * Values may be shared and may contain themselves, so the depth is bounded
 * here and the length by the text's limit. */
#include "model/pickle.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Upstream's configs are 3 deep and have 40 keys. */
enum { MAX_DEPTH = 32, MAX_KEYS = 1024 };

const struct pickle_value *pickle_get(const struct pickle_value *dict, const char *key)
{
    if (dict->kind != PICKLE_DICT)
        return NULL;
    for (size_t i = dict->items.n; i >= 2; i -= 2) {
        const struct pickle_value *k = dict->items.at[i - 2];
        if (k->kind == PICKLE_STRING && !strcmp(k->string.bytes, key))
            return dict->items.at[i - 1];
    }
    return NULL;
}

static int write_value(struct text *t, const struct pickle_value *v, int depth, struct error *err);

static int write_list(struct text *t, const struct pickle_value *v, int depth, struct error *err)
{
    text_puts(t, "[");
    for (size_t i = 0; i < v->items.n && !t->failed; i++) {
        if (i)
            text_puts(t, ",");
        if (write_value(t, v->items.at[i], depth + 1, err))
            return -1;
    }
    text_puts(t, "]");
    return 0;
}

static int write_key(struct text *t, const struct pickle_value *key, struct error *err)
{
    if (key->kind == PICKLE_STRING)
        text_json_string(t, key->string.bytes, key->string.n);
    else if (key->kind == PICKLE_INT)
        text_printf(t, "\"%lld\"", (long long)key->integer);
    else
        return fail(err, "has a key that is neither string nor integer; save a plainer config");
    return 0;
}

/* Equal as JSON has them: the integer 7 and the string "7" are. */
static int same_key(const struct pickle_value *a, const struct pickle_value *b)
{
    char digits[24];

    if (a->kind == PICKLE_STRING && b->kind == PICKLE_STRING)
        return !strcmp(a->string.bytes, b->string.bytes);
    if (a->kind == PICKLE_INT && b->kind == PICKLE_INT)
        return a->integer == b->integer;
    if (a->kind == PICKLE_INT && b->kind == PICKLE_STRING) {
        snprintf(digits, sizeof(digits), "%lld", (long long)a->integer);
        return !strcmp(digits, b->string.bytes);
    }
    return a->kind == PICKLE_STRING && b->kind == PICKLE_INT && same_key(b, a);
}

/* In Python the last of equal keys counts; here there is no reason for any. */
static int check_keys(const struct pickle_value *dict, struct error *err)
{
    if (dict->items.n / 2 > MAX_KEYS)
        return fail(err, "has a dictionary of %zu keys; at most %d are read", dict->items.n / 2,
                    MAX_KEYS);
    for (size_t i = 0; i < dict->items.n; i += 2) {
        for (size_t k = 0; k < i; k += 2) {
            if (same_key(dict->items.at[i], dict->items.at[k]))
                return fail(err, "has a key twice; the file is damaged or made by a faulty tool");
        }
    }
    return 0;
}

static int write_dict(struct text *t, const struct pickle_value *v, int depth, struct error *err)
{
    if (check_keys(v, err))
        return -1;
    text_puts(t, "{");
    for (size_t i = 0; i < v->items.n && !t->failed; i += 2) {
        if (i)
            text_puts(t, ",");
        if (write_key(t, v->items.at[i], err))
            return -1;
        text_puts(t, ":");
        if (write_value(t, v->items.at[i + 1], depth + 1, err))
            return -1;
    }
    text_puts(t, "}");
    return 0;
}

static int write_value(struct text *t, const struct pickle_value *v, int depth, struct error *err)
{
    if (depth > MAX_DEPTH)
        return fail(err, "is nested deeper than %d; save a plainer config", MAX_DEPTH);
    switch (v->kind) {
    case PICKLE_NONE: text_puts(t, "null"); return 0;
    case PICKLE_BOOL: text_puts(t, v->integer ? "true" : "false"); return 0;
    case PICKLE_INT: text_printf(t, "%lld", (long long)v->integer); return 0;
    case PICKLE_STRING: text_json_string(t, v->string.bytes, v->string.n); return 0;
    case PICKLE_TUPLE:
    case PICKLE_LIST: return write_list(t, v, depth, err);
    case PICKLE_DICT: return write_dict(t, v, depth, err);
    case PICKLE_FLOAT:
        if (!isfinite(v->real))
            return fail(err, "has a number that is not finite; save a plainer config");
        text_json_double(t, v->real);
        return 0;
    case PICKLE_FOREIGN: return pickle_fail_foreign(v, err);
    case PICKLE_NAME:
    case PICKLE_STORAGE:
    case PICKLE_TENSOR: break;
    }
    return fail(err, "holds more than plain values; save a plainer config");
}

int pickle_to_json(struct text *t, const struct pickle_value *v, struct error *err)
{
    if (write_value(t, v, 0, err))
        return -1;
    return text_check(t, "its JSON text", err);
}
