// SPDX-License-Identifier: MIT
/* pickle.h - a pickle of plain data and tensors, read and never executed.
 *
 * The machine knows the opcodes that torch.save writes and a short list of
 * names: OrderedDict, the tensor rebuilders and the storage types. Anything
 * else is refused by name. Memory, depth and number of values are bounded by
 * the length of the pickle, as every value takes at least one byte of it. */
#ifndef PICKLE_H
#define PICKLE_H

#include "model/checkpoint.h"

enum value_type {
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_TUPLE,
    VALUE_LIST,
    VALUE_DICT,    // items: key, value, key, value, ..
    VALUE_GLOBAL,
    VALUE_STORAGE,
    VALUE_TENSOR,
};

/* Names a pickle may use. */
enum global { GLOBAL_DICT, GLOBAL_TENSOR, GLOBAL_PARAMETER, GLOBAL_STORAGE };

struct value {
    enum value_type type;
    union {
        int64_t integer; // and bool
        double real;
        struct {
            const char *text; // not ended by 0
            size_t length;
        } string;
        struct {
            struct value **items;
            size_t n, room;
        } sequence;
        struct {
            enum global which;
            enum dtype dtype; // of a storage type
        } global;
        struct {
            enum dtype dtype;
            struct value *key; // a string
            int64_t n;         // elements
        } storage;
        struct {
            struct value *storage;
            int64_t offset; // elements
            int n_axes;
            int64_t size[CHECKPOINT_MAX_AXES], stride[CHECKPOINT_MAX_AXES];
        } tensor;
    };
};

struct pickle {
    struct value *root;
    struct value **values; // all of them, for pickle_close
    size_t n_values, room;
};

/* Reads n bytes, which must outlive the pickle. */
int pickle_open(struct pickle *p, const unsigned char *bytes, size_t n, struct error *err);
void pickle_close(struct pickle *p);

/* The value of a dict's string key, or NULL. */
const struct value *value_get(const struct value *dict, const char *key);

/* Plain data as JSON text, to be freed: tuples become lists, keys that are
 * integers strings. NULL with err filled for tensors and the like. */
char *value_json(const struct value *v, struct error *err);

#endif
