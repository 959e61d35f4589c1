// SPDX-License-Identifier: MIT
/* safetensors_write.c - writing, so that the file can be used in place.
 *
 * The header is padded with blanks until the data begin at a multiple of 64.
 * The format allows no holes between tensors, so the rest is order: tensors
 * whose bytes are a multiple of 64 (nearly all of a model) come first, and
 * each of them begins at one too; then the others, wide elements first, so
 * that each begins at a multiple of its element. Within that, by name. The
 * same tensors give the same file, whatever order they come in. */
#include "model/checkpoint_read.h"
#include "model/outfile.h"
#include "model/text.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, HEADER_MAX_BYTES = 16 << 20 }; // what the reader accepts

static size_t n_data_bytes(const struct tensor *t)
{
    return tensor_count(t) * dtype_bytes(t->dtype);
}

static int compare_places(const void *a, const void *b)
{
    const struct tensor *x = *(const struct tensor *const *)a;
    const struct tensor *y = *(const struct tensor *const *)b;
    int x_odd = n_data_bytes(x) % ALIGNMENT != 0, y_odd = n_data_bytes(y) % ALIGNMENT != 0;

    if (x_odd != y_odd)
        return x_odd - y_odd;
    if (x_odd && dtype_bytes(x->dtype) != dtype_bytes(y->dtype))
        return dtype_bytes(x->dtype) > dtype_bytes(y->dtype) ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b)
{
    const struct tensor *x = *(const struct tensor *const *)a;
    const struct tensor *y = *(const struct tensor *const *)b;

    return strcmp(x->name, y->name);
}

static int check_tensor(const struct tensor *t, struct error *err)
{
    if (!utf8_valid(t->name, strlen(t->name)) || !strcmp(t->name, "__metadata__"))
        return fail(err, "tensor name '%.100s' cannot be written", t->name);
    if (t->n_axes < 0 || t->n_axes > CHECKPOINT_MAX_AXES ||
        shape_count(t->size, t->n_axes, t->dtype) < 0)
        return fail(err, "shape of tensor '%.100s' cannot be written", t->name);
    return 0;
}

/* The tensors in file order; the caller frees the list. NULL on error. */
static const struct tensor **sorted(const struct tensor *tensors, int n, struct error *err)
{
    const struct tensor **list = malloc(((size_t)n + 1) * sizeof(*list));

    if (!list) {
        fail(err, "out of memory; close other programs");
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        list[i] = &tensors[i];
        if (check_tensor(list[i], err))
            goto failed;
    }
    qsort(list, (size_t)n, sizeof(*list), compare_names);
    for (int i = 1; i < n; i++) {
        if (!strcmp(list[i - 1]->name, list[i]->name)) {
            fail(err, "tensor '%.100s' is to be written twice", list[i]->name);
            goto failed;
        }
    }
    qsort(list, (size_t)n, sizeof(*list), compare_places);
    return list;
failed:
    free(list);
    return NULL;
}

static void add_field(struct text *t, const char *name, const char *value, int is_first)
{
    if (!is_first)
        text_puts(t, ",");
    text_json_string(t, name, strlen(name));
    text_puts(t, ":");
    text_json_string(t, value, strlen(value));
}

/* Texts that are NULL are left out. */
struct metadata {
    const char *format, *version, *config, *provenance;
};

static void add_metadata(struct text *t, const struct metadata *m)
{
    text_puts(t, "\"__metadata__\":{");
    add_field(t, "format", m->format, 1);
    if (m->version)
        add_field(t, "version", m->version, 0);
    if (m->config)
        add_field(t, "config", m->config, 0);
    if (m->provenance)
        add_field(t, "provenance", m->provenance, 0);
    text_puts(t, "}");
}

static void add_entry(struct text *t, const struct tensor *tensor, size_t at)
{
    text_json_string(t, tensor->name, strlen(tensor->name));
    text_printf(t, ":{\"dtype\":\"%s\",\"shape\":[", dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->n_axes; i++)
        text_printf(t, "%s%lld", i ? "," : "", (long long)tensor->size[i]);
    text_printf(t, "],\"data_offsets\":[%zu,%zu]}", at, at + n_data_bytes(tensor));
}

static int build_header(struct text *t, const struct tensor **list, int n,
                        const struct metadata *metadata, struct error *err)
{
    size_t at = 0;

    text_puts(t, "{");
    if (metadata)
        add_metadata(t, metadata);
    for (int i = 0; i < n; i++) {
        if (i || metadata)
            text_puts(t, ",");
        add_entry(t, list[i], at);
        at += n_data_bytes(list[i]);
    }
    text_puts(t, "}");
    while ((8 + t->n) % ALIGNMENT && !t->failed)
        text_puts(t, " ");
    return text_check(t, "header", err);
}

static int write_all(struct outfile *f, const struct text *header, const struct tensor **list,
                     int n, struct error *err)
{
    uint64_t n_header = header->n;

    if (outfile_write(f, &n_header, sizeof(n_header), err) ||
        outfile_write(f, header->bytes, header->n, err))
        return -1;
    for (int i = 0; i < n; i++) {
        if (outfile_write(f, list[i]->data, n_data_bytes(list[i]), err))
            return -1;
    }
    return 0;
}

static int write_file(const char *path, const struct text *header, const struct tensor **list,
                      int n, struct error *err)
{
    struct outfile f;

    if (outfile_open(&f, path, err))
        return -1;
    if (write_all(&f, header, list, n, err)) {
        outfile_discard(&f);
        return -1;
    }
    return outfile_commit(&f, err);
}

static int write_with(const char *path, const struct tensor *tensors, int n,
                      const struct metadata *metadata, struct error *err)
{
    struct text header = {.limit = HEADER_MAX_BYTES};
    const struct tensor **list = sorted(tensors, n, err);

    if (!list)
        return fail_prefix(err, "%.300s: ", path);
    int failed = build_header(&header, list, n, metadata, err);
    if (failed)
        fail_prefix(err, "%.300s: ", path);
    else
        failed = write_file(path, &header, list, n, err);
    text_release(&header);
    free(list);
    return failed;
}

int checkpoint_write(const char *path, const struct tensor *tensors, int n_tensors,
                     const char *config, const char *provenance, struct error *err)
{
    struct metadata metadata = {"antiphon", "1", config, provenance};

    if ((config && !utf8_valid(config, strlen(config))) ||
        (provenance && !utf8_valid(provenance, strlen(provenance))))
        return fail(err, "%.300s: config or provenance is not UTF-8", path);
    return write_with(path, tensors, n_tensors, &metadata, err);
}

int safetensors_write(const char *path, const struct tensor *tensors, int n_tensors,
                      struct error *err)
{
    return write_with(path, tensors, n_tensors, NULL, err);
}

int safetensors_write_format(const char *path, const struct tensor *tensors, int n_tensors,
                             const char *format, struct error *err)
{
    struct metadata metadata = {.format = format};

    return write_with(path, tensors, n_tensors, &metadata, err);
}
