// SPDX-License-Identifier: MIT
/* pickle_machine.h - the stack machine under the opcodes; for pickle.c only.
 *
 * All that can fail returns -1, or NULL, after filling the machine's err. */
#ifndef PICKLE_MACHINE_H
#define PICKLE_MACHINE_H

#include "model/pickle.h"

struct machine {
    struct pickle *pickle;
    const unsigned char *at, *end;
    struct value **stack;
    size_t n_stack, stack_room;
    size_t *marks;
    size_t n_marks, marks_room;
    struct value **memo;
    size_t memo_room;
    struct error *err;
};

int machine_no_memory(struct machine *m);

/* "damaged", and where. */
int machine_damaged(struct machine *m);

/* A value that lives as long as the pickle; NULL without memory. */
struct value *machine_value(struct machine *m, enum value_type type);

/* The stack. Values below the last mark are not popped; pushing NULL is the
 * memory error of the machine_value that made it. */
int machine_push(struct machine *m, struct value *v);
struct value *machine_pop(struct machine *m);
struct value *machine_top(const struct machine *m);
int machine_mark(struct machine *m);

/* n little-endian bytes of the pickle as a number. */
int machine_take(struct machine *m, int n, uint64_t *number);

/* Adds an item to a tuple, list or dict. */
int machine_append(struct machine *m, struct value *sequence, struct value *item);

/* Moves everything above the last mark into a sequence, and the mark away. */
int machine_collect(struct machine *m, struct value *sequence);

#endif
