// SPDX-License-Identifier: MIT
#include "model/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

/* A checkpoint of 500 tensors takes 10 000 instructions; each makes one value at most. */
enum { MAX_VALUES = 1 << 20, MAX_PROTOCOL = 5 };

#define AGAIN "; the file is damaged or cut short, fetch or make it again"

struct pickle_value *pickle_new(struct pickle_machine *m, enum pickle_kind kind)
{
    if (m->n_values == MAX_VALUES) {
        fail(m->err, "pickle has more than %d values; no checkpoint needs that many", MAX_VALUES);
        return NULL;
    }
    struct pickle_value *v = pool_alloc(m->pool, sizeof(*v), _Alignof(struct pickle_value), m->err);
    if (v) {
        v->kind = kind;
        m->n_values++;
    }
    return v;
}

/* --- the input -------------------------------------------------------- */

static const unsigned char *take(struct pickle_machine *m, size_t n)
{
    const unsigned char *at = m->at;

    if (n > (size_t)(m->end - at)) {
        fail(m->err, "pickle ends inside an instruction" AGAIN);
        return NULL;
    }
    m->at += n;
    return at;
}

/* An unsigned little-endian number of n <= 8 bytes. */
static int take_number(struct pickle_machine *m, size_t n, uint64_t *out)
{
    const unsigned char *at = take(m, n);

    if (!at)
        return -1;
    *out = 0;
    for (size_t i = n; i-- > 0;)
        *out = *out << 8 | at[i];
    return 0;
}

/* The line up to the next newline, as a string of the pool. */
static char *take_line(struct pickle_machine *m)
{
    const unsigned char *newline = memchr(m->at, '\n', (size_t)(m->end - m->at));

    if (!newline) {
        fail(m->err, "pickle ends inside a name" AGAIN);
        return NULL;
    }
    char *line = pool_string(m->pool, (const char *)m->at, (size_t)(newline - m->at), m->err);
    m->at = newline + 1;
    return line;
}

/* --- the stack -------------------------------------------------------- */

static int push(struct pickle_machine *m, struct pickle_value *v)
{
    if (!v)
        return -1;
    if (m->n_stack == m->stack_capacity) {
        void *bigger = pool_grow(m->pool, m->stack, m->n_stack, &m->stack_capacity,
                                 sizeof(*m->stack), m->err);
        if (!bigger)
            return -1;
        m->stack = bigger;
    }
    m->stack[m->n_stack++] = v;
    return 0;
}

/* The topmost n > 0 values, which may not reach below the last mark. */
static struct pickle_value **top(struct pickle_machine *m, size_t n)
{
    size_t fence = m->n_marks ? m->marks[m->n_marks - 1] : 0;

    if (n > m->n_stack - fence) {
        fail(m->err, "pickle takes a value that is not there" AGAIN);
        return NULL;
    }
    return m->stack + m->n_stack - n;
}

static int op_mark(struct pickle_machine *m)
{
    if (m->n_marks == m->marks_capacity) {
        void *bigger = pool_grow(m->pool, m->marks, m->n_marks, &m->marks_capacity,
                                 sizeof(*m->marks), m->err);
        if (!bigger)
            return -1;
        m->marks = bigger;
    }
    m->marks[m->n_marks++] = m->n_stack;
    return 0;
}

/* Ends the last mark; how many values stood above it goes to n. */
static int pop_mark(struct pickle_machine *m, size_t *n)
{
    if (!m->n_marks)
        return fail(m->err, "pickle ends a list that was not begun" AGAIN);
    *n = m->n_stack - m->marks[--m->n_marks];
    return 0;
}

/* --- plain values ----------------------------------------------------- */

static int push_integer(struct pickle_machine *m, enum pickle_kind kind, int64_t integer)
{
    struct pickle_value *v = pickle_new(m, kind);

    if (v)
        v->integer = integer;
    return push(m, v);
}

static int op_none(struct pickle_machine *m) { return push(m, pickle_new(m, PICKLE_NONE)); }
static int op_true(struct pickle_machine *m) { return push_integer(m, PICKLE_BOOL, 1); }
static int op_false(struct pickle_machine *m) { return push_integer(m, PICKLE_BOOL, 0); }

