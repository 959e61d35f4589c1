// SPDX-License-Identifier: MIT
/* attention.h - scaled dot-product attention over a block and its left context;
 * the same code for WavLM and the conformer.
 *
 *   score[h,t,j] = scale q[t,h] . k[j,h] + gate[t,h] bias[h,t,d],  d = frame(j) - frame(t)
 *   ctx[t,h] = sum_j softmax_j(score[h,t,j]) v[j,h]
 *
 * Row t of a block sees the block's rows (look-ahead too) and the L frames
 * before the block. */
#ifndef ATTENTION_H
#define ATTENTION_H

#include "model/context.h"

struct attention_shape {
    int n_heads, head_width; // of the heads that are there
    float scale;
    int max_rows;            // of one block
    int left;
};

/* Distances -(left + max_rows - 1) .. max_rows - 1, at [distance + left + max_rows - 1]. */
int attention_distances(const struct attention_shape *s);

/* Position terms; zeroed: none. */
struct attention_bias {
    const float *table;  // [H,distances], or [rows of call,H,distances] if per_row
    int per_row;
    const float *gate;   // [rows of call,H], NULL: 1
};

struct attention_acts {
    float *probs; // every block's [H,rows,keys], one after another if kept, else the last head's
    int keep;
    float *ctx;   // [rows of call, H D]
};

/* Floats of probs for blocks of at most max_rows rows. */
size_t attention_probs_floats(const struct attention_shape *s, int n_blocks, int keep);

/* q, k, v [rows of call, H D]. */
void attention_forward(struct attention_acts *acts, struct window *window, const float *q,
                       const float *k, const float *v, const struct attention_bias *bias,
                       const struct attention_shape *s, const struct block *blocks, int n_blocks);

#endif
