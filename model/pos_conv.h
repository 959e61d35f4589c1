// SPDX-License-Identifier: MIT
/* pos_conv.h - the grouped convolution over time that tells WavLM where it is.
 *
 *   y[t,o] = bias[o] + sum_k,i x[t - K/2 + k, i] w[o,k,i],  i over the group of o
 *
 * A row sees no later row than its block's last, zeros beyond, and zeros before
 * the stream's start; an even K leaves K/2 - 1 rows to the right. */
#ifndef POS_CONV_H
#define POS_CONV_H

#include "model/context.h"

struct pos_conv_shape {
    int width, groups, kernel;
};

/* Weight norm multiplied out, one length per tap (dim 2), taps before channels:
 * w[o,k,i] = g[k] v[o,i,k] / |v[:,:,k]|    w [C,K,C/groups] */
void pos_conv_weight(float *w, const float *g, const float *v, const struct pos_conv_shape *s);

/* dg [K] and dv are added to; dw as w. */
void pos_conv_weight_backward(float *dg, float *dv, const float *dw, const float *g,
                              const float *v, const struct pos_conv_shape *s);

/* Floats of `region` for blocks of max_rows, and of `columns`. */
size_t pos_conv_region_floats(const struct pos_conv_shape *s, int max_rows);
size_t pos_conv_columns_floats(const struct pos_conv_shape *s);

/* y, x [rows of the call,C]. */
void pos_conv_forward(float *y, float *region, float *columns, struct history *h, const float *x,
                      const float *w, const float *bias, const struct pos_conv_shape *s,
                      const struct block *blocks, int n_blocks);

/* The reverse of a call without look-ahead that began its streams: dx, dw and
 * dbias are added to. region, region_slope and columns are scratch of the sizes
 * above. */
void pos_conv_backward(float *dx, float *dw, float *dbias, const float *dy, float *region,
                       float *region_slope, float *columns, const float *x, const float *w,
                       const struct pos_conv_shape *s, const struct block *blocks, int n_blocks);

#endif
