// SPDX-License-Identifier: MIT
/* safetensors.c - the format: 8 bytes length n, n bytes JSON, data.
 *
 * {"name": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, ..,
 *  "__metadata__": {"key": "text"}}; offsets count from the data's first byte. */
#include "model/output_file.h"
#include "model/storage.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 100 << 20, TENSORS_MAX = 1 << 20 };

static const char *const dtype_names[] = {
    [DTYPE_F32] = "F32", [DTYPE_F64] = "F64", [DTYPE_F16] = "F16", [DTYPE_BF16] = "BF16",
    [DTYPE_I64] = "I64", [DTYPE_I32] = "I32", [DTYPE_I16] = "I16", [DTYPE_I8] = "I8",
    [DTYPE_U8] = "U8",   [DTYPE_BOOL] = "BOOL",
};

static int dtype_parse(enum dtype *dtype, const char *name)
{
    for (size_t i = 0; i < sizeof(dtype_names) / sizeof(*dtype_names); i++) {
        if (!strcmp(dtype_names[i], name)) {
            *dtype = (enum dtype)i;
            return 0;
        }
    }
    return -1;
}

/* A whole number from 0 to 2^53, as JSON can carry it. */
static int get_size(uint64_t *dst, const cJSON *item)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0.0 && item->valuedouble <= 0x1p53) ||
        item->valuedouble != floor(item->valuedouble))
        return -1;
    *dst = (uint64_t)item->valuedouble;
    return 0;
}

static int parse_shape(struct tensor *t, uint64_t *bytes, const cJSON *shape, struct error *err)
{
    const cJSON *item;

    if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > CHECKPOINT_MAX_AXES)
        return fail(err, "tensor %.150s: its shape should be a list of at most %d sizes", t->name,
                    CHECKPOINT_MAX_AXES);
    *bytes = dtype_bytes(t->dtype);
    cJSON_ArrayForEach(item, shape)
    {
        uint64_t size;
        if (get_size(&size, item) || (size > 0 && *bytes > (UINT64_MAX >> 1) / size))
            return fail(err, "tensor %.150s: axis %d has an impossible size", t->name, t->n_axes);
        t->size[t->n_axes++] = (int64_t)size;
        *bytes *= size;
    }
    return 0;
}

/* Where a tensor's bytes lie; begin and end are kept to look for overlaps. */
struct range {
    uint64_t begin, end;
    const char *name;
};

static int parse_tensor(struct tensor *t, struct range *range, const cJSON *item,
                        struct checkpoint_storage *s, const unsigned char *data, size_t n_data,
                        struct error *err)
{
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    uint64_t bytes = 0;

    t->name = storage_text(s, item->string, strlen(item->string));
    if (!t->name)
        return fail(err, "out of memory");
    range->name = t->name;
    if (!cJSON_IsString(dtype) || dtype_parse(&t->dtype, dtype->valuestring))
        return fail(err, "tensor %.150s: unknown dtype \"%.20s\"", t->name,
                    cJSON_IsString(dtype) ? dtype->valuestring : "");
    if (parse_shape(t, &bytes, cJSON_GetObjectItemCaseSensitive(item, "shape"), err))
        return -1;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        get_size(&range->begin, cJSON_GetArrayItem(offsets, 0)) ||
        get_size(&range->end, cJSON_GetArrayItem(offsets, 1)))
        return fail(err, "tensor %.150s: data_offsets should be two sizes", t->name);
    if (range->begin > range->end || range->end > n_data)
        return fail(err, "tensor %.150s: bytes %llu to %llu are outside the file (%zu bytes of "
                         "data): cut short or damaged", t->name,
                    (unsigned long long)range->begin, (unsigned long long)range->end, n_data);
    if (range->end - range->begin != bytes)
        return fail(err, "tensor %.150s: its shape needs %llu bytes, the file holds %llu", t->name,
                    (unsigned long long)bytes, (unsigned long long)(range->end - range->begin));
    t->data = data + range->begin;
    if ((uintptr_t)t->data % dtype_bytes(t->dtype) == 0)
        return 0;
    void *copy = storage_alloc(s, bytes); // written by somebody who did not align
    if (!copy)
        return fail(err, "out of memory");
    memcpy(copy, t->data, bytes);
    t->data = copy;
    return 0;
}