static int push_number(struct pickle_machine *m, size_t n)
{
    uint64_t number;

    if (take_number(m, n, &number))
        return -1;
    return push_integer(m, PICKLE_INT, n == 4 ? (int64_t)(int32_t)number : (int64_t)number);
}

static int op_int4(struct pickle_machine *m) { return push_number(m, 4); }
static int op_int1(struct pickle_machine *m) { return push_number(m, 1); }
static int op_int2(struct pickle_machine *m) { return push_number(m, 2); }

/* Two's complement of any length; what fits 64 bits is taken. */
static int op_long(struct pickle_machine *m)
{
    uint64_t n, number = 0;

    if (take_number(m, 1, &n))
        return -1;
    const unsigned char *at = take(m, n);
    if (!at)
        return -1;
    if (n > 8)
        return fail(m->err, "pickle has an integer of %d bytes; at most 8 are read", (int)n);
    for (size_t i = n; i-- > 0;)
        number = number << 8 | at[i];
    if (n && n < 8 && at[n - 1] & 0x80)
        number |= UINT64_MAX << (8 * n);
    return push_integer(m, PICKLE_INT, (int64_t)number);
}

static int op_float(struct pickle_machine *m)
{
    const unsigned char *at = take(m, 8);
    uint64_t bits = 0;

    if (!at)
        return -1;
    for (int i = 0; i < 8; i++) // the only big-endian number of the format
        bits = bits << 8 | at[i];
    struct pickle_value *v = pickle_new(m, PICKLE_FLOAT);
    if (v)
        memcpy(&v->real, &bits, sizeof(v->real));
    return push(m, v);
}

static int push_string(struct pickle_machine *m, size_t n_length)
{
    uint64_t n;

    if (take_number(m, n_length, &n))
        return -1;
    const char *at = (const char *)take(m, n);
    if (!at)
        return -1;
    if (!utf8_valid(at, n) || memchr(at, 0, n))
        return fail(m->err, "pickle has a string that is not UTF-8 or holds a zero" AGAIN);
    struct pickle_value *v = pickle_new(m, PICKLE_STRING);
    if (v) {
        v->string.n = n;
        v->string.bytes = pool_string(m->pool, at, n, m->err);
        if (!v->string.bytes)
            return -1;
    }
    return push(m, v);
}

static int op_string1(struct pickle_machine *m) { return push_string(m, 1); }
static int op_string4(struct pickle_machine *m) { return push_string(m, 4); }

/* --- tuples, lists, dictionaries -------------------------------------- */

/* The topmost n values become one tuple. */
static int push_tuple(struct pickle_machine *m, size_t n)
{
    struct pickle_value *v = pickle_new(m, PICKLE_TUPLE);

    if (!v)
        return -1;
    if (n) { // with nothing to take there may be no stack yet
        struct pickle_value **values = top(m, n);
        if (!values)
            return -1;
        v->items.at = pool_alloc(m->pool, n * sizeof(*values), _Alignof(void *), m->err);
        if (!v->items.at)
            return -1;
        memcpy(v->items.at, values, n * sizeof(*values));
    }
    v->items.n = v->items.capacity = n;
    m->n_stack -= n;
    return push(m, v);
}

static int op_tuple0(struct pickle_machine *m) { return push_tuple(m, 0); }
static int op_tuple1(struct pickle_machine *m) { return push_tuple(m, 1); }
static int op_tuple2(struct pickle_machine *m) { return push_tuple(m, 2); }
static int op_tuple3(struct pickle_machine *m) { return push_tuple(m, 3); }

static int op_tuple(struct pickle_machine *m)
{
    size_t n = 0;

    return pop_mark(m, &n) ? -1 : push_tuple(m, n);
}

static int op_empty_list(struct pickle_machine *m) { return push(m, pickle_new(m, PICKLE_LIST)); }
static int op_empty_dict(struct pickle_machine *m) { return push(m, pickle_new(m, PICKLE_DICT)); }

