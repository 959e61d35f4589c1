// SPDX-License-Identifier: MIT
/* kernels_body.h - the loops of kernels.h; included once by each kernels_*.c,
 * which is compiled for one instruction set and exports KERNELS_TABLE(name).
 *
 * Lanes are explicit: sums run in LANES independent chains that are added in a
 * fixed order, so the compiler may vectorise without being allowed to reorder. */
#include "model/kernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { LANES = 16 };

/* e^x by 2^n e^r, |r| <= ln(2)/2; the polynomial and the split of ln 2 are
 * those of Cephes expf. Relative error 2e-7; x is held within +-87. */
static inline float exp_lane(float x)
{
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to a whole number
    x = x < -87.0f ? -87.0f : x;
    x = x > 87.0f ? 87.0f : x;
    float n = (x * 1.44269504088896341f + magic) - magic;
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = ((int32_t)n + 127) * (1 << 23);
    float scale;
    memcpy(&scale, &bits, sizeof(scale));
    return p * scale;
}

static inline float sigmoid_lane(float x)
{
    return 1.0f / (1.0f + exp_lane(-x));
}

/* erfc(t) = (a1 k + .. + a5 k^5) e^(-t^2), k = 1 / (1 + 0.3275911 t):
 * Abramowitz and Stegun 7.1.26, error below 1.5e-7. */
static inline float gelu_lane(float x)
{
    float a = fabsf(x), t = a * 0.70710678118654752f;
    float k = 1.0f / (1.0f + 0.3275911f * t);
    float q = 1.061405429f;
    q = q * k - 1.453152027f;
    q = q * k + 1.421413741f;
    q = q * k - 0.284496736f;
    q = q * k + 0.254829592f;
    q = q * k * exp_lane(-t * t);
    return (x > 0.0f ? x : 0.0f) - 0.5f * a * q;
}

static void gelu(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = gelu_lane(x[i]);
}

static void swish(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * sigmoid_lane(x[i]);
}

static void glu(float *restrict y, const float *restrict x, int T, int C)
{
    for (int t = 0; t < T; t++) {
        float *out = y + (size_t)t * C;
        const float *a = x + (size_t)t * 2 * C, *b = a + C;
        for (int c = 0; c < C; c++)
            out[c] = a[c] * sigmoid_lane(b[c]);
    }
}

static inline float lanes_sum(const float *lane)
{
    float sum = 0.0f;

    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

static float row_sum(const float *x, int n)
{
    float lane[LANES] = {0};
    int i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++)
            lane[l] += x[i + l];
    }
    float sum = lanes_sum(lane);
    for (; i < n; i++)
        sum += x[i];
    return sum;
}

static float row_squares(const float *x, float mean, int n)
{
    float lane[LANES] = {0};
    int i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++) {
            float d = x[i + l] - mean;
            lane[l] += d * d;
        }
    }
    float sum = lanes_sum(lane);
    for (; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return sum;
}

static void layer_norm(float *y, float *mean, float *rstd, const float *x, const float *w,
                       const float *b, int T, int C)
{
    for (int t = 0; t < T; t++) {
        const float *in = x + (size_t)t * C;
        float *out = y + (size_t)t * C;
        float m = row_sum(in, C) / (float)C;
        float r = 1.0f / sqrtf(row_squares(in, m, C) / (float)C + 1e-5f);
        mean[t] = m;
        rstd[t] = r;
        for (int c = 0; c < C; c++)
            out[c] = (in[c] - m) * r * w[c] + b[c];
    }
}