static int compare_ranges(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    return x->begin != y->begin ? (x->begin > y->begin) - (x->begin < y->begin)
                                : (x->end > y->end) - (x->end < y->end);
}

static int refuse_overlaps(struct range *ranges, int n, struct error *err)
{
    if (n > 1)
        qsort(ranges, (size_t)n, sizeof(*ranges), compare_ranges);
    for (int i = 1; i < n; i++) {
        if (ranges[i].begin < ranges[i - 1].end)
            return fail(err, "tensors %.100s and %.100s overlap", ranges[i - 1].name,
                        ranges[i].name);
    }
    return 0;
}

static int parse_metadata(struct checkpoint *c, const cJSON *metadata, struct error *err)
{
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(metadata, "config");
    const cJSON *provenance = cJSON_GetObjectItemCaseSensitive(metadata, "provenance");
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(metadata, "version");

    if (cJSON_IsString(version) && strcmp(version->valuestring, "1"))
        return fail(err, "format version \"%.20s\"; this program reads version 1",
                    version->valuestring);
    if (cJSON_IsString(config))
        c->config = storage_text(c->storage, config->valuestring, strlen(config->valuestring));
    if (cJSON_IsString(provenance))
        c->provenance =
            storage_text(c->storage, provenance->valuestring, strlen(provenance->valuestring));
    if ((cJSON_IsString(config) && !c->config) || (cJSON_IsString(provenance) && !c->provenance))
        return fail(err, "out of memory");
    return 0;
}

static int parse_header(struct checkpoint *c, struct range *ranges, const cJSON *header,
                        const unsigned char *data, size_t n_data, struct error *err)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, header)
    {
        if (!strcmp(item->string, "__metadata__")) {
            if (parse_metadata(c, item, err))
                return -1;
            continue;
        }
        if (!cJSON_IsObject(item))
            return fail(err, "tensor %.150s: not described by an object", item->string);
        if (parse_tensor(&c->tensors[c->n_tensors], &ranges[c->n_tensors], item, c->storage, data,
                         n_data, err))
            return -1;
        c->n_tensors++;
    }
    return refuse_overlaps(ranges, c->n_tensors, err) || checkpoint_sort(c, err) ? -1 : 0;
}

int safetensors_parse(struct checkpoint *c, const unsigned char *bytes, size_t n,
                      struct error *err)
{
    uint64_t length = 0;
    cJSON *header;
    int status, entries;

    for (int i = 0; i < 8; i++)
        length |= (uint64_t)bytes[i] << (8 * i);
    if (length > n - 8 || length > HEADER_MAX)
        return fail(err, "its header claims %llu bytes, the file has %zu: cut short or not "
                         "safetensors", (unsigned long long)length, n);
    header = cJSON_ParseWithLength((const char *)bytes + 8, length);
    if (!cJSON_IsObject(header)) {
        cJSON_Delete(header);
        return fail(err, "its header is not JSON: damaged or not safetensors");
    }
    entries = cJSON_GetArraySize(header);
    struct range *ranges = calloc((size_t)entries + 1, sizeof(*ranges));
    size_t room = ((size_t)entries + 1) * sizeof(*c->tensors);
    c->tensors = storage_alloc(c->storage, room);
    if (!ranges || !c->tensors) {
        status = fail(err, "out of memory");
    } else if (entries > TENSORS_MAX) {
        status = fail(err, "%d tensors; no model has so many", entries);
    } else {
        memset(c->tensors, 0, room);
        status = parse_header(c, ranges, header, bytes + 8 + length, n - 8 - length, err);
    }
    free(ranges);
    cJSON_Delete(header);
    return status;
}

