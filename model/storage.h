// SPDX-License-Identifier: MIT
/* storage.h - what a checkpoint holds on to; for its readers only. */
#ifndef STORAGE_H
#define STORAGE_H

#include "model/checkpoint.h"

struct checkpoint_storage {
    void *map;          // the file, or NULL
    size_t map_bytes;
    void **owned;       // allocations that live as long as the checkpoint
    size_t n_owned, room;
};

/* n bytes (at least 1) that are freed with the checkpoint; NULL without memory. */
void *storage_alloc(struct checkpoint_storage *s, size_t n);

/* A copy of n bytes of text with a 0 behind it. */
char *storage_text(struct checkpoint_storage *s, const char *text, size_t n);

/* Bytes of one element. */
size_t dtype_bytes(enum dtype dtype);

/* Sorts by name and refuses names that stand twice. */
int checkpoint_sort(struct checkpoint *c, struct error *err);

/* The readers: fill tensors, config and provenance from n bytes, which stay. */
int safetensors_parse(struct checkpoint *c, const unsigned char *bytes, size_t n,
                      struct error *err);
int torch_parse(struct checkpoint *c, const unsigned char *bytes, size_t n, struct error *err);

/* checkpoint_open_memory for any format; the bytes stay the caller's. */
int checkpoint_open_bytes(struct checkpoint *c, const void *bytes, size_t n, struct error *err);

#endif
