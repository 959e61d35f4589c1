// SPDX-License-Identifier: MIT
/* torch_zip.c - what torch.save writes: a zip with a pickle and its storages.
 *
 * NAME/data.pkl describes tensors as views (offset, sizes, strides) of storages
 * NAME/data/KEY. NAME is any. Views become contiguous tensors; several views of
 * one storage are copied each. */
#include "model/pickle.h"
#include "model/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum { PICKLE_MAX = 256 << 20, SIZE_LIMIT = 1 << 30 }; // SIZE_LIMIT: elements

struct archive {
    zip_t *zip;
    char root[256];      // "NAME/"
    size_t budget;       // bytes that may still be unpacked
    struct loaded_storage {
        const struct value *value;
        void *bytes;
    } *storages; // read once each
    size_t n_storages, room;
};

/* The whole of one member, in memory of malloc. size: what it must be, or 0. */
static void *read_member(struct archive *a, const char *name, size_t size, size_t *n,
                         struct error *err)
{
    zip_stat_t st;
    zip_file_t *file = NULL;
    unsigned char *bytes = NULL;

    if (zip_stat(a->zip, name, 0, &st) || !(st.valid & ZIP_STAT_SIZE)) {
        fail(err, "%.150s is missing in the zip", name);
        return NULL;
    }
    if (size && st.size != size)
        fail(err, "%.150s holds %llu bytes, its tensors need %zu", name,
             (unsigned long long)st.size, size);
    else if (st.size > a->budget)
        fail(err, "%.150s: unpacks to more than such a file can hold", name);
    else if (!(bytes = malloc(st.size ? st.size : 1)))
        fail(err, "out of memory");
    else if (!(file = zip_fopen(a->zip, name, 0)) ||
             zip_fread(file, bytes, st.size) != (zip_int64_t)st.size) {
        fail(err, "%.150s: damaged: %s", name,
             file ? zip_file_strerror(file) : zip_strerror(a->zip));
        free(bytes);
        bytes = NULL;
    }
    if (file)
        zip_fclose(file);
    if (bytes) {
        a->budget -= st.size;
        *n = st.size;
    }
    return bytes;
}

/* Finds NAME/data.pkl. */
static int find_root(struct archive *a, struct error *err)
{
    static const char tail[] = "data.pkl";
    zip_int64_t n = zip_get_num_entries(a->zip, 0);

    for (zip_int64_t i = 0; i < n; i++) {
        const char *name = zip_get_name(a->zip, (zip_uint64_t)i, 0);
        size_t length = name ? strlen(name) : 0, root = length - (sizeof(tail) - 1);
        if (length < sizeof(tail) || root >= sizeof(a->root) - 64 ||
            strcmp(name + root, tail) || name[root - 1] != '/')
            continue;
        memcpy(a->root, name, root);
        a->root[root] = 0;
        return 0;
    }
    return fail(err, "a zip without data.pkl: not a torch file");
}

/* The bytes of a storage; read at first use. */
static const void *load_storage(struct archive *a, const struct value *v, struct error *err)
{
    size_t width = dtype_bytes(v->storage.dtype), n;
    char name[512];
    void *bytes;

    for (size_t i = 0; i < a->n_storages; i++) {
        const struct value *seen = a->storages[i].value;
        if (seen->storage.key->string.length == v->storage.key->string.length &&
            !memcmp(seen->storage.key->string.text, v->storage.key->string.text,
                    v->storage.key->string.length)) {
            if (seen->storage.dtype == v->storage.dtype && seen->storage.n == v->storage.n)
                return a->storages[i].bytes;
            fail(err, "a storage is described in two ways");
            return NULL;
        }
    }
    if (v->storage.key->string.length > 100 || (uint64_t)v->storage.n > SIZE_MAX / 8) {
        fail(err, "a storage has an impossible name or size");
        return NULL;
    }
    if (a->n_storages == a->room) {
        size_t room = a->room ? 2 * a->room : 64;
        void *storages = realloc(a->storages, room * sizeof(*a->storages));
        if (!storages) {
            fail(err, "out of memory");
            return NULL;
        }
        a->storages = storages;
        a->room = room;
    }
    snprintf(name, sizeof(name), "%sdata/%.*s", a->root, (int)v->storage.key->string.length,
             v->storage.key->string.text);
    bytes = read_member(a, name, (size_t)v->storage.n * width, &n, err);
    if (bytes)
        a->storages[a->n_storages++] = (struct loaded_storage){v, bytes};
    return bytes;
}

/* Checks a view against its storage; count: elements of the tensor. */
static int check_view(const struct value *v, const char *name, size_t *count, struct error *err)
{
    int64_t last = v->tensor.offset > SIZE_LIMIT ? -1 : v->tensor.offset, n = v->tensor.storage->storage.n;

    *count = 1;
    for (int a = 0; a < v->tensor.n_axes; a++) {
        int64_t size = v->tensor.size[a], stride = v->tensor.stride[a];
        if (size < 0 || size > SIZE_LIMIT || stride < 0 || stride > SIZE_LIMIT)
            return fail(err, "tensor %.150s: axis %d has an impossible size", name, a);
        *count *= (size_t)size;
        last += size > 0 ? (size - 1) * stride : 0;
        if (*count > SIZE_LIMIT || last < 0 || last > SIZE_LIMIT)
            return fail(err, "tensor %.150s: axis %d has an impossible size", name, a);
    }
    if (*count > (size_t)n) // a view that repeats elements could be of any size
        return fail(err, "tensor %.150s: has more elements than its storage", name);
    if (last < 0 || v->tensor.offset < 0 || (*count > 0 && last >= n))
        return fail(err, "tensor %.150s: outside its storage", name);
    return 0;
}

