// SPDX-License-Identifier: MIT
#include "model/pickle_machine.h"

#include <stdlib.h>
#include <string.h>

enum { STACK_MAX = 1 << 20 };

int machine_no_memory(struct machine *m)
{
    return fail(m->err, "out of memory");
}

struct value *machine_value(struct machine *m, enum value_type type)
{
    struct pickle *p = m->pickle;
    struct value *v;

    if (p->n_values == p->room) {
        size_t room = p->room ? 2 * p->room : 256;
        struct value **values = realloc(p->values, room * sizeof(*values));
        if (!values)
            return NULL;
        p->values = values;
        p->room = room;
    }
    v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    v->type = type;
    p->values[p->n_values++] = v;
    return v;
}

int machine_push(struct machine *m, struct value *v)
{
    if (!v)
        return machine_no_memory(m);
    if (m->n_stack == m->stack_room) {
        size_t room = m->stack_room ? 2 * m->stack_room : 256;
        struct value **stack = room > STACK_MAX ? NULL : realloc(m->stack, room * sizeof(*stack));
        if (!stack)
            return fail(m->err, "pickle: too deep");
        m->stack = stack;
        m->stack_room = room;
    }
    m->stack[m->n_stack++] = v;
    return 0;
}

/* Values above the last mark belong to it. */
struct value *machine_pop(struct machine *m)
{
    size_t floor = m->n_marks ? m->marks[m->n_marks - 1] : 0;

    return m->n_stack > floor ? m->stack[--m->n_stack] : NULL;
}

struct value *machine_top(const struct machine *m)
{
    return m->n_stack ? m->stack[m->n_stack - 1] : NULL;
}

int machine_mark(struct machine *m)
{
    if (m->n_marks == m->marks_room) {
        size_t room = m->marks_room ? 2 * m->marks_room : 64;
        size_t *marks = room > STACK_MAX ? NULL : realloc(m->marks, room * sizeof(*marks));
        if (!marks)
            return fail(m->err, "pickle: too deep");
        m->marks = marks;
        m->marks_room = room;
    }
    m->marks[m->n_marks++] = m->n_stack;
    return 0;
}

int machine_damaged(struct machine *m)
{
    return fail(m->err, "pickle: damaged at byte %zu from its end", (size_t)(m->end - m->at));
}

/* n little-endian bytes of the pickle as a number. */
int machine_take(struct machine *m, int n, uint64_t *number)
{
    if (m->end - m->at < n)
        return machine_damaged(m);
    *number = 0;
    for (int i = 0; i < n; i++)
        *number |= (uint64_t)m->at[i] << (8 * i);
    m->at += n;
    return 0;
}

int machine_append(struct machine *m, struct value *sequence, struct value *item)
{
    size_t n = sequence->sequence.n;

    if (n == sequence->sequence.room) {
        size_t room = n ? 2 * n : 8;
        struct value **items = realloc(sequence->sequence.items, room * sizeof(*items));
        if (!items)
            return machine_no_memory(m);
        sequence->sequence.items = items;
        sequence->sequence.room = room;
    }
    sequence->sequence.items[sequence->sequence.n++] = item;
    return 0;
}

/* Moves everything above the last mark into a sequence; its type says which
 * kinds may be grown. */
int machine_collect(struct machine *m, struct value *sequence)
{
    if (!m->n_marks)
        return machine_damaged(m);
    size_t first = m->marks[--m->n_marks];
    for (size_t i = first; i < m->n_stack; i++) {
        if (machine_append(m, sequence, m->stack[i]))
            return -1;
    }
    m->n_stack = first;
    return 0;
}
