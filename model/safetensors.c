// SPDX-License-Identifier: MIT
/* safetensors.c - reading: 8 bytes of length, a JSON header, the data.
 *
 * The header is bounded before it is parsed (json.h). The tensors must cover the data without
 * hole or overlap, as the official reader demands. Data are used in place; a tensor that does
 * not start at a multiple of its element is copied. */
#include "model/checkpoint_read.h"
#include "model/json.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* A model of 10 000 tensors has a header of 2 MB. */
enum { HEADER_MAX_BYTES = 16 << 20, HEADER_MAX_VALUES = 1 << 20, HEADER_MAX_DEPTH = 8 };

#define AGAIN "; the file is damaged or cut short, fetch or make it again"

/* A name that stands there twice is found, and told, as a tensor. */
static const struct json_limits header_limits = {
    "header", AGAIN, HEADER_MAX_BYTES, HEADER_MAX_VALUES, HEADER_MAX_DEPTH, 0,
};

struct header {
    const char *text;
    size_t n;
    const unsigned char *data; // what follows the header
    size_t n_data;
};

/* Where a tensor lies, to find holes and overlaps. */
struct span {
    uint64_t begin, end;
    const char *name;
};

static int header_find(struct header *h, const struct checkpoint_storage *s, struct error *err)
{
    uint64_t n;

    if (s->n_bytes < 10)
        return fail(err, "has %zu bytes; a safetensors file has at least 10" AGAIN, s->n_bytes);
    memcpy(&n, s->bytes, sizeof(n));
    if (n > s->n_bytes - 8)
        return fail(err, "header of %llu bytes does not fit a file of %zu" AGAIN,
                    (unsigned long long)n, s->n_bytes);
    if (n > HEADER_MAX_BYTES)
        return fail(err, "header of %llu bytes; no model needs more than %d" AGAIN,
                    (unsigned long long)n, HEADER_MAX_BYTES);
    h->text = (const char *)s->bytes + 8;
    h->n = (size_t)n;
    h->data = s->bytes + 8 + n;
    h->n_data = s->n_bytes - 8 - h->n;
    if (n < 2 || h->text[0] != '{')
        return fail(err, "header does not begin with '{'" AGAIN);
    return 0;
}

/* A whole number that a double holds exactly. */
static int json_count(const cJSON *v, uint64_t *out)
{
    if (!cJSON_IsNumber(v) || !(v->valuedouble >= 0) || v->valuedouble > 0x1p53)
        return -1;
    *out = (uint64_t)v->valuedouble;
    return (double)*out == v->valuedouble ? 0 : -1;
}

static int entry_dtype(struct tensor *t, const cJSON *v, struct error *err)
{
    if (!cJSON_IsString(v))
        return fail(err, "dtype is not a string" AGAIN);
    if (dtype_from_name(&t->dtype, v->valuestring))
        return fail(err, "dtype %.30s is not known; save it as F32 and try again", v->valuestring);
    return 0;
}

static int entry_shape(struct tensor *t, const cJSON *v, struct error *err)
{
    const cJSON *axis;

    if (!cJSON_IsArray(v))
        return fail(err, "shape is not a list" AGAIN);
    cJSON_ArrayForEach(axis, v) {
        uint64_t size;
        if (t->n_axes == CHECKPOINT_MAX_AXES)
            return fail(err, "has more than %d axes; no model has that many", CHECKPOINT_MAX_AXES);
        if (json_count(axis, &size))
            return fail(err, "size of axis %d is not a whole number" AGAIN, t->n_axes);
        t->size[t->n_axes++] = (int64_t)size;
    }
    return 0;
}

static int entry_offsets(struct span *span, const cJSON *v, const struct header *h,
                         struct error *err)
{
    if (!cJSON_IsArray(v) || cJSON_GetArraySize(v) != 2 || json_count(v->child, &span->begin) ||
        json_count(v->child->next, &span->end))
        return fail(err, "data_offsets are not two whole numbers" AGAIN);
    if (span->begin > span->end || span->end > h->n_data)
        return fail(err, "data at %llu to %llu do not fit the %zu bytes there are" AGAIN,
                    (unsigned long long)span->begin, (unsigned long long)span->end, h->n_data);
    return 0;
}

/* Finds the three fields, each once; unknown ones are left alone. */
static int entry_fields(const cJSON *fields[3], const cJSON *entry, struct error *err)
{
    static const char *const names[3] = {"dtype", "shape", "data_offsets"};
    const cJSON *field;

    if (!cJSON_IsObject(entry))
        return fail(err, "entry is not an object" AGAIN);
    cJSON_ArrayForEach(field, entry) {
        for (int i = 0; i < 3; i++) {
            if (strcmp(field->string, names[i]))
                continue;
            if (fields[i])
                return fail(err, "%s stands there twice" AGAIN, names[i]);
            fields[i] = field;
        }
    }
    for (int i = 0; i < 3; i++) {
        if (!fields[i])
            return fail(err, "%s is missing" AGAIN, names[i]);
    }
    return 0;
}

