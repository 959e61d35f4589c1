// SPDX-License-Identifier: MIT
/* torch_read.h - from the values of a pickle to a checkpoint, for both of
 * torch's containers. Not for others. */
#ifndef TORCH_READ_H
#define TORCH_READ_H

#include "model/checkpoint_read.h"
#include "model/pickle.h"

/* Fills s->data for one storage, which stands for its key; called only for
 * storages that tensors need, once each. */
typedef int torch_load(void *container, struct pickle_storage *s, struct error *err);

/* Takes {"config", "state_dict"} or a plain state dict apart, and loads. */
int torch_take(struct checkpoint *c, const struct pickle *p, torch_load *load, void *container,
               struct error *err);

/* What interpreting a pickle may take. */
enum { TORCH_PICKLE_MAX_BYTES = 16 << 20, TORCH_POOL_BYTES = 512 << 20 };

#endif
