// SPDX-License-Identifier: MIT
/* pickle.c - the machine: a stack, a memo, and one function a family of opcodes. */
#include "model/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

enum { MEMO_MAX = 1 << 22 };

static int op_integer(struct machine *m, int n_bytes)
{
    struct value *v = machine_value(m, VALUE_INT);
    uint64_t number = 0;

    if (machine_take(m, n_bytes, &number))
        return -1;
    if (v)
        v->integer = n_bytes == 4 ? (int32_t)(uint32_t)number : (int64_t)number;
    return machine_push(m, v);
}

static int op_long(struct machine *m)
{
    struct value *v = machine_value(m, VALUE_INT);
    uint64_t length = 0, number = 0;

    if (machine_take(m, 1, &length))
        return -1;
    if (length > 8)
        return fail(m->err, "pickle: a number of %d bytes", (int)length);
    if (machine_take(m, (int)length, &number))
        return -1;
    if (length > 0 && length < 8 && number >> (8 * length - 1) & 1)
        number |= ~(uint64_t)0 << (8 * length); // two's complement, cut short
    if (v)
        v->integer = (int64_t)number;
    return machine_push(m, v);
}

static int op_float(struct machine *m)
{
    struct value *v = machine_value(m, VALUE_FLOAT);
    uint64_t bits = 0;

    if (m->end - m->at < 8)
        return machine_damaged(m);
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | *m->at++;
    if (v)
        memcpy(&v->real, &bits, sizeof(bits));
    return machine_push(m, v);
}

static int op_string(struct machine *m, int length_bytes)
{
    struct value *v = machine_value(m, VALUE_STRING);
    uint64_t length = 0;

    if (machine_take(m, length_bytes, &length))
        return -1;
    if (length > (uint64_t)(m->end - m->at))
        return machine_damaged(m);
    if (v) {
        v->string.text = (const char *)m->at;
        v->string.length = length;
    }
    m->at += length;
    return machine_push(m, v);
}

static int op_bool(struct machine *m, int truth)
{
    struct value *v = machine_value(m, VALUE_BOOL);

    if (v)
        v->integer = truth;
    return machine_push(m, v);
}

static const struct {
    const char *module, *name;
    enum global which;
    enum dtype dtype;
} allowed[] = {
    {"collections", "OrderedDict", GLOBAL_DICT, 0},
    {"torch._utils", "_rebuild_tensor_v2", GLOBAL_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", GLOBAL_PARAMETER, 0},
    {"torch", "FloatStorage", GLOBAL_STORAGE, DTYPE_F32},
    {"torch", "DoubleStorage", GLOBAL_STORAGE, DTYPE_F64},
    {"torch", "HalfStorage", GLOBAL_STORAGE, DTYPE_F16},
    {"torch", "BFloat16Storage", GLOBAL_STORAGE, DTYPE_BF16},
    {"torch", "LongStorage", GLOBAL_STORAGE, DTYPE_I64},
    {"torch", "IntStorage", GLOBAL_STORAGE, DTYPE_I32},
    {"torch", "ShortStorage", GLOBAL_STORAGE, DTYPE_I16},
    {"torch", "CharStorage", GLOBAL_STORAGE, DTYPE_I8},
    {"torch", "ByteStorage", GLOBAL_STORAGE, DTYPE_U8},
    {"torch", "BoolStorage", GLOBAL_STORAGE, DTYPE_BOOL},
};

/* A line of the pickle without its newline. */
static int take_line(struct machine *m, const char **line, size_t *length)
{
    const unsigned char *newline = memchr(m->at, '\n', (size_t)(m->end - m->at));

    if (!newline)
        return machine_damaged(m);
    *line = (const char *)m->at;
    *length = (size_t)(newline - m->at);
    m->at = newline + 1;
    return 0;
}

static int same(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && !memcmp(text, word, length);
}

static int op_global(struct machine *m)
{
    const char *module = NULL, *name = NULL;
    size_t n_module = 0, n_name = 0;

    if (take_line(m, &module, &n_module) || take_line(m, &name, &n_name))
        return -1;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(*allowed); i++) {
        if (same(module, n_module, allowed[i].module) && same(name, n_name, allowed[i].name)) {
            struct value *v = machine_value(m, VALUE_GLOBAL);
            if (v) {
                v->global.which = allowed[i].which;
                v->global.dtype = allowed[i].dtype;
            }
            return machine_push(m, v);
        }
    }
    return fail(m->err, "not a plain checkpoint: its pickle wants %.*s.%.*s, which is not run; "
                        "save a state_dict instead",
                (int)(n_module < 60 ? n_module : 60), module, (int)(n_name < 60 ? n_name : 60),
                name);
}

