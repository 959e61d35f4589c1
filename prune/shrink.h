// SPDX-License-Identifier: MIT
/* shrink.h - the cut: a gated model without what its gates closed.
 *
 * Closed units go from every tensor that has their axis; what is left of a
 * gate's value is folded into the weights behind it: a channel's into the next
 * convolution (the last one's into dummy_weight), a head's into the output
 * projection's columns, an inner unit's into the second matrix, a layer's into
 * its output weight and bias. A module that lost all its units is gone, with its
 * bias, as upstream's. */
#ifndef SHRINK_H
#define SHRINK_H

#include "model/model.h"
#include "prune/gates.h"

/* The gates are settled (gates_settle). config: the gated model's JSON, which
 * becomes the cut one's, *cut_config, to be freed. `cut` is opened for reach in
 * memory of its own. Fails if a convolution would lose its last channel. */
int shrink(struct model *cut, char **cut_config, const struct model *m, const char *config,
           const struct gates *g, const struct reach *reach, struct error *err);

/* The gate that cuts an axis of a tensor, or NULL; each: elements of the axis that
 * one of its values stands for. */
const struct gate *shrink_gate(const struct model_config *c, const struct gates *g,
                               const struct param *p, int axis, int *each);

/* Writes the cut model. */
int shrink_write(const struct model *cut, const char *config, const char *path,
                 const char *provenance, struct error *err);

#endif
