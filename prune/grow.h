// SPDX-License-Identifier: MIT
/* grow.h - the opposite of the cut: a model with more units, which computes what it did.
 *
 * What is added begins with random weights where it reads and with zeros where its
 * result is summed into what there was (as Net2Net, Chen et al. 2016, widens and
 * deepens): it says nothing until training lets it. Heads come back under the numbers
 * that pruning took away, inner units behind those that are left. A conformer layer
 * is added behind the last, whose closing normalisation moves to its end. */
#ifndef GROW_H
#define GROW_H

#include "model/model.h"

/* At least so many; 0: as many as there are. What has more keeps it. */
struct growth {
    int heads;            // of every layer of the encoder, at most as before pruning
    int feed_forward;     // inner units of every layer
    int conformer_layers;
    int conformer_feed_forward; // inner units of every conformer layer
    int embedding_projection;   // numbers of a speaker vector besides, made of the feature projection; they are random
                                // until training or `calibrate`, so a calibrated model is one no longer
    uint64_t seed;        // of the random weights
};

/* config: m's JSON, which becomes the grown one's, *grown_config, to be freed. `grown` is
 * opened for reach in memory of its own. Refuses what is out of range, what a model without a
 * readout lacks, and a growth that adds nothing. */
int grow(struct model *grown, char **grown_config, const struct model *m, const char *config,
         const struct growth *by, const struct reach *reach, struct error *err);

#endif
