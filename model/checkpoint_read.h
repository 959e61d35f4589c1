// SPDX-License-Identifier: MIT
/* checkpoint_read.h - what the readers of checkpoints share; not for others.
 *
 * A reader gets a checkpoint whose storage names the bytes of the file, and
 * fills tensors, config and provenance; all it needs to keep goes into the
 * storage's pool. It may fail anywhere: checkpoint_close cleans up. */
#ifndef CHECKPOINT_READ_H
#define CHECKPOINT_READ_H

#include "model/checkpoint.h"
#include "model/pool.h"

struct checkpoint_storage {
    const unsigned char *bytes; // the whole file
    size_t n_bytes;
    void *mapping;              // the same, if it is ours to unmap
    struct pool pool;           // names, texts, and tensors that could not be used in place
    struct checkpoint *parts;   // of a folder: the files of weights that its tensors stand in
    int n_parts;
};

enum { CHECKPOINT_MAX_TENSORS = 1 << 20 };

/* The three readers; checkpoint_open chooses by torch_is_.. and the first bytes. */
int safetensors_read(struct checkpoint *c, struct error *err);
int torch_zip_read(struct checkpoint *c, struct error *err);
int torch_legacy_read(struct checkpoint *c, struct error *err);

/* The reader of folders (folder.c); its errors name the file. */
int folder_read(struct checkpoint *c, const char *path, struct error *err);

/* As checkpoint_open, but a folder is refused. */
int checkpoint_open_file(struct checkpoint *c, const char *path, struct error *err);

/* Whether the bytes begin like a torch file of before 1.6, which was no zip. */
int torch_is_legacy(const unsigned char *bytes, size_t n_bytes);

/* Any of the formats, from memory; otherwise as checkpoint_open_memory. */
int checkpoint_open_bytes(struct checkpoint *c, const void *bytes, size_t n_bytes,
                          const char *name, struct error *err);

/* Room for n zeroed tensors; n_tensors stays for the reader to count up. */
int checkpoint_reserve(struct checkpoint *c, size_t n, struct error *err);

/* Bytes of one element, and the name safetensors gives the type. */
size_t dtype_bytes(enum dtype dtype);
const char *dtype_name(enum dtype dtype);

/* 0, or -1 if the name is none that is known. */
int dtype_from_name(enum dtype *dtype, const char *name);

/* Number of elements of these sizes, or -1 if one is negative or the bytes of
 * all together pass what a file can hold. */
int64_t shape_count(const int64_t *size, int n_axes, enum dtype dtype);

#endif
