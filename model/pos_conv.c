// SPDX-License-Identifier: MIT
/* pos_conv.c - one product a group and tile of rows. With a group's channels side
 * by side the windows of neighbouring rows are one signal's, one tap apart: read
 * as they lie, the factors stay in the first cache (im2col, 128 times as much, took
 * twice the time). Taps that only meet the zeros behind a block's end are left out. */
#include "model/pos_conv.h"

#include "model/kernels.h"
#include "model/op.h"

#include <math.h>
#include <string.h>

enum { TILE = 64 }; // rows a tile: columns of 64 x 6144 floats are 1.5 MiB

void pos_conv_weight(float *w, const float *g, const float *v, const struct pos_conv_shape *s)
{
    size_t C = (size_t)s->width, I = C / (size_t)s->groups, K = (size_t)s->kernel;

    for (size_t k = 0; k < K; k++) {
        double squares = 0.0;
        for (size_t oi = 0; oi < C * I; oi++)
            squares += (double)v[oi * K + k] * v[oi * K + k];
        float scale = (float)(g[k] / sqrt(squares));
        for (size_t o = 0; o < C; o++)
            for (size_t i = 0; i < I; i++)
                w[(o * K + k) * I + i] = scale * v[(o * I + i) * K + k];
    }
}

void pos_conv_weight_backward(float *dg, float *dv, const float *dw, const float *g,
                              const float *v, const struct pos_conv_shape *s)
{
    size_t C = (size_t)s->width, I = C / (size_t)s->groups, K = (size_t)s->kernel;

    for (size_t k = 0; k < K; k++) {
        double squares = 0.0, along = 0.0;
        for (size_t o = 0; o < C; o++) {
            for (size_t i = 0; i < I; i++) {
                double x = v[(o * I + i) * K + k];
                squares += x * x;
                along += x * dw[(o * K + k) * I + i];
            }
        }
        double length = sqrt(squares);
        dg[k] += (float)(along / length);
        for (size_t o = 0; o < C; o++) {
            for (size_t i = 0; i < I; i++) {
                size_t at = (o * I + i) * K + k;
                dv[at] += (float)(g[k] / length *
                                  (dw[(o * K + k) * I + i] - v[at] * along / squares));
            }
        }
    }
}

size_t pos_conv_region_floats(const struct pos_conv_shape *s, int max_rows)
{
    return (size_t)(max_rows + s->kernel) * (size_t)s->width;
}

/* Of a tile: the group's channels in order, and behind them the windows apart. */
static size_t signal_floats(const struct pos_conv_shape *s)
{
    return (size_t)(TILE + s->kernel) * (size_t)(s->width / s->groups);
}

size_t pos_conv_columns_floats(const struct pos_conv_shape *s)
{
    return signal_floats(s) + (size_t)TILE * (size_t)s->kernel * (size_t)(s->width / s->groups);
}

/* signal [n,I]: one group's channels of the rows of region from `row` on. */
static void gather(float *signal, const float *region, const struct pos_conv_shape *s, int row,
                   int n, int group)
{
    size_t I = (size_t)(s->width / s->groups);

    for (int t = 0; t < n; t++)
        memcpy(signal + (size_t)t * I,
               region + (size_t)(row + t) * (size_t)s->width + (size_t)group * I,
               I * sizeof(float));
}

static void block_forward(float *y, float *columns, const float *region, const float *w,
                          const struct pos_conv_shape *s, int T)
{
    int I = s->width / s->groups, past = s->kernel / 2;

    for (int row = 0; row < T; row += TILE) {
        int n = T - row < TILE ? T - row : TILE;
        int taps = T - row + past < s->kernel ? T - row + past : s->kernel;
        for (int group = 0; group < s->groups; group++) {
            gather(columns, region, s, row, n + taps - 1, group);
            gemm_nt_windows(y + (size_t)row * (size_t)s->width + (size_t)(group * I), s->width,
                            columns, I, columns + signal_floats(s),
                            w + (size_t)group * (size_t)I * (size_t)s->kernel * (size_t)I,
                            s->kernel * I, n, I, taps * I);
        }
    }
}

