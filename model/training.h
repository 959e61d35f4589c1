// SPDX-License-Identifier: MIT
/* training.h - what the forward pass does besides when it trains: dropout,
 * statistics of the batch, and the gates of structured pruning. An act without
 * one (NULL) infers. */
#ifndef TRAINING_H
#define TRAINING_H

#include "model/config.h"
#include "model/kernels.h"

#include <stdint.h>

/* Factors of columns, closed (0) to open (1); NULL: not gated. Gradients by
 * them are another instance. */
struct masks {
    float *conv[MAX_CONVS];          // [CONV] channels, after GELU
    float *ctx[MAX_LAYERS];          // [A] attention's results: a head's columns are equal
    float *act[MAX_LAYERS];          // [F] inner units, after GELU
    float *attention[MAX_LAYERS];    // [C] what attention adds, bias too: all equal
    float *feed_forward[MAX_LAYERS]; // [C]
};

struct training {
    uint64_t seed;   // of this call's dropout
    int dropout;     // 0: none, whatever the config says
    float layer_drop; // probability that an encoder layer is left out of a call
    int batch_statistics; // BatchNorm: of the batch's rows, not the running ones
    const struct masks *masks; // or NULL
    int open_norms;  // norms over gated channels count the open ones alone (open_norm.h)

    /* Adds x [n] up over all that share the batch (threads, ranks), each of
     * whom gets the sum; NULL: nobody else. */
    void (*sum)(void *user, double *x, size_t n);
    void *user;
};

/* The gates, all NULL where there are none. */
const struct masks *training_masks(const struct training *t);

/* The gates of the channels that a norm runs over, where it counts the open ones
 * alone; NULL: it counts all. layer: the convolution whose results they are. */
const float *training_open(const struct training *t, int layer);

/* Places where numbers are dropped; the second half of a dropout's key. */
enum dropout_site {
    DROP_PROJECTION,
    DROP_INPUT,
    DROP_PROBS,
    DROP_ATTENTION,
    DROP_ACT,
    DROP_FEED_FORWARD,
    DROP_LAYER,
    DROP_FFN1_ACT,
    DROP_FFN1,
    DROP_FFN2_ACT,
    DROP_FFN2,
    DROP_MHA_PROBS,
    DROP_MHA,
    DROP_CONV,
    N_DROPOUT_SITES
};

uint64_t dropout_key(const struct training *t, enum dropout_site site, int index);

/* x [n] in place, where there is training and a rate; its own reverse. index:
 * of the layer or conformer block. */
void dropout_apply(float *x, const struct training *t, float rate, enum dropout_site site,
                   int index, size_t n);

/* 1: this call leaves encoder layer `index` out. */
int layer_dropped(const struct training *t, int index);

#endif
