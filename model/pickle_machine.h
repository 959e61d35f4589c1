// SPDX-License-Identifier: MIT
/* pickle_machine.h - the interpreter's state, shared by pickle.c (the
 * instructions) and pickle_torch.c (the allow-list). Not for others. */
#ifndef PICKLE_MACHINE_H
#define PICKLE_MACHINE_H

#include "model/pickle.h"

struct pickle_machine {
    const unsigned char *start, *at, *end;
    struct pool *pool;
    struct error *err;
    struct pickle_value **stack, **memo;
    size_t n_stack, stack_capacity;
    size_t *marks;              // heights of the stack
    size_t n_marks, marks_capacity;
    size_t n_memo, memo_capacity; // n_memo: one more than the largest index
    size_t n_values;
    struct pickle_storage **storages;
    size_t n_storages, storages_capacity;
};

/* A new zeroed value, counted; NULL on error. */
struct pickle_value *pickle_new(struct pickle_machine *m, enum pickle_kind kind);

/* The name module.name as a value: FOREIGN if it is not on the list. NULL on error. */
struct pickle_value *pickle_name(struct pickle_machine *m, const char *module, const char *name);

/* What name(*arguments) would give, or NULL: of a FOREIGN name another FOREIGN
 * value. arguments is a tuple. */
struct pickle_value *pickle_call(struct pickle_machine *m, const struct pickle_value *name,
                                 const struct pickle_value *arguments);

/* The storage that a persistent id, a tuple, stands for, or NULL. */
struct pickle_value *pickle_persistent(struct pickle_machine *m, const struct pickle_value *id);

#endif
