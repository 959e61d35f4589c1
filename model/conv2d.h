// SPDX-License-Identifier: MIT
/* conv2d.h - convolutions over time and band, for the speaker network.
 *
 * A map is [T, H, C]: frame by frame, band by band, channels last. A convolution
 * has the BatchNorm behind it folded into its weights and shift:
 *
 *   y[t,h,o] = shift[o] + sum_i,j,c x[t S + i - K/2, h S + j - K/2, c] w[o,c,j,i]
 *
 * with zeros around x; then what y held before is added and what is below zero
 * cut off, where asked.
 *
 * Kernel 3 of stride 1 goes along time by Winograd's F(4,3): four frames from six
 * products instead of twelve, each a matrix product over all bands of a tile
 * with the three band taps one row apart. All others gather their windows and
 * multiply once. No allocation. Thread: a scratch is one thread's. */
#ifndef CONV2D_H
#define CONV2D_H

#include "model/arena.h"

struct map {
    float *data; // [T,H,C]
    int T, H, C;
};

struct conv2d_shape {
    int in, out, kernel, stride; // kernel 1 or 3, stride 1 or 2
};

struct conv2d {
    struct conv2d_shape shape;
    float *weight; // derived: by plane and tap, or by tap; [in,out] each
    float *shift;  // [out]
};

void conv2d_place(struct conv2d *c, const struct conv2d_shape *shape, struct arena *arena);

/* How many floats weight has. */
size_t conv2d_weights(const struct conv2d_shape *shape);

/* From the kernel [out,in,K,K] (bands before time) and what the BatchNorm behind
 * it does to a channel: y = scale x + shift. */
void conv2d_fill(struct conv2d *c, const float *kernel, const double *scale, const double *shift);

/* What a call needs besides; large enough for every convolution it was placed for. */
struct conv2d_scratch {
    float *gathered; // windows, or the six planes of a tile's input
    float *products; // of the six planes
    float *zeros;    // a frame in front of the first one and behind the last
    float *spill;    // four frames, for those of the last tile that are behind the end
    size_t n_gathered, n_products, n_zeros, n_spill;
};

/* Makes room for maps of H bands going in; of any length. */
void conv2d_scratch_need(struct conv2d_scratch *s, const struct conv2d_shape *shape, int H);
void conv2d_scratch_place(struct conv2d_scratch *s, struct arena *arena);

enum conv2d_flags {
    CONV2D_ADD = 1,  // y's data hold a residual of its shape
    CONV2D_RELU = 2,
};

/* Fills y, whose data are the caller's and not x's: ceil(T/S) frames of ceil(H/S)
 * bands. */
void conv2d_forward(struct map *y, struct conv2d_scratch *s, const struct conv2d *c,
                    const struct map *x, int flags);

/* Multiply-accumulates of a direct convolution, for counting. */
double conv2d_macs(const struct conv2d_shape *shape, int T, int H);

#endif
