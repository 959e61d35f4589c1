// SPDX-License-Identifier: MIT
/* torch_legacy.c - torch files of before 1.6: five pickles and the storages.
 *
 * A magic number, the protocol, the machine's habits, the object, the list of
 * storage keys; then for each key a count and the elements, one after the
 * other without padding. */
#include "model/torch_read.h"

#include <stdlib.h>
#include <string.h>

#define AGAIN "; the file is damaged or cut short, fetch or make it again"

/* PROTO 2, LONG1 of 10 bytes: 0x1950a86a20f9469cfc6c, STOP. */
static const unsigned char magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                      0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};

int torch_is_legacy(const unsigned char *bytes, size_t n_bytes)
{
    return n_bytes >= sizeof(magic) && !memcmp(bytes, magic, sizeof(magic));
}

/* What has not been read yet. */
struct rest {
    const unsigned char *at;
    size_t n;
};

static int next_pickle(struct pickle *p, struct rest *rest, struct pool *pool, struct error *err)
{
    size_t n = rest->n < TORCH_PICKLE_MAX_BYTES ? rest->n : TORCH_PICKLE_MAX_BYTES;

    if (pickle_read(p, pool, rest->at, n, err))
        return -1;
    rest->at += p->n_bytes;
    rest->n -= p->n_bytes;
    return 0;
}

static int check_habits(const struct pickle *protocol, const struct pickle *habits,
                        struct error *err)
{
    const struct pickle_value *little = pickle_get(habits->root, "little_endian");

    if (protocol->root->kind != PICKLE_INT || protocol->root->integer != 1001)
        return fail(err, "is a torch file of an unknown protocol; save it with a newer torch");
    if (!little || little->kind != PICKLE_BOOL)
        return fail(err, "does not say its byte order" AGAIN);
    if (!little->integer)
        return fail(err, "was written on a big-endian machine; save it on another one");
    return 0;
}

static int compare_key(const void *key, const void *storage)
{
    return strcmp(key, (*(struct pickle_storage *const *)storage)->key);
}

/* Finds the place of one storage; its length is that of the object's pickle. */
static int place_storage(const struct pickle *object, const struct pickle_value *key,
                         struct rest *rest, struct error *err)
{
    int64_t n_elements;

    if (key->kind != PICKLE_STRING)
        return fail(err, "has a storage without a name" AGAIN);
    const char *name = key->string.bytes;
    struct pickle_storage **found = object->n_storages ?
        bsearch(name, object->storages, object->n_storages, sizeof(*object->storages),
                compare_key) : NULL;
    if (!found)
        return fail(err, "storage '%.60s' belongs to no tensor" AGAIN, name);
    if (rest->n < sizeof(n_elements))
        return fail(err, "storage '%.60s' is missing" AGAIN, name);
    memcpy(&n_elements, rest->at, sizeof(n_elements));
    size_t n_bytes = (size_t)(*found)->n_elements * dtype_bytes((*found)->dtype);
    if (n_elements != (*found)->n_elements || n_bytes > rest->n - sizeof(n_elements))
        return fail(err, "storage '%.60s' should have %zu bytes, but the file does not" AGAIN,
                    name, n_bytes);
    (*found)->data = rest->at + sizeof(n_elements);
    rest->at += sizeof(n_elements) + n_bytes;
    rest->n -= sizeof(n_elements) + n_bytes;
    return 0;
}

/* Every storage was placed beforehand, if the file has it. */
static int load_missing(void *container, struct pickle_storage *s, struct error *err)
{
    return fail(err, "storage '%.60s' is missing" AGAIN, s->key);
}

static int read_with(struct checkpoint *c, struct pool *pool, struct error *err)
{
    struct rest rest = {c->storage->bytes + sizeof(magic), c->storage->n_bytes - sizeof(magic)};
    struct pickle protocol, habits, object, keys;

    if (next_pickle(&protocol, &rest, pool, err) || next_pickle(&habits, &rest, pool, err) ||
        check_habits(&protocol, &habits, err) || next_pickle(&object, &rest, pool, err) ||
        next_pickle(&keys, &rest, pool, err))
        return -1;
    if (keys.root->kind != PICKLE_LIST)
        return fail(err, "has no list of storages" AGAIN);
    for (size_t i = 0; i < keys.root->items.n; i++) {
        if (place_storage(&object, keys.root->items.at[i], &rest, err))
            return -1;
    }
    return torch_take(c, &object, load_missing, NULL, err);
}

int torch_legacy_read(struct checkpoint *c, struct error *err)
{
    struct pool pool = {.limit = TORCH_POOL_BYTES};
    int failed = read_with(c, &pool, err);

    pool_release(&pool);
    return failed;
}
