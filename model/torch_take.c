// SPDX-License-Identifier: MIT
#include "model/torch_read.h"

#include <stdlib.h>
#include <string.h>

/* Upstream's configs have 2 KB. */
enum { CONFIG_MAX_BYTES = 4 << 20 };

static int is_contiguous(const struct pickle_tensor *t)
{
    int64_t expected = 1;

    for (int i = t->n_axes; i-- > 0;) {
        if (t->size[i] != 1 && t->stride[i] != expected)
            return 0;
        expected *= t->size[i];
    }
    return 1;
}

/* Copies a strided view in row-major order: the last axis in a loop, the
 * others by counting up an index. size and stride are those of a tensor that
 * was checked and is not empty. */
static void copy_view(unsigned char *dst, const unsigned char *src, const struct pickle_tensor *t,
                      size_t n_element)
{
    int64_t index[CHECKPOINT_MAX_AXES] = {0};
    int last = t->n_axes - 1;
    int64_t at = t->offset;

    for (;;) {
        for (int64_t i = 0; i < (last < 0 ? 1 : t->size[last]); i++) {
            int64_t from = last < 0 ? at : at + i * t->stride[last];
            memcpy(dst, src + (size_t)from * n_element, n_element);
            dst += n_element;
        }
        int axis = last - 1;
        while (axis >= 0 && ++index[axis] == t->size[axis]) {
            at -= (t->size[axis] - 1) * t->stride[axis];
            index[axis--] = 0;
        }
        if (axis < 0)
            return;
        at += t->stride[axis];
    }
}

static int take_data(struct tensor *dst, struct checkpoint *c, const struct pickle_tensor *t,
                     torch_load *load, void *container, struct error *err)
{
    struct pickle_storage *s = t->storage->first;
    size_t n_element = dtype_bytes(s->dtype);
    size_t n = (size_t)shape_count(t->size, t->n_axes, s->dtype);

    if (n && !s->data && load(container, s, err))
        return -1;
    if (n && is_contiguous(t)) {
        dst->data = s->data + (size_t)t->offset * n_element;
        if ((uintptr_t)dst->data % n_element == 0)
            return 0;
    }
    void *copy = pool_alloc(&c->storage->pool, n * n_element, 64, err);
    if (!copy)
        return -1;
    if (n)
        copy_view(copy, s->data, t, n_element);
    dst->data = copy;
    return 0;
}

static int take_tensor(struct checkpoint *c, const char *name, const struct pickle_value *v,
                       torch_load *load, void *container, struct error *err)
{
    struct tensor *t = &c->tensors[c->n_tensors];

    if (v->kind == PICKLE_FOREIGN) {
        pickle_fail_foreign(v, err);
        return fail_prefix(err, "entry '%.100s': ", name);
    }
    if (v->kind != PICKLE_TENSOR)
        return fail(err, "entry '%.100s' is not a tensor; expected a state_dict, or one under "
                    "\"state_dict\"", name);
    t->dtype = v->tensor->storage->dtype;
    t->n_axes = v->tensor->n_axes;
    memcpy(t->size, v->tensor->size, sizeof(t->size));
    if (take_data(t, c, v->tensor, load, container, err))
        return fail_prefix(err, "tensor '%.100s': ", name);
    t->name = pool_string(&c->storage->pool, name, strlen(name), err);
    if (!t->name)
        return -1;
    c->n_tensors++;
    return 0;
}

static int take_config(struct checkpoint *c, const struct pickle_value *config, struct error *err)
{
    struct text t = {.limit = CONFIG_MAX_BYTES};

    if (config->kind == PICKLE_FOREIGN)
        return pickle_fail_foreign(config, err);
    if (config->kind != PICKLE_DICT)
        return fail(err, "config is not a dictionary; save the model's configuration with it");
    text_puts(&t, "{\"wavlm\":");
    int failed = pickle_to_json(&t, config, err);
    if (failed) {
        fail_prefix(err, "config: ");
    } else {
        text_puts(&t, "}");
        failed = text_check(&t, "config", err);
    }
    if (!failed) {
        c->config = pool_string(&c->storage->pool, t.bytes, t.n, err);
        failed = c->config ? 0 : -1;
    }
    text_release(&t);
    return failed;
}

int torch_take(struct checkpoint *c, const struct pickle *p, torch_load *load, void *container,
               struct error *err)
{
    const struct pickle_value *states = pickle_get(p->root, "state_dict");
    const struct pickle_value *config = states ? pickle_get(p->root, "config") : NULL;

    if (!states || states->kind == PICKLE_TENSOR) {
        states = p->root;
        config = NULL;
    }
    if (states->kind == PICKLE_FOREIGN)
        return pickle_fail_foreign(states, err);
    if (states->kind != PICKLE_DICT || !states->items.n)
        return fail(err, "holds no tensors; expected a state_dict, or one under \"state_dict\"");
    if (config && config->kind != PICKLE_NONE && take_config(c, config, err))
        return -1;
    if (checkpoint_reserve(c, states->items.n / 2, err))
        return -1;
    for (size_t i = 0; i < states->items.n; i += 2) {
        const struct pickle_value *key = states->items.at[i];
        if (key->kind != PICKLE_STRING)
            return fail(err, "state_dict has a key that is no string; it is none of a model");
        if (take_tensor(c, key->string.bytes, states->items.at[i + 1], load, container, err))
            return -1;
    }
    return 0;
}
