// SPDX-License-Identifier: MIT
/* encoder.h - feature rows to WavLM's representations.
 *
 *   rep 0 = x + gelu(pos_conv(x)), x = projection(LN(features))    (post-norm: LN of it)
 *   rep i+1 = layer i of rep i
 *
 *   post-norm (Base):  h = LN(x + att(x));   y = LN'(h + ff(h))
 *   pre-norm (Large):  h = x + att(LN(x));   y = h + ff(LN'(h))
 *
 * A part that was pruned away adds nothing; post-norm keeps its norm, pre-norm
 * skips it. The relative position bias is layer 0's and shared by all, gated
 * anew in every layer from the layer's attention input. */
#ifndef ENCODER_H
#define ENCODER_H

#include "model/attention.h"
#include "model/call.h"
#include "model/params.h"
#include "model/pos_conv.h"

struct encoder_weights {
    float *pos_conv;  // [C,K,C/groups] with the weight norm multiplied out
    float *gate[MAX_LAYERS]; // [2,D] sums of the gate's rows 0-3 and 4-7
    float *gate_bias[MAX_LAYERS]; // [2] likewise
    float *position;  // [HEADS,distances] bias of every head by distance, or NULL
    float *layer_position[MAX_LAYERS]; // [kept heads,distances] those of the layer
    int left, max_rows; // the distances it was made for
};

struct encoder_state {
    struct history pos_conv;
    struct window window[MAX_LAYERS];
};

struct layer_acts {
    float *a;             // [T,C] what attention sees
    float *norm_mean, *norm_rstd, *final_mean, *final_rstd; // [T]
    float *q, *k, *v;     // [T,A]
    float *gate;          // [T,heads kept]
    struct attention_acts attention;
    float *ctx;           // [T,A] its gated results, if kept
    float *h;             // [T,C] after attention's residual
    float *sum;           // [T,C] residual sums in front of post-norm's LNs
    float *sum2;
    float *f;             // [T,C] what the feed-forward sees
    float *up, *act;      // [T,F]
    float *out;           // [T,C] what a part adds
};

struct encoder_acts {
    const struct training *training; // NULL: inference
    float *features_mean, *features_rstd; // [T]
    float *features_normed; // [T,FEATURES]
    float *projection;      // [T,C]
    float *region;          // the positional convolution's input with its context
    float *columns;         // [TILE, K C/groups] im2col of one group
    float *pos;             // [T,C] before GELU
    float *pos_act;         // [T,C]
    float *sum;             // [T,C] x + pos, in front of post-norm's LN
    float *encoder_mean, *encoder_rstd;
    struct layer_acts layer[MAX_LAYERS];
    float *rep[MAX_LAYERS + 1]; // [T,C] results
};

/* left, max_rows: the attention's reach, see attention_distances. apart: each
 * layer has a position table of its own, as slopes need; else they share. */
void encoder_weights_place(struct encoder_weights *w, const struct model_config *c, int left,
                           int max_rows, int apart, struct arena *arena);
void encoder_weights_fill(struct encoder_weights *w, const struct model_config *c,
                          const struct model_params *p);

/* Adds the slopes by the derived weights, dw, to those by the parameters. */
void encoder_weights_backward(struct model_params *d, const struct encoder_weights *dw,
                              const struct model_config *c, const struct model_params *p);

/* Shapes of its parts. */
struct pos_conv_shape encoder_pos_conv(const struct wavlm_config *w);
struct attention_shape encoder_attention(const struct wavlm_config *w, int layer, int left,
                                         int max_rows);
struct attention_dropout encoder_attention_dropout(const struct training *t,
                                                   const struct wavlm_config *w, int layer);

void encoder_state_place(struct encoder_state *s, const struct model_config *c, int left,
                         int n_rows, struct arena *arena);
void encoder_state_reset(struct encoder_state *s, const struct model_config *c);

/* keep: every layer has its own acts; else all share one. */
void encoder_acts_place(struct encoder_acts *a, const struct model_config *c,
                        const struct call_size *call, struct arena *arena);

/* features [T,FEATURES] to rep 0: the first half. */
void encoder_input_forward(struct encoder_acts *a, struct encoder_state *s,
                           const struct encoder_weights *w, const struct model_config *c,
                           const struct model_params *p, const float *features,
                           const struct block *blocks, int n_blocks);

/* rep 0 to rep n_layers used: the second half. */
void encoder_layers_forward(struct encoder_acts *a, struct encoder_state *s,
                            const struct encoder_weights *w, const struct model_config *c,
                            const struct model_params *p, const struct block *blocks, int n_blocks);

/* One layer: y and x are rep index+1 and rep index. */
void encoder_layer_forward(float *y, struct encoder_acts *acts, struct encoder_state *s,
                           const struct encoder_weights *w, const struct model_config *c,
                           const struct layer_params *p, int index, const float *x,
                           const struct block *blocks, int n_blocks);

#endif