/* The number of a tuple or list. */
static const struct value *item(const struct value *v, size_t i, enum value_type type)
{
    if (!v || (v->type != VALUE_TUPLE && v->type != VALUE_LIST) || i >= v->sequence.n ||
        v->sequence.items[i]->type != type)
        return NULL;
    return v->sequence.items[i];
}

/* ('storage', type, key, device, number of elements) */
static int op_persistent_id(struct machine *m)
{
    const struct value *id = machine_pop(m), *kind = item(id, 0, VALUE_STRING);
    const struct value *type = item(id, 1, VALUE_GLOBAL), *key = item(id, 2, VALUE_STRING);
    const struct value *n = item(id, 4, VALUE_INT);
    struct value *v = machine_value(m, VALUE_STORAGE);

    if (!kind || !same(kind->string.text, kind->string.length, "storage") || !type ||
        type->global.which != GLOBAL_STORAGE || !key || !n || n->integer < 0)
        return fail(m->err, "pickle: a reference that is no storage");
    if (v) {
        v->storage.dtype = type->global.dtype;
        v->storage.key = id->sequence.items[2];
        v->storage.n = n->integer;
    }
    return machine_push(m, v);
}

/* (storage, offset, sizes, strides, ...) */
static int rebuild_tensor(struct machine *m, const struct value *args)
{
    const struct value *storage = item(args, 0, VALUE_STORAGE), *offset = item(args, 1, VALUE_INT);
    const struct value *sizes = item(args, 2, VALUE_TUPLE), *strides = item(args, 3, VALUE_TUPLE);
    struct value *v;

    if (!storage || !offset || !sizes || !strides || sizes->sequence.n != strides->sequence.n ||
        sizes->sequence.n > CHECKPOINT_MAX_AXES)
        return fail(m->err, "pickle: a tensor that is described in an unknown way");
    v = machine_value(m, VALUE_TENSOR);
    if (!v)
        return machine_no_memory(m);
    v->tensor.storage = args->sequence.items[0];
    v->tensor.offset = offset->integer;
    for (size_t i = 0; i < sizes->sequence.n; i++) {
        const struct value *size = item(sizes, i, VALUE_INT), *stride = item(strides, i, VALUE_INT);
        if (!size || !stride)
            return fail(m->err, "pickle: a tensor with a size that is no number");
        v->tensor.size[i] = size->integer;
        v->tensor.stride[i] = stride->integer;
        v->tensor.n_axes++;
    }
    return machine_push(m, v);
}

static int op_reduce(struct machine *m)
{
    struct value *args = machine_pop(m), *function = machine_pop(m);

    if (!args || args->type != VALUE_TUPLE || !function || function->type != VALUE_GLOBAL)
        return machine_damaged(m);
    switch (function->global.which) {
    case GLOBAL_DICT:
        if (args->sequence.n)
            return fail(m->err, "pickle: an OrderedDict built in an unknown way");
        return machine_push(m, machine_value(m, VALUE_DICT));
    case GLOBAL_TENSOR: return rebuild_tensor(m, args);
    case GLOBAL_PARAMETER:
        if (!item(args, 0, VALUE_TENSOR))
            return fail(m->err, "pickle: a parameter without its tensor");
        return machine_push(m, args->sequence.items[0]);
    case GLOBAL_STORAGE: break;
    }
    return fail(m->err, "pickle: a storage type used as a function");
}

/* The state of an OrderedDict is its _metadata: not needed. */
static int op_build(struct machine *m)
{
    struct value *state = machine_pop(m);

    if (!state || !machine_top(m) || machine_top(m)->type != VALUE_DICT)
        return fail(m->err, "pickle: it sets the state of something that has none");
    return 0;
}

static int op_tuple(struct machine *m, int n)
{
    struct value *v = machine_value(m, VALUE_TUPLE), *items[3];

    if (!v)
        return machine_no_memory(m);
    for (int i = n; i-- > 0;) {
        items[i] = machine_pop(m);
        if (!items[i])
            return machine_damaged(m);
    }
    for (int i = 0; i < n; i++) {
        if (machine_append(m, v, items[i]))
            return -1;
    }
    return machine_push(m, v);
}

static int op_tuple_from_mark(struct machine *m)
{
    struct value *v = machine_value(m, VALUE_TUPLE);

    return !v ? machine_no_memory(m) : machine_collect(m, v) ? -1 : machine_push(m, v);
}

/* The container under the last mark, if it is of that type. */
static struct value *under_mark(const struct machine *m, enum value_type type)
{
    size_t at = m->n_marks ? m->marks[m->n_marks - 1] : 0;

    return at && m->stack[at - 1]->type == type ? m->stack[at - 1] : NULL;
}

