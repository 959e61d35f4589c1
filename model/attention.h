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
#include "model/training.h"

struct attention_shape {
    int n_heads, head_width; // of the heads that are there
    float scale;
    int max_rows;            // of one block
    int left;                // frames before it, at most
    int max_keys;            // a query sees, at most
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
    float *dropped; // [max_rows,max_keys] one head's probs after dropout, if kept
};

/* Floats of probs for a call of n_rows. */
size_t attention_probs_floats(const struct attention_shape *s, int n_rows, int keep);

/* Dropout of the probabilities: key 0 or rate 0 is none. */
struct attention_dropout {
    float rate;
    uint64_t key;
};

/* q, k, v [rows of call, H D]. */
void attention_forward(struct attention_acts *acts, struct window *window, const float *q,
                       const float *k, const float *v, const struct attention_bias *bias,
                       const struct attention_shape *s, const struct attention_dropout *dropout,
                       const struct block *blocks, int n_blocks);

/* Slopes by what the forward took. All but the sums over rows are zero or
 * overwritten before; table and gate only where the forward had them. */
struct attention_slopes {
    float *q, *k, *v; // [rows of call, H D]; k and v are added to
    float *table;     // as the forward's; added to
    float *gate;      // [rows of call,H]
    float *scores;    // [max_rows,max_keys] scratch
};

/* The reverse of a call without look-ahead that began its streams (frame 0), of
 * which `acts` kept everything. ctx_slope [rows of call, H D]; left: frames that
 * the windows kept before a block. */
void attention_backward(const struct attention_slopes *d, const float *ctx_slope,
                        const struct attention_acts *acts, const float *q, const float *k,
                        const float *v, const struct attention_bias *bias,
                        const struct attention_shape *s, const struct attention_dropout *dropout,
                        int left, const struct block *blocks, int n_blocks);

#endif