static int tensor_data(struct checkpoint *c, struct tensor *t, const struct span *span,
                       const struct header *h, struct error *err)
{
    size_t n_bytes = (size_t)(span->end - span->begin), n_element = dtype_bytes(t->dtype);
    int64_t count = shape_count(t->size, t->n_axes, t->dtype);

    if (count < 0)
        return fail(err, "shape is larger than any file" AGAIN);
    if ((uint64_t)count * n_element != n_bytes)
        return fail(err, "shape wants %llu bytes of %s, data_offsets give %zu" AGAIN,
                    (unsigned long long)count * n_element, dtype_name(t->dtype), n_bytes);
    t->data = h->data + span->begin;
    if ((uintptr_t)t->data % n_element == 0)
        return 0;

    void *copy = pool_alloc(&c->storage->pool, n_bytes, 64, err);
    if (!copy)
        return -1;
    if (n_bytes)
        memcpy(copy, t->data, n_bytes);
    t->data = copy;
    return 0;
}

static int read_entry(struct checkpoint *c, struct span *span, const cJSON *entry,
                      const struct header *h, struct error *err)
{
    struct tensor *t = &c->tensors[c->n_tensors];
    const cJSON *fields[3] = {0};

    if (entry_fields(fields, entry, err) || entry_dtype(t, fields[0], err) ||
        entry_shape(t, fields[1], err) || entry_offsets(span, fields[2], h, err) ||
        tensor_data(c, t, span, h, err))
        return fail_prefix(err, "tensor '%.100s': ", entry->string);
    t->name = pool_string(&c->storage->pool, entry->string, strlen(entry->string), err);
    if (!t->name)
        return -1;
    span->name = t->name;
    c->n_tensors++;
    return 0;
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int check_cover(struct span *spans, int n, const struct header *h, struct error *err)
{
    uint64_t at = 0;

    if (n)
        qsort(spans, (size_t)n, sizeof(*spans), compare_spans);
    for (int i = 0; i < n; i++) {
        if (spans[i].begin != at)
            return fail(err, "tensor '%.100s' begins at %llu, but the one before ends at %llu"
                        AGAIN, spans[i].name, (unsigned long long)spans[i].begin,
                        (unsigned long long)at);
        at = spans[i].end;
    }
    if (at != h->n_data)
        return fail(err, "tensors end at %llu, but the data at %zu" AGAIN, (unsigned long long)at,
                    h->n_data);
    return 0;
}

static int read_metadata(struct checkpoint *c, const cJSON *metadata, struct error *err)
{
    const char *format = NULL, *version = NULL, **places[] = {&format, &version, &c->config,
                                                              &c->provenance};
    static const char *const names[] = {"format", "version", "config", "provenance"};
    const cJSON *v;

    if (!cJSON_IsObject(metadata))
        return fail(err, "__metadata__ is not an object" AGAIN);
    cJSON_ArrayForEach(v, metadata) {
        if (!cJSON_IsString(v))
            return fail(err, "__metadata__: '%.60s' is not a string" AGAIN, v->string);
        for (int i = 0; i < 4; i++) {
            if (strcmp(v->string, names[i]))
                continue;
            if (*places[i])
                return fail(err, "__metadata__: '%s' stands there twice" AGAIN, names[i]);
            *places[i] = pool_string(&c->storage->pool, v->valuestring, strlen(v->valuestring),
                                     err);
            if (!*places[i])
                return -1;
        }
    }
    if (!format || strcmp(format, "antiphon")) {
        c->config = c->provenance = NULL; // whatever another tool meant by these words
        return 0;
    }
    if (!version || strcmp(version, "1"))
        return fail(err, "is an antiphon model of version '%.30s', this program reads version 1; "
                    "use a newer antiphon", version ? version : "");
    return 0;
}

static int read_entries(struct checkpoint *c, const cJSON *json, const struct header *h,
                        struct error *err)
{
    size_t n = 0;
    const cJSON *entry, *metadata = NULL;

    if (!cJSON_IsObject(json))
        return fail(err, "header is not a JSON object" AGAIN);
    cJSON_ArrayForEach(entry, json)
        n++;
    struct span *spans = pool_alloc(&c->storage->pool, n * sizeof(*spans), _Alignof(struct span),
                                    err);
    if (!spans || checkpoint_reserve(c, n, err))
        return -1;
    cJSON_ArrayForEach(entry, json) {
        if (strcmp(entry->string, "__metadata__")) {
            if (read_entry(c, &spans[c->n_tensors], entry, h, err))
                return -1;
        } else if (metadata) {
            return fail(err, "__metadata__ stands there twice" AGAIN);
        } else {
            metadata = entry;
        }
    }
    if (metadata && read_metadata(c, metadata, err))
        return -1;
    return check_cover(spans, c->n_tensors, h, err);
}

int safetensors_read(struct checkpoint *c, struct error *err)
{
    struct header h = {0};

    if (header_find(&h, c->storage, err))
        return -1;
    cJSON *json = json_read(h.text, h.n, &header_limits, err);
    if (!json)
        return -1;
    int failed = read_entries(c, json, &h, err);
    cJSON_Delete(json);
    return failed;
}
