// SPDX-License-Identifier: MIT
/* pickle_torch.c - the allow-list: the names a checkpoint may use, and what
 * each of them makes. A tensor is checked against its storage right here, so
 * that nothing outside its storage can be reached later. */
#include "model/checkpoint_read.h"
#include "model/pickle_machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum name_id { NAME_DICT, NAME_SIZE, NAME_TENSOR, NAME_TENSOR_OLD, NAME_PARAMETER, NAME_STORAGE };

static const struct allowed {
    const char *module, *name;
    enum name_id id;
    enum dtype dtype; // of a storage
} allowed[] = {
    {"collections", "OrderedDict", NAME_DICT, 0},
    {"torch", "Size", NAME_SIZE, 0},
    {"torch._utils", "_rebuild_tensor_v2", NAME_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor", NAME_TENSOR_OLD, 0},
    {"torch._utils", "_rebuild_parameter", NAME_PARAMETER, 0},
    {"torch", "FloatStorage", NAME_STORAGE, DTYPE_F32},
    {"torch", "DoubleStorage", NAME_STORAGE, DTYPE_F64},
    {"torch", "HalfStorage", NAME_STORAGE, DTYPE_F16},
    {"torch", "BFloat16Storage", NAME_STORAGE, DTYPE_BF16},
    {"torch", "LongStorage", NAME_STORAGE, DTYPE_I64},
    {"torch", "IntStorage", NAME_STORAGE, DTYPE_I32},
    {"torch", "ShortStorage", NAME_STORAGE, DTYPE_I16},
    {"torch", "CharStorage", NAME_STORAGE, DTYPE_I8},
    {"torch", "ByteStorage", NAME_STORAGE, DTYPE_U8},
    {"torch", "BoolStorage", NAME_STORAGE, DTYPE_BOOL},
};

#define AGAIN "; the file is damaged, fetch or make it again"

/* The part of a name that a message can show is kept. */
static struct pickle_value *pickle_foreign(struct pickle_machine *m, const char *module,
                                           const char *name)
{
    char full[164];
    struct pickle_value *v = pickle_new(m, PICKLE_FOREIGN);

    if (!v)
        return NULL;
    snprintf(full, sizeof(full), "%.80s.%.80s", module, name);
    v->string.n = strlen(full);
    v->string.bytes = pool_string(m->pool, full, v->string.n, m->err);
    return v->string.bytes ? v : NULL;
}

int pickle_fail_foreign(const struct pickle_value *v, struct error *err)
{
    return fail(err, "not a plain checkpoint: wants %s; save the model's state_dict only",
                v->string.bytes);
}

struct pickle_value *pickle_name(struct pickle_machine *m, const char *module, const char *name)
{
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        if (strcmp(allowed[i].module, module) || strcmp(allowed[i].name, name))
            continue;
        struct pickle_value *v = pickle_new(m, PICKLE_NAME);
        if (v)
            v->integer = (int64_t)i;
        return v;
    }
    return pickle_foreign(m, module, name);
}

/* The i-th argument if it is there and of that kind, else NULL. */
static const struct pickle_value *argument(const struct pickle_value *arguments, size_t i,
                                           enum pickle_kind kind)
{
    if (i >= arguments->items.n || arguments->items.at[i]->kind != kind)
        return NULL;
    return arguments->items.at[i];
}

/* --- storages --------------------------------------------------------- */

static struct pickle_value *remember_storage(struct pickle_machine *m, const char *key,
                                             enum dtype dtype, int64_t n_elements)
{
    struct pickle_storage *s = pool_alloc(m->pool, sizeof(*s), _Alignof(struct pickle_storage),
                                          m->err);
    struct pickle_value *v = s ? pickle_new(m, PICKLE_STORAGE) : NULL;

    if (!v)
        return NULL;
    if (m->n_storages == m->storages_capacity) {
        void *bigger = pool_grow(m->pool, m->storages, m->n_storages, &m->storages_capacity,
                                 sizeof(*m->storages), m->err);
        if (!bigger)
            return NULL;
        m->storages = bigger;
    }
    *s = (struct pickle_storage){.key = key, .dtype = dtype, .n_elements = n_elements, .first = s};
    m->storages[m->n_storages++] = s;
    v->storage = s;
    return v;
}

/* ('storage', class, key, place, number of elements[, None]) */
struct pickle_value *pickle_persistent(struct pickle_machine *m, const struct pickle_value *id)
{
    if (id->kind != PICKLE_TUPLE) {
        fail(m->err, "pickle names a storage by what is no tuple" AGAIN);
        return NULL;
    }
    const struct pickle_value *word = argument(id, 0, PICKLE_STRING);
    const struct pickle_value *class = argument(id, 1, PICKLE_NAME);
    const struct pickle_value *key = argument(id, 2, PICKLE_STRING);
    const struct pickle_value *count = argument(id, 4, PICKLE_INT);

