// SPDX-License-Identifier: MIT
/* builtin.h - the model that is part of the program: nano.safetensors, as bytes. */
#ifndef BUILTIN_H
#define BUILTIN_H

#include <stddef.h>

extern const unsigned char builtin_model[]; // 64-byte aligned
extern const unsigned char builtin_model_end[];

static inline size_t builtin_model_bytes(void)
{
    return (size_t)(builtin_model_end - builtin_model);
}

#endif