/* The topmost n values go to the end of the list or dictionary below them. */
static int extend(struct pickle_machine *m, enum pickle_kind kind, size_t n)
{
    struct pickle_value **values = top(m, n + 1);

    if (!values)
        return -1;
    struct pickle_value *v = *values++;
    if (v->kind == PICKLE_FOREIGN) {
        m->n_stack -= n;
        return 0;
    }
    if (v->kind != kind || (kind == PICKLE_DICT && n % 2))
        return fail(m->err, "pickle adds to what is no list or dictionary" AGAIN);
    while (v->items.capacity - v->items.n < n) {
        void *bigger = pool_grow(m->pool, v->items.at, v->items.n, &v->items.capacity,
                                 sizeof(*v->items.at), m->err);
        if (!bigger)
            return -1;
        v->items.at = bigger;
    }
    if (n)
        memcpy(v->items.at + v->items.n, values, n * sizeof(*values));
    v->items.n += n;
    m->n_stack -= n;
    return 0;
}

static int op_append(struct pickle_machine *m) { return extend(m, PICKLE_LIST, 1); }
static int op_setitem(struct pickle_machine *m) { return extend(m, PICKLE_DICT, 2); }

static int op_appends(struct pickle_machine *m)
{
    size_t n = 0;

    return pop_mark(m, &n) ? -1 : extend(m, PICKLE_LIST, n);
}

static int op_setitems(struct pickle_machine *m)
{
    size_t n = 0;

    return pop_mark(m, &n) ? -1 : extend(m, PICKLE_DICT, n);
}

/* --- the memo --------------------------------------------------------- */

static int memo_put(struct pickle_machine *m, uint64_t index)
{
    struct pickle_value **value = top(m, 1);

    if (!value)
        return -1;
    if (index > (uint64_t)(m->end - m->start) || index > MAX_VALUES)
        return fail(m->err, "pickle remembers a value under number %llu" AGAIN,
                    (unsigned long long)index);
    while (index >= m->memo_capacity) {
        void *bigger = pool_grow(m->pool, m->memo, m->n_memo, &m->memo_capacity, sizeof(*m->memo),
                                 m->err);
        if (!bigger)
            return -1;
        m->memo = bigger;
    }
    m->memo[index] = *value;
    if (index >= m->n_memo)
        m->n_memo = (size_t)index + 1;
    return 0;
}

static int put_numbered(struct pickle_machine *m, size_t n)
{
    uint64_t index = 0;

    return take_number(m, n, &index) ? -1 : memo_put(m, index);
}

static int get_numbered(struct pickle_machine *m, size_t n)
{
    uint64_t index = 0;

    if (take_number(m, n, &index))
        return -1;
    if (index >= m->n_memo || !m->memo[index])
        return fail(m->err, "pickle recalls number %llu, which was not remembered" AGAIN,
                    (unsigned long long)index);
    return push(m, m->memo[index]);
}

static int op_put1(struct pickle_machine *m) { return put_numbered(m, 1); }
static int op_put4(struct pickle_machine *m) { return put_numbered(m, 4); }
static int op_get1(struct pickle_machine *m) { return get_numbered(m, 1); }
static int op_get4(struct pickle_machine *m) { return get_numbered(m, 4); }
static int op_memoize(struct pickle_machine *m) { return memo_put(m, m->n_memo); }

/* --- names, and what they are called with ----------------------------- */

static int op_name(struct pickle_machine *m)
{
    const char *module = take_line(m);
    const char *name = module ? take_line(m) : NULL;

    return name ? push(m, pickle_name(m, module, name)) : -1;
}

static int op_stack_name(struct pickle_machine *m)
{
    struct pickle_value **words = top(m, 2);

    if (!words)
        return -1;
    if (words[0]->kind != PICKLE_STRING || words[1]->kind != PICKLE_STRING)
        return fail(m->err, "pickle names something by what is no string" AGAIN);
    m->n_stack -= 2;
    return push(m, pickle_name(m, words[0]->string.bytes, words[1]->string.bytes));
}

/* name(*arguments), or a new object of a class: with what is known both are one. */
static int op_call(struct pickle_machine *m)
{
    struct pickle_value **values = top(m, 2);

    if (!values)
        return -1;
    m->n_stack -= 2;
    return push(m, pickle_call(m, values[0], values[1]));
}

static int op_persistent(struct pickle_machine *m)
{
    struct pickle_value **values = top(m, 1);

    if (!values)
        return -1;
    m->n_stack--;
    return push(m, pickle_persistent(m, values[0]));
}

/* Attributes of an OrderedDict (_metadata) and of foreign objects are dropped;
 * nothing else may have any. */
