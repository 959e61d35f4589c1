// SPDX-License-Identifier: MIT
/* checkpoint.h - a file of named tensors and a configuration, whoever wrote it.
 *
 * Every reader (safetensors, torch zip) ends here: a list of tensors, each
 * checked against the file, and the configuration as JSON text. safetensors
 * are mapped and used in place; so is a torch tensor whose storage is not
 * compressed and whose elements follow one another. The rest is copied, also
 * what does not begin at a multiple of its element.
 *
 * Nothing in the file is a size, index or offset before it was checked. Files
 * are refused with one line that names file and tensor. A mapped file must not
 * be cut while it is open (checkpoint_write replaces it, which is harmless).
 * Thread: any; a checkpoint is constant after opening. */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include "model/error.h"

#include <stddef.h>
#include <stdint.h>

enum { CHECKPOINT_MAX_AXES = 8 };

enum dtype { DTYPE_F32, DTYPE_F64, DTYPE_F16, DTYPE_BF16, DTYPE_I64, DTYPE_I32, DTYPE_I16,
             DTYPE_I8, DTYPE_U8, DTYPE_BOOL };

struct tensor {
    const char *name; // unique within the file
    enum dtype dtype;
    int n_axes;       // 0 for a scalar
    int64_t size[CHECKPOINT_MAX_AXES];
    const void *data; // row major, contiguous, little endian, aligned to its type
};

struct checkpoint {
    struct tensor *tensors; // sorted by name
    int n_tensors;
    const char *config;     // JSON text {"wavlm": {...}, "readout": {...} or absent}, or NULL
    const char *provenance; // text, or NULL
    struct checkpoint_storage *storage; // the mapping and what was copied
};

/* Opens an antiphon (or any) safetensors file, or an upstream torch file
 * {"config", "state_dict"} or a plain state dict, told apart by content. For a
 * torch file, config is {"wavlm": <its config>}, or NULL if it has none.
 * A folder is Hugging Face's (config.json and weights, perhaps in shards) or
 * DiariZen's (config.toml and pytorch_model.bin); its tensors get upstream's
 * names, and its config says that the model is made for whole windows. */
int checkpoint_open(struct checkpoint *c, const char *path, struct error *err);

/* The same for safetensors that stand in memory (the built-in model). The
 * bytes are the caller's, 64-byte aligned, and must outlive the checkpoint. */
int checkpoint_open_memory(struct checkpoint *c, const void *bytes, size_t n_bytes,
                           const char *name, struct error *err);

/* Releases everything; a zeroed checkpoint may be closed. */
void checkpoint_close(struct checkpoint *c);

/* A training run's state (prune/trainer.h) becomes the model that the run would write: of the
 * mean of its weights, if it kept one. Any other checkpoint stays as it is. */
void checkpoint_take_model(struct checkpoint *c);

/* The tensor of that name, or NULL. */
const struct tensor *checkpoint_find(const struct checkpoint *c, const char *name);

/* Lets go of the memory in which the file's pages with this tensor were read; they are read
 * again when needed. For tensors that were copied. */
void checkpoint_let_go(const struct checkpoint *c, const struct tensor *t);

/* Number of elements. */
size_t tensor_count(const struct tensor *t);

/* Converts all elements to float32 (any dtype; F64 and I64 are rounded). */
void tensor_to_floats(float *dst, const struct tensor *t);

/* The other way, to F32, F16 or BF16, to the nearest number and to even between two; -1 if
 * float16 has none that near (beyond 65504; NaN and infinity are kept). */
int tensor_from_floats(void *dst, enum dtype dtype, const float *src, size_t n);

/* Writes the tensors as one antiphon safetensors file: beside its name, then
 * renamed, so that the name never stands for half a file. metadata: format,
 * version, config and provenance are written from the arguments; either text
 * may be NULL. The data begin at a multiple of 64 bytes of the file. The format
 * allows no holes, so only tensors whose bytes are a multiple of 64 are sure
 * to begin at one; all others begin at a multiple of their element. The order
 * in which tensors are given does not matter. */
int checkpoint_write(const char *path, const struct tensor *tensors, int n_tensors,
                     const char *config, const char *provenance, struct error *err);

/* The same without antiphon metadata: for features and other results. */
int safetensors_write(const char *path, const struct tensor *tensors, int n_tensors,
                      struct error *err);

/* The same for other programs' readers, with their word in the metadata: format "pt". */
int safetensors_write_format(const char *path, const struct tensor *tensors, int n_tensors,
                             const char *format, struct error *err);

/* Writes a torch file as torch.save does: {"state_dict", "config"}, or without a config
 * (JSON text, an object) the state dict alone, in the order in which tensors are given. */
int torch_write(const char *path, const struct tensor *tensors, int n_tensors,
                const char *config, struct error *err);

#endif
