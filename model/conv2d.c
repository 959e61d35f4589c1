// SPDX-License-Identifier: MIT
#include "model/conv2d.h"

#include "model/kernels.h"
#include "model/op.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    PLANES = 6, TILE = 4, // of F(4,3): Lavin and Gray, 2016
    BANDS = 3,            // taps over bands
};

static int is_winograd(const struct conv2d_shape *s)
{
    return s->kernel == 3 && s->stride == 1 && s->in > 1;
}

size_t conv2d_weights(const struct conv2d_shape *s)
{
    size_t taps = is_winograd(s) ? PLANES * BANDS : (size_t)(s->kernel * s->kernel);

    return taps * (size_t)s->in * (size_t)s->out;
}

void conv2d_place(struct conv2d *c, const struct conv2d_shape *shape, struct arena *arena)
{
    c->shape = *shape;
    c->weight = arena_floats(arena, conv2d_weights(shape));
    c->shift = arena_floats(arena, (size_t)shape->out);
}

/* The three time taps of one channel pair and band as weights of the six planes. */
static void planes_of_taps(double u[PLANES], const double g[3])
{
    double outer = g[0] + g[2], wide = g[0] / 24.0 + g[2] / 6.0;

    u[0] = g[0] / 4.0;
    u[1] = -(outer + g[1]) / 6.0;
    u[2] = -(outer - g[1]) / 6.0;
    u[3] = wide + g[1] / 12.0;
    u[4] = wide - g[1] / 12.0;
    u[5] = g[2];
}

static void fill_winograd(struct conv2d *c, const float *kernel, const double *scale)
{
    size_t in = (size_t)c->shape.in, out = (size_t)c->shape.out;

    for (size_t o = 0; o < out; o++) {
        for (size_t i = 0; i < in; i++) {
            for (size_t band = 0; band < BANDS; band++) {
                const float *tap = kernel + ((o * in + i) * BANDS + band) * 3;
                double g[3], u[PLANES];
                for (int k = 0; k < 3; k++)
                    g[k] = scale[o] * (double)tap[k];
                planes_of_taps(u, g);
                for (size_t p = 0; p < PLANES; p++)
                    c->weight[((p * BANDS + band) * in + i) * out + o] = (float)u[p];
            }
        }
    }
}

void conv2d_fill(struct conv2d *c, const float *kernel, const double *scale, const double *shift)
{
    size_t in = (size_t)c->shape.in, out = (size_t)c->shape.out, K = (size_t)c->shape.kernel;

    for (size_t o = 0; o < out; o++)
        c->shift[o] = (float)shift[o];
    if (is_winograd(&c->shape)) {
        fill_winograd(c, kernel, scale);
        return;
    }
    for (size_t o = 0; o < out; o++) {
        for (size_t i = 0; i < in; i++) {
            for (size_t tap = 0; tap < K * K; tap++) { // bands outside, time inside
                size_t turned = tap % K * K + tap / K;
                c->weight[(turned * in + i) * out + o] =
                    (float)(scale[o] * (double)kernel[(o * in + i) * K * K + tap]);
            }
        }
    }
}

static int halved(int n, int stride)
{
    return (n + stride - 1) / stride;
}

/* Measured: few channels go fastest in products so small that OpenBLAS does not
 * copy their parts together first (a million multiplications), and whose planes
 * stay in the second-level cache; many, in enough rows to be worth the copy of
 * the weights. */
static int tiles_at_once(const struct conv2d_shape *s, int H)
{
    int rows = s->in <= 64 ? 8192 / s->in : 384;

    return rows / (H + 1) > 1 ? rows / (H + 1) : 1;
}

/* Frames of windows, likewise. */
static int frames_at_once(const struct conv2d_shape *s, int H)
{
    int rows = 65536 / (s->in * s->kernel * s->kernel);

    rows = rows < 256 ? 256 : rows > 2048 ? 2048 : rows;
    return rows / H > 1 ? rows / H : 1;
}

static void need(size_t *most, size_t n)
{
    *most = *most < n ? n : *most;
}

void conv2d_scratch_need(struct conv2d_scratch *s, const struct conv2d_shape *shape, int H)
{
    size_t in = (size_t)shape->in, out = (size_t)shape->out, window = (size_t)shape->kernel;

    if (is_winograd(shape)) {
        size_t rows = (size_t)tiles_at_once(shape, H) * (size_t)(H + 1);
        need(&s->n_gathered, PLANES * (rows + 1) * in);
        need(&s->n_products, PLANES * rows * out);
        need(&s->n_zeros, (size_t)H * in);
        need(&s->n_spill, TILE * (size_t)H * out);
    } else {
        int bands = halved(H, shape->stride);
        size_t rows = (size_t)frames_at_once(shape, bands) * (size_t)bands;
        need(&s->n_gathered, rows * window * window * in);
    }
}

void conv2d_scratch_place(struct conv2d_scratch *s, struct arena *arena)
{
    s->gathered = arena_floats(arena, s->n_gathered);
    s->products = arena_floats(arena, s->n_products);
    s->zeros = arena_floats(arena, s->n_zeros);
    s->spill = arena_floats(arena, s->n_spill);
}

/* A plane: a row of zeros, then for each tile its H bands and a row of zeros. */
static void clear_borders(float *v, size_t plane, int tiles, int H, int C)
{
    size_t row = (size_t)C * sizeof(float);

    for (int p = 0; p < PLANES; p++) {
        for (int i = 0; i <= tiles; i++)
            memset(v + (size_t)p * plane + (size_t)i * (size_t)(H + 1) * (size_t)C, 0, row);
    }
}

