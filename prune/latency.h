// SPDX-License-Identifier: MIT
/* latency.h - what multiply-accumulates cost on this machine, live: nanoseconds
 * each, by kind and shape, for pruning towards time. */
#ifndef LATENCY_H
#define LATENCY_H

#include "prune/expected_size.h"

/* Times the products of one block of that many frames, at the model's own widths,
 * one thread; the best of several. Costs about a second. */
int latency_measure(struct size_weights *w, const struct model_config *c, int block_frames,
                    struct error *err);

#endif