static float row_max(const float *x, int n)
{
    float lane[LANES], max;
    int i = 0;

    for (int l = 0; l < LANES; l++)
        lane[l] = -INFINITY;
    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++)
            lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    }
    max = lane[0];
    for (int l = 1; l < LANES; l++)
        max = lane[l] > max ? lane[l] : max;
    for (; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

static void softmax(float *x, const float *bias, float gate, int n)
{
    if (bias) {
        for (int i = 0; i < n; i++)
            x[i] += gate * bias[i];
    }
    float max = row_max(x, n);
    for (int i = 0; i < n; i++)
        x[i] = exp_lane(x[i] - max);
    float scale = 1.0f / row_sum(x, n);
    for (int i = 0; i < n; i++)
        x[i] *= scale;
}

static void add_scaled(float *y, const float *a, const float *b, float s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + s * b[i];
}

static void scale_shift(float *y, const float *x, const float *scale, const float *shift, int T,
                        int C)
{
    for (int t = 0; t < T; t++) {
        const float *in = x + (size_t)t * C;
        float *out = y + (size_t)t * C;
        for (int c = 0; c < C; c++)
            out[c] = in[c] * scale[c] + shift[c];
    }
}

static void depthwise(float *restrict y, const float *restrict x, const float *restrict w,
                      const float *restrict bias, int T, int C, int K)
{
    for (int t = 0; t < T; t++) {
        float *out = y + (size_t)t * C;
        memcpy(out, bias, (size_t)C * sizeof(float));
        for (int k = 0; k < K; k++) {
            const float *in = x + (size_t)(t + k) * C, *tap = w + (size_t)k * C;
            for (int c = 0; c < C; c++)
                out[c] += in[c] * tap[c];
        }
    }
}

static void moments(double *restrict sum, double *restrict squares, const float *restrict x, int T,
                    int C)
{
    for (int t = 0; t < T; t++) {
        const float *in = x + (size_t)t * C;
        for (int c = 0; c < C; c++) {
            sum[c] += (double)in[c];
            squares[c] += (double)in[c] * (double)in[c];
        }
    }
}

static float dot(const float *a, const float *b, size_t n)
{
    float lane[LANES] = {0};
    size_t i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++)
            lane[l] += a[i + l] * b[i + l];
    }
    float sum = lanes_sum(lane);
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static inline void winograd_planes(float *restrict v0, float *restrict v1, float *restrict v2,
                                   float *restrict v3, float *restrict v4, float *restrict v5,
                                   const float *const x[6], size_t n)
{
    const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3], *x4 = x[4], *x5 = x[5];

    for (size_t i = 0; i < n; i++) {
        float even = x4[i] - 4.0f * x2[i], odd = x3[i] - 4.0f * x1[i];
        float even2 = x4[i] - x2[i], odd2 = 2.0f * (x3[i] - x1[i]);
        v0[i] = 4.0f * x0[i] - 5.0f * x2[i] + x4[i];
        v1[i] = even + odd;
        v2[i] = even - odd;
        v3[i] = even2 + odd2;
        v4[i] = even2 - odd2;
        v5[i] = 4.0f * x1[i] - 5.0f * x3[i] + x5[i];
    }
}

static void winograd_in(float *v, size_t plane, const float *const x[6], size_t n)
{
    winograd_planes(v, v + plane, v + 2 * plane, v + 3 * plane, v + 4 * plane, v + 5 * plane, x, n);
}

static inline float cut_lane(float x)
{
    return x > 0.0f ? x : 0.0f;
}

static inline void winograd_row(float *restrict y0, float *restrict y1, float *restrict y2,
                                float *restrict y3, const float *m, size_t plane,
                                const float *shift, int add, int C)
{
    const float *m0 = m, *m1 = m + plane, *m2 = m1 + plane, *m3 = m2 + plane, *m4 = m3 + plane,
                *m5 = m4 + plane;

    for (int c = 0; c < C; c++) {
        float sum = m1[c] + m2[c], difference = m1[c] - m2[c];
        float sum2 = m3[c] + m4[c], difference2 = m3[c] - m4[c], b = shift[c];
        y0[c] = cut_lane(m0[c] + sum + sum2 + b + (add ? y0[c] : 0.0f));
        y1[c] = cut_lane(difference + 2.0f * difference2 + b + (add ? y1[c] : 0.0f));
        y2[c] = cut_lane(sum + 4.0f * sum2 + b + (add ? y2[c] : 0.0f));
        y3[c] = cut_lane(difference + 8.0f * difference2 + m5[c] + b + (add ? y3[c] : 0.0f));
    }
}

static void winograd_out(float *const y[4], const float *m, size_t plane, const float *shift,
                         int add, int H, int C)
{
    for (int h = 0; h < H; h++) {
        size_t at = (size_t)h * (size_t)C;
        float *y0 = y[0] + at, *y1 = y[1] + at, *y2 = y[2] + at, *y3 = y[3] + at;
        if (add)
            winograd_row(y0, y1, y2, y3, m + at, plane, shift, 1, C);
        else
            winograd_row(y0, y1, y2, y3, m + at, plane, shift, 0, C);
    }
}

static void shift_floor(float *restrict y, const float *restrict shift, float floor, int T, int C)
{
    for (int t = 0; t < T; t++) {
        float *row = y + (size_t)t * (size_t)C;
        for (int c = 0; c < C; c++) {
            float sum = row[c] + shift[c];
            row[c] = sum > floor ? sum : floor;
        }
    }
}

#include "model/kernels_backward.h"

#define KERNELS_TABLE(label)                                                                       \
    {                                                                                              \
        .name = label, .gelu = gelu, .swish = swish, .glu = glu, .layer_norm = layer_norm,         \
        .softmax = softmax, .add_scaled = add_scaled, .scale_shift = scale_shift,                  \
        .depthwise = depthwise, .moments = moments, .dot = dot, .gelu_backward = gelu_backward,    \
        .swish_backward = swish_backward, .glu_backward = glu_backward,                            \
        .layer_norm_backward = layer_norm_backward, .softmax_backward = softmax_backward,          \
        .depthwise_backward = depthwise_backward, .columns_add = columns_add,                      \
        .cross_moments = cross_moments, .affine = affine, .scale_columns = scale_columns,          \
        .dropout = dropout, .winograd_in = winograd_in, .winograd_out = winograd_out,              \
        .shift_floor = shift_floor,                                                                \
    }