    if (argument(id, 1, PICKLE_FOREIGN)) {
        pickle_fail_foreign(id->items.at[1], m->err);
        return NULL;
    }
    if (!word || strcmp(word->string.bytes, "storage") || !class || !key || !count ||
        allowed[class->integer].id != NAME_STORAGE) {
        fail(m->err, "pickle names a storage in a way that is not known" AGAIN);
        return NULL;
    }
    if (id->items.n > 5 && !argument(id, 5, PICKLE_NONE)) {
        fail(m->err, "storage '%.60s' is part of another one, as before torch 0.4; save it with a "
             "newer torch", key->string.bytes);
        return NULL;
    }
    enum dtype dtype = allowed[class->integer].dtype;
    if (shape_count(&count->integer, 1, dtype) < 0) {
        fail(m->err, "storage '%.60s' has %lld elements" AGAIN, key->string.bytes,
             (long long)count->integer);
        return NULL;
    }
    return remember_storage(m, key->string.bytes, dtype, count->integer);
}

/* --- tensors ---------------------------------------------------------- */

static int read_axes(int64_t *axes, const struct pickle_value *tuple, struct error *err)
{
    if (tuple->items.n > CHECKPOINT_MAX_AXES)
        return fail(err, "tensor has %zu axes; at most %d are read", tuple->items.n,
                    CHECKPOINT_MAX_AXES);
    for (size_t i = 0; i < tuple->items.n; i++) {
        const struct pickle_value *v = argument(tuple, i, PICKLE_INT);
        if (!v || v->integer < 0)
            return fail(err, "tensor has a size or stride that is no whole number" AGAIN);
        axes[i] = v->integer;
    }
    return 0;
}

/* Every element the shape reaches must lie in the storage. */
static int check_reach(const struct pickle_tensor *t, struct error *err)
{
    int64_t count = shape_count(t->size, t->n_axes, t->storage->dtype);
    int64_t last = t->offset, end = t->storage->n_elements;

    if (count < 0)
        return fail(err, "tensor is larger than any file" AGAIN);
    if (count == 0)
        return 0;
    for (int i = 0; i < t->n_axes && last < end; i++) {
        int64_t steps = t->size[i] - 1;
        if (steps && t->stride[i] > (end - 1 - last) / steps)
            last = end;
        else
            last += steps * t->stride[i];
    }
    if (last >= end)
        return fail(err, "tensor reaches beyond its storage '%.60s' of %lld elements" AGAIN,
                    t->storage->key, (long long)end);
    return 0;
}

/* (storage, offset, size, stride, ...) */
static struct pickle_value *make_tensor(struct pickle_machine *m, const struct pickle_value *args)
{
    const struct pickle_value *storage = argument(args, 0, PICKLE_STORAGE);
    const struct pickle_value *offset = argument(args, 1, PICKLE_INT);
    const struct pickle_value *size = argument(args, 2, PICKLE_TUPLE);
    const struct pickle_value *stride = argument(args, 3, PICKLE_TUPLE);

    if (!storage || !offset || !size || !stride || offset->integer < 0 ||
        size->items.n != stride->items.n) {
        fail(m->err, "tensor is described in a way that is not known" AGAIN);
        return NULL;
    }
    struct pickle_tensor *t = pool_alloc(m->pool, sizeof(*t), _Alignof(struct pickle_tensor),
                                         m->err);
    if (!t || read_axes(t->size, size, m->err) || read_axes(t->stride, stride, m->err))
        return NULL;
    t->storage = storage->storage;
    t->offset = offset->integer;
    t->n_axes = (int)size->items.n;
    if (check_reach(t, m->err))
        return NULL;
    struct pickle_value *v = pickle_new(m, PICKLE_TENSOR);
    if (v)
        v->tensor = t;
    return v;
}

struct pickle_value *pickle_call(struct pickle_machine *m, const struct pickle_value *name,
                                 const struct pickle_value *arguments)
{
    if (name->kind == PICKLE_FOREIGN && arguments->kind == PICKLE_TUPLE) {
        struct pickle_value *v = pickle_new(m, PICKLE_FOREIGN);
        if (v)
            v->string = name->string;
        return v;
    }
    if (name->kind != PICKLE_NAME || arguments->kind != PICKLE_TUPLE) {
        fail(m->err, "pickle calls what is no name" AGAIN);
        return NULL;
    }
    const struct allowed *a = &allowed[name->integer];
    size_t n = arguments->items.n;

    switch (a->id) {
    case NAME_DICT:
        if (n == 0)
            return pickle_new(m, PICKLE_DICT);
        break;
    case NAME_SIZE:
        if (n == 1 && argument(arguments, 0, PICKLE_TUPLE))
            return arguments->items.at[0];
        break;
    case NAME_TENSOR:
    case NAME_TENSOR_OLD:
        return make_tensor(m, arguments);
    case NAME_PARAMETER:
        if (n >= 1 && argument(arguments, 0, PICKLE_TENSOR))
            return arguments->items.at[0];
        break;
    case NAME_STORAGE:
        break;
    }
    fail(m->err, "pickle calls %s.%s with arguments that are not known" AGAIN, a->module, a->name);
    return NULL;
}
