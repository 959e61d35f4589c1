// SPDX-License-Identifier: MIT
/* cost.h - parameters and multiply-accumulates of a model.
 *
 * Two counts. Upstream's (torchaudio and DiariZen, get_num_macs) takes one
 * second of audio as one window of 49 frames and leaves out norms, gates and
 * activations: the published table's unit. The live count is what the matrix
 * products and convolutions of model_forward do per second of audio at a given
 * reach, the re-made overlap and the keys of the left context included: all that is
 * products of weights or of activations, from the extractor to the classifier. Left out
 * are norms, activations, softmax, biases and residuals, a few operations an element, and
 * filter banks. op_flops counts the same while it is done, to the last product. */
#ifndef COST_H
#define COST_H

#include "model/model.h"

struct cost {
    int64_t parameters, encoder_parameters; // elements of all tensors but I64 counters
    int64_t encoder_macs; // upstream's count for one second
    int64_t readout_macs; // of the readout, counted in the same manner
    int64_t conv_macs, projection_macs, pos_conv_macs; // parts of encoder_macs
    int64_t attention_macs[MAX_LAYERS], feed_forward_macs[MAX_LAYERS];
    double sparsity; // share of the unpruned encoder's parameters that is gone
};

void cost_count(struct cost *cost, const struct model_config *c, const struct param *list, int n);

/* Live multiply-accumulates per second of audio once the left context or the window is full. */
double cost_live_macs(const struct model_config *c, const struct reach *reach);

#endif