/* Elements of 8 bytes first: then all stand at multiples of their size. */
static int compare_widths(const void *a, const void *b)
{
    const struct tensor *x = *(const struct tensor *const *)a, *y = *(const struct tensor *const *)b;
    size_t wide_x = dtype_bytes(x->dtype), wide_y = dtype_bytes(y->dtype);

    if (wide_x != wide_y)
        return wide_x > wide_y ? -1 : 1;
    return x < y ? -1 : 1; // the order given
}

static cJSON *header_json(const struct tensor **order, int n, const char *config,
                          const char *provenance)
{
    cJSON *header = cJSON_CreateObject();
    double at = 0.0;

    if (config) {
        cJSON *metadata = cJSON_AddObjectToObject(header, "__metadata__");
        cJSON_AddStringToObject(metadata, "format", "antiphon");
        cJSON_AddStringToObject(metadata, "version", "1");
        cJSON_AddStringToObject(metadata, "config", config);
        if (provenance)
            cJSON_AddStringToObject(metadata, "provenance", provenance);
    }
    for (int i = 0; i < n; i++) {
        cJSON *item = cJSON_AddObjectToObject(header, order[i]->name), *shape, *offsets;
        cJSON_AddStringToObject(item, "dtype", dtype_names[order[i]->dtype]);
        shape = cJSON_AddArrayToObject(item, "shape");
        for (int a = 0; a < order[i]->n_axes; a++)
            cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)order[i]->size[a]));
        offsets = cJSON_AddArrayToObject(item, "data_offsets");
        cJSON_AddItemToArray(offsets, cJSON_CreateNumber(at));
        at += (double)(tensor_count(order[i]) * dtype_bytes(order[i]->dtype));
        cJSON_AddItemToArray(offsets, cJSON_CreateNumber(at));
    }
    return header;
}

static void write_all(FILE *f, const struct tensor **order, int n, const char *header)
{
    size_t length = strlen(header), padded = (length + 8 + 63) / 64 * 64 - 8;
    unsigned char size[8];

    for (int i = 0; i < 8; i++)
        size[i] = (unsigned char)(padded >> (8 * i));
    fwrite(size, 1, sizeof(size), f);
    fwrite(header, 1, length, f);
    for (size_t i = length; i < padded; i++)
        fputc(' ', f);
    for (int i = 0; i < n; i++)
        fwrite(order[i]->data, dtype_bytes(order[i]->dtype), tensor_count(order[i]), f);
}

static int write_file(const char *path, const struct tensor *tensors, int n, const char *config,
                      const char *provenance, struct error *err)
{
    const struct tensor **order = malloc(((size_t)n + 1) * sizeof(*order));
    struct output_file file;
    char *header = NULL;

    for (int i = 0; order && i < n; i++)
        order[i] = &tensors[i];
    if (order) {
        qsort(order, (size_t)n, sizeof(*order), compare_widths);
        cJSON *json = header_json(order, n, config, provenance);
        header = cJSON_PrintUnformatted(json);
        cJSON_Delete(json);
    }
    int status = header ? output_file_open(&file, path, err) : fail(err, "out of memory");
    if (status == 0) {
        write_all(file.stream, order, n, header);
        status = output_file_commit(&file, err);
    }
    free(header);
    free(order);
    return status;
}

int checkpoint_write(const char *path, const struct tensor *tensors, int n_tensors,
                     const char *config, const char *provenance, struct error *err)
{
    return write_file(path, tensors, n_tensors, config, provenance, err);
}

int safetensors_write(const char *path, const struct tensor *tensors, int n_tensors,
                      struct error *err)
{
    return write_file(path, tensors, n_tensors, NULL, NULL, err);
}
