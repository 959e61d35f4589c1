// SPDX-License-Identifier: MIT
/* fuzz_checkpoint.h - what must hold for every checkpoint that was accepted. */
#ifndef FUZZ_CHECKPOINT_H
#define FUZZ_CHECKPOINT_H

#include "model/checkpoint_read.h"

#include <stdlib.h>
#include <string.h>

/* Reads every element; a sanitizer sees the rest. A view may be expanded to
 * far more elements than the file has, within the reader's limit. */
static inline void use_tensor(const struct tensor *t)
{
    size_t n = tensor_count(t);
    float *floats = malloc((n + 1) * sizeof(*floats));

    if ((uintptr_t)t->data % dtype_bytes(t->dtype) || !t->data)
        abort();
    if (floats)
        tensor_to_floats(floats, t);
    free(floats);
}

/* Also closes it, or checks that a refused one says why in one line. */
static inline void use_checkpoint(struct checkpoint *c, int result, const struct error *err)
{
    if (result) {
        if (c->storage || strncmp(err->text, "fuzz: ", 6) || !err->text[6] ||
            strchr(err->text, '\n'))
            abort();
        return;
    }
    for (int i = 0; i < c->n_tensors; i++) {
        if (checkpoint_find(c, c->tensors[i].name) != &c->tensors[i])
            abort();
        use_tensor(&c->tensors[i]);
    }
    checkpoint_close(c);
}

#endif