static int op_extend(struct machine *m, enum value_type type)
{
    struct value *container = under_mark(m, type);

    if (!container || machine_collect(m, container))
        return container ? -1 : machine_damaged(m);
    return type == VALUE_DICT && container->sequence.n % 2 ? machine_damaged(m) : 0;
}

static int op_append(struct machine *m)
{
    struct value *v = machine_pop(m);

    if (!v || !machine_top(m) || machine_top(m)->type != VALUE_LIST)
        return machine_damaged(m);
    return machine_append(m, machine_top(m), v);
}

static int op_set_item(struct machine *m)
{
    struct value *v = machine_pop(m), *key = machine_pop(m), *dict = machine_top(m);

    if (!v || !key || !dict || dict->type != VALUE_DICT)
        return machine_damaged(m);
    return machine_append(m, dict, key) || machine_append(m, dict, v) ? -1 : 0;
}

static int op_put(struct machine *m, int n_bytes)
{
    uint64_t slot = 0;

    if (machine_take(m, n_bytes, &slot))
        return -1;
    if (slot >= MEMO_MAX || !machine_top(m))
        return machine_damaged(m);
    if (slot >= m->memo_room) {
        size_t room = m->memo_room ? m->memo_room : 256;
        while (room <= slot)
            room *= 2;
        struct value **memo = realloc(m->memo, room * sizeof(*memo));
        if (!memo)
            return machine_no_memory(m);
        memset(memo + m->memo_room, 0, (room - m->memo_room) * sizeof(*memo));
        m->memo = memo;
        m->memo_room = room;
    }
    m->memo[slot] = machine_top(m);
    return 0;
}

static int op_get(struct machine *m, int n_bytes)
{
    uint64_t slot = 0;

    if (machine_take(m, n_bytes, &slot))
        return -1;
    if (slot >= m->memo_room || !m->memo[slot])
        return machine_damaged(m);
    return machine_push(m, m->memo[slot]);
}

static int step(struct machine *m, int op)
{
    switch (op) {
    case '(': return machine_mark(m);
    case ')': return machine_push(m, machine_value(m, VALUE_TUPLE));
    case ']': return machine_push(m, machine_value(m, VALUE_LIST));
    case '}': return machine_push(m, machine_value(m, VALUE_DICT));
    case 'N': return machine_push(m, machine_value(m, VALUE_NONE));
    case 0x88: return op_bool(m, 1);
    case 0x89: return op_bool(m, 0);
    case 'K': return op_integer(m, 1);
    case 'M': return op_integer(m, 2);
    case 'J': return op_integer(m, 4);
    case 0x8a: return op_long(m);
    case 'G': return op_float(m);
    case 'X': return op_string(m, 4);
    case 0x8c: return op_string(m, 1);
    case 't': return op_tuple_from_mark(m);
    case 0x85: return op_tuple(m, 1);
    case 0x86: return op_tuple(m, 2);
    case 0x87: return op_tuple(m, 3);
    case 'c': return op_global(m);
    case 'Q': return op_persistent_id(m);
    case 'R': return op_reduce(m);
    case 'b': return op_build(m);
    case 'a': return op_append(m);
    case 'e': return op_extend(m, VALUE_LIST);
    case 's': return op_set_item(m);
    case 'u': return op_extend(m, VALUE_DICT);
    case 'q': return op_put(m, 1);
    case 'r': return op_put(m, 4);
    case 'h': return op_get(m, 1);
    case 'j': return op_get(m, 4);
    default: return fail(m->err, "pickle: opcode 0x%02x is none that torch.save writes", op);
    }
}

static int run(struct machine *m)
{
    if (m->end - m->at < 2 || m->at[0] != 0x80 || m->at[1] > 5)
        return fail(m->err, "pickle: not one");
    m->at += 2;
    while (m->at < m->end) {
        int op = *m->at++;
        if (op == '.') {
            m->pickle->root = m->n_marks ? NULL : machine_pop(m);
            return m->pickle->root ? 0 : machine_damaged(m);
        }
        if (step(m, op))
            return -1;
    }
    return fail(m->err, "pickle: cut short");
}

int pickle_open(struct pickle *p, const unsigned char *bytes, size_t n, struct error *err)
{
    struct machine m = {.pickle = p, .at = bytes, .end = bytes + n, .err = err};
    int status;

    *p = (struct pickle){0};
    status = run(&m);
    free(m.stack);
    free(m.marks);
    free(m.memo);
    if (status)
        pickle_close(p);
    return status;
}

void pickle_close(struct pickle *p)
{
    for (size_t i = 0; i < p->n_values; i++) {
        struct value *v = p->values[i];
        if (v->type == VALUE_TUPLE || v->type == VALUE_LIST || v->type == VALUE_DICT)
            free(v->sequence.items);
        free(v);
    }
    free(p->values);
    *p = (struct pickle){0};
}