/* The planes of tiles from `first` on, of frames 4 tile - 1 .. 4 tile + 4. */
static void gather_tiles(float *v, size_t plane, const struct conv2d_scratch *s,
                         const struct map *x, int first, int tiles)
{
    size_t frame = (size_t)x->H * (size_t)x->C, pitch = frame + (size_t)x->C;

    for (int i = 0; i < tiles; i++) {
        const float *from[PLANES];
        for (int k = 0; k < PLANES; k++) {
            int t = (first + i) * TILE - 1 + k;
            from[k] = t < 0 || t >= x->T ? s->zeros : x->data + (size_t)t * frame;
        }
        kernels_get()->winograd_in(v + (size_t)i * pitch + (size_t)x->C, plane, from, frame);
    }
}

static void scatter_tiles(struct map *y, const struct conv2d_scratch *s, const float *shift,
                          size_t plane, int first, int tiles, int add)
{
    size_t frame = (size_t)y->H * (size_t)y->C, pitch = frame + (size_t)y->C;

    for (int i = 0; i < tiles; i++) {
        float *to[TILE];
        for (int k = 0; k < TILE; k++) {
            int t = (first + i) * TILE + k;
            to[k] = t < y->T ? y->data + (size_t)t * frame : s->spill + (size_t)k * frame;
        }
        kernels_get()->winograd_out(to, s->products + (size_t)i * pitch, plane, shift, add, y->H,
                                    y->C);
    }
}

static void winograd_forward(struct map *y, struct conv2d_scratch *s, const struct conv2d *c,
                             const struct map *x, int add)
{
    int in = c->shape.in, out = c->shape.out, all = (x->T + TILE - 1) / TILE, H = x->H;
    int most = tiles_at_once(&c->shape, H);
    size_t gathered = ((size_t)most * (size_t)(H + 1) + 1) * (size_t)in;
    size_t products = (size_t)most * (size_t)(H + 1) * (size_t)out;

    clear_borders(s->gathered, gathered, most, H, in);
    memset(s->spill, 0, TILE * (size_t)H * (size_t)out * sizeof(float));
    for (int first = 0; first < all; first += most) {
        int tiles = all - first < most ? all - first : most;
        gather_tiles(s->gathered, gathered, s, x, first, tiles);
        for (size_t p = 0; p < PLANES; p++) {
            for (size_t band = 0; band < BANDS; band++)
                gemm_nn(s->products + p * products, out,
                        s->gathered + p * gathered + band * (size_t)in, in,
                        c->weight + (p * BANDS + band) * (size_t)in * (size_t)out, out,
                        tiles * (H + 1) - 1, out, in, 1.0f, band ? 1.0f : 0.0f);
        }
        scatter_tiles(y, s, c->shift, products, first, tiles, add);
    }
}

/* The window of one output row: its frames one after another, in each its bands. */
static void gather_window(float *to, const struct map *x, int t, int h, int K)
{
    size_t C = (size_t)x->C, band = C * sizeof(float);

    for (int i = t - K / 2; i < t - K / 2 + K; i++, to += (size_t)K * C) {
        int above = h - K / 2 < 0 ? K / 2 - h : 0;
        int below = h - K / 2 + K > x->H ? h - K / 2 + K - x->H : 0;
        if (i < 0 || i >= x->T) {
            memset(to, 0, (size_t)K * band);
            continue;
        }
        memset(to, 0, (size_t)above * band);
        memcpy(to + (size_t)above * C,
               x->data + ((size_t)i * (size_t)x->H + (size_t)(h - K / 2 + above)) * C,
               (size_t)(K - above - below) * band);
        memset(to + (size_t)(K - below) * C, 0, (size_t)below * band);
    }
}

static void gathered_forward(struct map *y, struct conv2d_scratch *s, const struct conv2d *c,
                             const struct map *x, int relu)
{
    int K = c->shape.kernel, S = c->shape.stride, out = c->shape.out;
    int width = K * K * c->shape.in, most = frames_at_once(&c->shape, y->H);

    for (int first = 0; first < y->T; first += most) {
        int frames = y->T - first < most ? y->T - first : most, rows = frames * y->H;
        float *to = y->data + (size_t)first * (size_t)y->H * (size_t)out;
        for (int r = 0; r < rows; r++)
            gather_window(s->gathered + (size_t)r * (size_t)width, x, (first + r / y->H) * S,
                          r % y->H * S, K);
        gemm_nn(to, out, s->gathered, width, c->weight, out, rows, out, width, 1.0f, 0.0f);
        kernels_get()->shift_floor(to, c->shift, relu ? 0.0f : -INFINITY, rows, out);
    }
}

void conv2d_forward(struct map *y, struct conv2d_scratch *s, const struct conv2d *c,
                    const struct map *x, int flags)
{
    assert(x->C == c->shape.in && y->data != x->data);
    y->T = halved(x->T, c->shape.stride);
    y->H = halved(x->H, c->shape.stride);
    y->C = c->shape.out;
    if (is_winograd(&c->shape)) {
        assert(flags & CONV2D_RELU);
        winograd_forward(y, s, c, x, flags & CONV2D_ADD);
    } else {
        assert(!(flags & CONV2D_ADD));
        gathered_forward(y, s, c, x, flags & CONV2D_RELU);
    }
}

double conv2d_macs(const struct conv2d_shape *shape, int T, int H)
{
    return (double)halved(T, shape->stride) * halved(H, shape->stride) * shape->kernel *
           shape->kernel * shape->in * shape->out;
}
