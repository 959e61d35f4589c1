// SPDX-License-Identifier: MIT
/* conformer.h - one block of the readout's conformer.
 *
 *   x += ffn1(LN x) / 2;  x += mha(LN x);  x += conv(LN x);  x += ffn2(LN x) / 2;  y = LN x
 *
 *   ffn(x)  = w2 swish(w1 x)
 *   mha     score = q . (k + posi[clamp(frame(t) - frame(j), -1000, 999) + 1000]) / sqrt(D)
 *   conv(x) = w2 swish(BN(depthwise(GLU(w1 x)))), 31 taps around the row, cut
 *             off at the block's end and zero before the stream's start
 *
 * BatchNorm uses running statistics; in training those of the batch, over all
 * rows of all that share it. */
#ifndef CONFORMER_H
#define CONFORMER_H

#include "model/attention.h"
#include "model/call.h"
#include "model/params.h"

struct conformer_weights {
    float *depthwise; // [K,R]: taps before channels
    float *scale, *shift; // [R] BatchNorm as one multiplication and one addition
};

struct conformer_state {
    struct history conv;
    struct window window;
};

struct ffn_acts {
    float *normed, *mean, *rstd; // [T,R] [T] [T]
    float *up, *act;             // [T,RF]
    float *out;                  // [T,R]
};

/* BatchNorm of one training call. */
struct batch_norm {
    double *sums;        // [2R+1] scratch: of x, of x^2, and the rows
    double rows;         // that the statistics are of
    float *mean, *rstd;  // [R]
    float *var;          // [R] biased
    float *scale, *shift; // [R]
};

struct conformer_acts {
    const struct training *training; // NULL: inference
    int index;                       // of the block
    struct ffn_acts ffn1, ffn2;
    float *x1, *x2, *x3, *x4;    // [T,R] after each part
    float *mha_normed, *mha_mean, *mha_rstd;
    float *q, *k, *v;            // [T,R]
    float *positions;            // [T,H,distances] q . posi, with relative positions
    struct attention_acts attention;
    float *mha_out;
    float *conv_normed, *conv_mean, *conv_rstd;
    float *wide;                 // [T,2R] before GLU
    float *glu;                  // [T,R]
    float *region;               // [K-1+rows,R] of one block
    float *deep, *normed, *act;  // [T,R] depthwise, after BN, after swish
    struct batch_norm batch_norm; // placed if kept
    float *conv_out;
    float *mean, *rstd;          // [T] of the last LN
};

void conformer_weights_place(struct conformer_weights *w, const struct readout_config *r,
                             struct arena *arena);
void conformer_weights_fill(struct conformer_weights *w, const struct readout_config *r,
                            const struct conformer_params *p);

void conformer_state_place(struct conformer_state *s, const struct readout_config *r, int left,
                           int n_rows, struct arena *arena);
void conformer_state_reset(struct conformer_state *s);

void conformer_acts_place(struct conformer_acts *a, const struct readout_config *r,
                          const struct call_size *call, struct arena *arena);

/* Moves the running statistics towards a training call's, as upstream: a tenth,
 * the variance unbiased. */
void conformer_update_running(struct conformer_params *p, const struct readout_config *r,
                              const struct conformer_acts *a);

/* Adds the slopes by the derived weights, dw, to those by the parameters. */
void conformer_weights_backward(struct conformer_params *d, const struct conformer_weights *dw,
                                const struct readout_config *r);

/* The shape of its attention. */
struct attention_shape conformer_attention(const struct readout_config *r, int left, int max_rows);

/* Dropout of its attention in a call. */
struct attention_dropout conformer_attention_dropout(const struct training *t,
                                                     const struct readout_config *r, int index);

/* posi_table [distances,R_HEAD]: posi by distance key - query, clamped; or NULL.
 * y, x [T,R]. */
void conformer_forward(float *y, struct conformer_acts *a, struct conformer_state *s,
                       const struct conformer_weights *w, const struct readout_config *r,
                       const struct conformer_params *p, const float *posi_table,
                       const struct attention_shape *shape, const float *x, int T,
                       const struct block *blocks, int n_blocks);

#endif