static int op_build(struct pickle_machine *m)
{
    struct pickle_value **values = top(m, 2);

    if (!values)
        return -1;
    if (values[0]->kind != PICKLE_FOREIGN &&
        (values[0]->kind != PICKLE_DICT || values[1]->kind != PICKLE_DICT))
        return fail(m->err, "not a plain checkpoint: wants to set attributes of an object; save "
                    "the model's state_dict only");
    m->n_stack--;
    return 0;
}

/* --- running ---------------------------------------------------------- */

static int op_protocol(struct pickle_machine *m)
{
    uint64_t protocol;

    if (take_number(m, 1, &protocol))
        return -1;
    if (protocol > MAX_PROTOCOL)
        return fail(m->err, "pickle of protocol %d; at most %d is read", (int)protocol,
                    MAX_PROTOCOL);
    return 0;
}

static int op_frame(struct pickle_machine *m)
{
    return take(m, 8) ? 0 : -1; // a length, only good for reading ahead
}

static int (*const operations[256])(struct pickle_machine *) = {
    [0x80] = op_protocol, [0x95] = op_frame,
    ['N'] = op_none, [0x88] = op_true, [0x89] = op_false,
    ['J'] = op_int4, ['K'] = op_int1, ['M'] = op_int2, [0x8a] = op_long, ['G'] = op_float,
    ['X'] = op_string4, [0x8c] = op_string1,
    [')'] = op_tuple0, [0x85] = op_tuple1, [0x86] = op_tuple2, [0x87] = op_tuple3,
    ['('] = op_mark, ['t'] = op_tuple,
    [']'] = op_empty_list, ['a'] = op_append, ['e'] = op_appends,
    ['}'] = op_empty_dict, ['s'] = op_setitem, ['u'] = op_setitems,
    ['q'] = op_put1, ['r'] = op_put4, ['h'] = op_get1, ['j'] = op_get4, [0x94] = op_memoize,
    ['c'] = op_name, [0x93] = op_stack_name, ['R'] = op_call, [0x81] = op_call,
    ['b'] = op_build,
    ['Q'] = op_persistent,
};

static int run(struct pickle_machine *m)
{
    for (;;) {
        const unsigned char *code = take(m, 1);
        if (!code)
            return -1;
        if (*code == '.')
            break;
        if (!operations[*code])
            return fail(m->err, "not a plain checkpoint: pickle instruction 0x%02x at byte %zu is "
                        "not allowed; save the model's state_dict only", *code,
                        (size_t)(code - m->start));
        if (operations[*code](m))
            return -1;
    }
    if (m->n_stack != 1 || m->n_marks)
        return fail(m->err, "pickle ends with %zu values, expected one" AGAIN, m->n_stack);
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    const struct pickle_storage *x = *(struct pickle_storage *const *)a;
    const struct pickle_storage *y = *(struct pickle_storage *const *)b;

    return strcmp(x->key, y->key);
}

/* Leaves one storage of each key in the list; all of a key must agree. */
static int unite_storages(struct pickle_machine *m)
{
    size_t n = 0;

    if (m->n_storages)
        qsort(m->storages, m->n_storages, sizeof(*m->storages), compare_keys);
    for (size_t i = 0; i < m->n_storages; i++) {
        struct pickle_storage *s = m->storages[i], *last = n ? m->storages[n - 1] : NULL;
        if (!last || strcmp(last->key, s->key)) {
            s->first = m->storages[n++] = s;
            continue;
        }
        if (s->dtype != last->dtype || s->n_elements != last->n_elements)
            return fail(m->err, "storage '%.60s' is said to be of two types or lengths" AGAIN,
                        s->key);
        s->first = last;
    }
    m->n_storages = n;
    return 0;
}

int pickle_read(struct pickle *p, struct pool *pool, const void *bytes, size_t n_bytes,
                struct error *err)
{
    struct pickle_machine m = {.start = bytes, .at = bytes, .pool = pool, .err = err};

    m.end = m.start + n_bytes;
    *p = (struct pickle){.pool = pool};
    if (run(&m) || unite_storages(&m))
        return -1;
    p->root = m.stack[0];
    p->storages = m.storages;
    p->n_storages = m.n_storages;
    p->n_bytes = (size_t)(m.at - m.start);
    return 0;
}
