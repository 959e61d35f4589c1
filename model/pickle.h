// SPDX-License-Identifier: MIT
/* pickle.h - the values in a Python pickle, of those a checkpoint is made of.
 *
 * A pickle is a program. This interpreter knows the few instructions that
 * build plain values, and a short list of names (dictionaries, tensors, their
 * storages). Any other name, and whatever a pickle would make with it (trainers
 * leave objects of theirs in checkpoints), becomes one opaque foreign value, with
 * which nothing can be done but leave it alone: a checkpoint whose tensors or
 * config have one is refused. Nothing is ever called or imported.
 *
 * All values live in the caller's pool, whose limit bounds them. Lists and
 * dictionaries may contain themselves: whoever walks them bounds the depth.
 * Strings are UTF-8 without zeros. Thread: any, one pool a thread. */
#ifndef PICKLE_H
#define PICKLE_H

#include "model/checkpoint.h"
#include "model/pool.h"
#include "model/text.h"

enum pickle_kind {
    PICKLE_NONE, PICKLE_BOOL, PICKLE_INT, PICKLE_FLOAT, PICKLE_STRING, PICKLE_TUPLE, PICKLE_LIST,
    PICKLE_DICT, PICKLE_NAME, PICKLE_STORAGE, PICKLE_TENSOR, PICKLE_FOREIGN
};

/* A stretch of elements outside the pickle. One storage may be named many
 * times; the first of the same key stands for all. */
struct pickle_storage {
    const char *key;
    enum dtype dtype;
    int64_t n_elements;
    const unsigned char *data;    // filled in by the container's reader, or NULL
    struct pickle_storage *first; // the one that stands for this key, maybe itself
};

struct pickle_tensor {
    struct pickle_storage *storage;
    int64_t offset; // elements; offset, size and stride are checked against the storage
    int n_axes;
    int64_t size[CHECKPOINT_MAX_AXES], stride[CHECKPOINT_MAX_AXES];
};

struct pickle_value {
    enum pickle_kind kind;
    union {
        int64_t integer;          // INT; BOOL: 0 or 1; NAME: what the interpreter knows it as
        double real;
        struct {
            const char *bytes;    // terminated; FOREIGN: the name, as module.name
            size_t n;
        } string;
        struct {
            struct pickle_value **at; // DICT: key, value, key, value, ...
            size_t n, capacity;
        } items;
        struct pickle_storage *storage;
        struct pickle_tensor *tensor;
    };
};

struct pickle {
    struct pool *pool;
    struct pickle_value *root;
    struct pickle_storage **storages; // one of each key, sorted by key
    size_t n_storages;
    size_t n_bytes;                   // length of the pickle, from its start to its end
};

/* Interprets one pickle at the start of these bytes; more may follow. What is
 * built refers to the pool only. */
int pickle_read(struct pickle *p, struct pool *pool, const void *bytes, size_t n_bytes,
                struct error *err);

/* The value of a string key, or NULL; the last one counts. */
const struct pickle_value *pickle_get(const struct pickle_value *dict, const char *key);

/* Says what a checkpoint wants with a foreign value; returns -1. */
int pickle_fail_foreign(const struct pickle_value *v, struct error *err);

/* Writes plain values as JSON: tuples as lists, int keys as strings. */
int pickle_to_json(struct text *t, const struct pickle_value *v, struct error *err);

#endif
