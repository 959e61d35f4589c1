// SPDX-License-Identifier: MIT
/* pickle_write.h - the pickle in a torch file, as torch.save makes it.
 *
 * Protocol 2, every byte as Python's own pickler has it (memo numbers, batches,
 * the smallest form of an integer), so that files can be compared. Only what a
 * checkpoint is made of: tensors that are each a whole storage of their own,
 * and configs of plain values. Thread: any. */
#ifndef PICKLE_WRITE_H
#define PICKLE_WRITE_H

#include "model/checkpoint.h"
#include "model/text.h"

/* With a config, {"state_dict": OrderedDict, "config": dict}; without (NULL), the
 * OrderedDict alone. Tensor i is storage "i". config is JSON text, an object; where
 * upstream has tuples or floats, so has the pickle. What could not be added is found
 * by text_check. */
int pickle_write_torch(struct text *t, const struct tensor *tensors, int n_tensors,
                       const char *config, struct error *err);

#endif