/* Copies a view into contiguous order. */
static void gather(unsigned char *dst, const unsigned char *src, const struct value *v,
                   size_t count, size_t width)
{
    int64_t index[CHECKPOINT_MAX_AXES] = {0}, at = v->tensor.offset;

    for (size_t i = 0; i < count; i++) {
        memcpy(dst + i * width, src + (size_t)at * width, width);
        for (int a = v->tensor.n_axes - 1; a >= 0; a--) {
            at += v->tensor.stride[a];
            if (++index[a] < v->tensor.size[a])
                break;
            at -= index[a] * v->tensor.stride[a];
            index[a] = 0;
        }
    }
}

static int add_tensor(struct checkpoint *c, struct archive *a, const struct value *key,
                      const struct value *v, struct error *err)
{
    struct tensor *t = &c->tensors[c->n_tensors];
    size_t count, width = dtype_bytes(v->tensor.storage->storage.dtype);
    const unsigned char *bytes;
    unsigned char *copy;

    *t = (struct tensor){.dtype = v->tensor.storage->storage.dtype, .n_axes = v->tensor.n_axes};
    t->name = storage_text(c->storage, key->string.text, key->string.length);
    if (!t->name)
        return fail(err, "out of memory");
    if (check_view(v, t->name, &count, err))
        return -1;
    bytes = load_storage(a, v->tensor.storage, err);
    if (!bytes)
        return -1;
    copy = storage_alloc(c->storage, count * width);
    if (!copy)
        return fail(err, "out of memory");
    gather(copy, bytes, v, count, width);
    memcpy(t->size, v->tensor.size, sizeof(t->size));
    t->data = copy;
    c->n_tensors++;
    return 0;
}

static int add_state(struct checkpoint *c, struct archive *a, const struct value *state,
                     struct error *err)
{
    size_t n = state->sequence.n / 2;

    if (n > 1 << 20)
        return fail(err, "%zu tensors; no model has so many", n);
    c->tensors = storage_alloc(c->storage, (n + 1) * sizeof(*c->tensors));
    if (!c->tensors)
        return fail(err, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const struct value *key = state->sequence.items[2 * i], *v = state->sequence.items[2 * i + 1];
        if (key->type != VALUE_STRING || v->type != VALUE_TENSOR)
            continue; // epochs, metrics and the like
        if (add_tensor(c, a, key, v, err))
            return -1;
    }
    if (!c->n_tensors)
        return fail(err, "a torch file without tensors: expected {\"config\", \"state_dict\"} or "
                         "a state dict");
    return checkpoint_sort(c, err);
}

static int add_config(struct checkpoint *c, const struct value *config, struct error *err)
{
    char *json = value_json(config, err), *text;

    if (!json)
        return -1;
    text = storage_alloc(c->storage, strlen(json) + 16);
    if (text)
        sprintf(text, "{\"wavlm\":%s}", json);
    free(json);
    c->config = text;
    return text ? 0 : fail(err, "out of memory");
}

static int parse_root(struct checkpoint *c, struct archive *a, const struct value *root,
                      struct error *err)
{
    const struct value *state = value_get(root, "state_dict"), *config = value_get(root, "config");

    if (root->type != VALUE_DICT || (state && state->type != VALUE_DICT))
        return fail(err, "a torch file of something else: expected {\"config\", \"state_dict\"} "
                         "or a state dict");
    if (config && config->type == VALUE_DICT && add_config(c, config, err))
        return -1;
    return add_state(c, a, state ? state : root, err);
}

static int parse_archive(struct checkpoint *c, struct archive *a, struct error *err)
{
    struct pickle pickle = {0};
    char name[300];
    void *bytes;
    size_t n;
    int status = -1;

    if (find_root(a, err))
        return -1;
    snprintf(name, sizeof(name), "%sdata.pkl", a->root);
    bytes = read_member(a, name, 0, &n, err);
    if (!bytes)
        return -1;
    if (n > PICKLE_MAX)
        fail(err, "data.pkl has %zu bytes; no checkpoint needs so many", n);
    else if (pickle_open(&pickle, bytes, n, err) == 0)
        status = parse_root(c, a, pickle.root, err);
    pickle_close(&pickle);
    free(bytes);
    return status;
}

int torch_parse(struct checkpoint *c, const unsigned char *bytes, size_t n, struct error *err)
{
    /* Deflate cannot pack below a thousandth; what torch writes is not packed. */
    struct archive a = {.budget = n > SIZE_MAX / 4 ? SIZE_MAX : 4 * n + (1 << 20)};
    zip_error_t zip_err;
    zip_source_t *source;
    int status = -1;

    zip_error_init(&zip_err);
    source = zip_source_buffer_create(bytes, n, 0, &zip_err);
    if (source)
        a.zip = zip_open_from_source(source, ZIP_RDONLY, &zip_err);
    if (a.zip) {
        status = parse_archive(c, &a, err);
        zip_discard(a.zip);
    } else {
        fail(err, "a damaged zip: %s", zip_error_strerror(&zip_err));
        if (source)
            zip_source_free(source);
    }
    for (size_t i = 0; i < a.n_storages; i++)
        free(a.storages[i].bytes);
    free(a.storages);
    zip_error_fini(&zip_err);
    return status;
}
