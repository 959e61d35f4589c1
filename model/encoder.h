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
#include "model/params.h"

struct encoder_weights {
    float *pos_conv;  // [C,K,C/groups] with the weight norm multiplied out
    float *gate[MAX_LAYERS]; // [2,D] sums of the gate's rows 0-3 and 4-7
    float gate_bias[MAX_LAYERS][2];
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
    float *h;             // [T,C] after attention's residual
    float *sum;           // [T,C] residual sums in front of post-norm's LNs
    float *sum2;
    float *f;             // [T,C] what the feed-forward sees
    float *up, *act;      // [T,F]
    float *out;           // [T,C] what a part adds
};

struct encoder_acts {
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

/* left, max_rows: the attention's reach, see attention_distances. */
void encoder_weights_place(struct encoder_weights *w, const struct model_config *c, int left,
                           int max_rows, struct arena *arena);
void encoder_weights_fill(struct encoder_weights *w, const struct model_config *c,
                          const struct model_params *p);

void encoder_state_place(struct encoder_state *s, const struct model_config *c, int left,
                         int n_rows, struct arena *arena);
void encoder_state_reset(struct encoder_state *s, const struct model_config *c);

/* n_rows: rows of a call, of n_blocks blocks of at most max_rows. keep: every
 * layer has its own acts; else all share one. */
void encoder_acts_place(struct encoder_acts *a, const struct model_config *c, int left,
                        int n_blocks, int max_rows, int keep, struct arena *arena);

/* features [T,FEATURES] to rep 0: the first half. */
void encoder_input_forward(struct encoder_acts *a, struct encoder_state *s,
                           const struct encoder_weights *w, const struct model_config *c,
                           const struct model_params *p, const float *features,
                           const struct block *blocks, int n_blocks);

/* rep 0 to rep n_layers used: the second half. */
void encoder_layers_forward(struct encoder_acts *a, struct encoder_state *s,
                            const struct encoder_weights *w, const struct model_config *c,
                            const struct model_params *p, const struct block *blocks, int n_blocks);

#endif