void pos_conv_forward(float *y, float *region, float *columns, struct history *h, const float *x,
                      const float *w, const float *bias, const struct pos_conv_shape *s,
                      const struct block *blocks, int n_blocks)
{
    size_t C = (size_t)s->width;

    for (int i = 0; i < n_blocks; i++) {
        const struct block *b = &blocks[i];
        int T = block_rows(b);
        float *out = y + (size_t)b->row * C;

        history_gather(region, h, x + (size_t)b->row * C, b);
        memset(region + (size_t)(h->keep + T) * C, 0,
               (size_t)(s->kernel - s->kernel / 2) * C * sizeof(float));
        for (int t = 0; t < T; t++)
            memcpy(out + (size_t)t * C, bias, C * sizeof(float));
        block_forward(out, columns, region, w, s, T);
    }
}

/* Adds the windows' slopes to the region's. */
static void scatter(float *region, const float *windows, const struct pos_conv_shape *s, int row,
                    int n, int taps, int group)
{
    size_t I = (size_t)(s->width / s->groups);

    for (int t = 0; t < n; t++) {
        for (int k = 0; k < taps; k++) {
            float *to = region + (size_t)(row + t + k) * (size_t)s->width + (size_t)group * I;
            for (size_t i = 0; i < I; i++)
                to[i] += windows[i];
            windows += I;
        }
    }
}

static void block_backward(float *region_slope, float *dw, const float *dy, float *columns,
                           const float *region, const float *w, const struct pos_conv_shape *s,
                           int T)
{
    int I = s->width / s->groups, past = s->kernel / 2, wide = s->kernel * I;
    float *windows = columns + signal_floats(s);

    for (int row = 0; row < T; row += TILE) {
        int n = T - row < TILE ? T - row : TILE;
        int taps = T - row + past < s->kernel ? T - row + past : s->kernel;
        for (int group = 0; group < s->groups; group++) {
            const float *d = dy + (size_t)row * (size_t)s->width + (size_t)(group * I);
            size_t weights = (size_t)group * (size_t)I * (size_t)wide;

            gather(columns, region, s, row, n + taps - 1, group);
            windows_apart(windows, columns, I, n, taps * I);
            gemm_tn(dw + weights, wide, d, s->width, windows, taps * I, I, taps * I, n, 1.0f, 1.0f);
            gemm_nn(windows, taps * I, d, s->width, w + weights, wide, n, taps * I, I, 1.0f, 0.0f);
            scatter(region_slope, windows, s, row, n, taps, group);
        }
    }
}

void pos_conv_backward(float *dx, float *dw, float *dbias, const float *dy, float *region,
                       float *region_slope, float *columns, const float *x, const float *w,
                       const struct pos_conv_shape *s, const struct block *blocks, int n_blocks)
{
    const struct kernels *kernels = kernels_get();
    size_t C = (size_t)s->width;
    int keep = s->kernel / 2;

    for (int i = 0; i < n_blocks; i++) {
        const struct block *b = &blocks[i];
        int T = block_rows(b), past = b->frame < keep ? (int)b->frame : keep;
        size_t rows = (size_t)(past + T) * C, from = (size_t)(b->row - past) * C;
        size_t zeros = (size_t)(keep - past) * C;
        const float *d = dy + (size_t)b->row * C;

        memset(region, 0, pos_conv_region_floats(s, T) * sizeof(float));
        memset(region_slope, 0, pos_conv_region_floats(s, T) * sizeof(float));
        memcpy(region + zeros, x + from, rows * sizeof(float));
        block_backward(region_slope, dw, d, columns, region, w, s, T);
        kernels->add_scaled(dx + from, dx + from, region_slope + zeros, 1.0f, rows);
        kernels->columns_add(dbias, d, T, s->width);
    }
}
