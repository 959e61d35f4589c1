// SPDX-License-Identifier: MIT
/* kernels_backward.h - the reverse of the loops in kernels_body.h, and what only
 * training needs; included by it, after the lanes' helpers. */

/* d/dx x Phi(x) = Phi(x) + x phi(x) */
static void gelu_backward(float *dx, const float *dy, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float a = fabsf(x[i]), t = a * 0.70710678118654752f;
        float k = 1.0f / (1.0f + 0.3275911f * t), e = exp_lane(-t * t);
        float q = 1.061405429f;
        q = q * k - 1.453152027f;
        q = q * k + 1.421413741f;
        q = q * k - 0.284496736f;
        q = q * k + 0.254829592f;
        float tail = 0.5f * q * k * e; // Phi(-|x|)
        float phi = x[i] > 0.0f ? 1.0f - tail : tail;
        dx[i] = dy[i] * (phi + x[i] * 0.39894228040143268f * e);
    }
}

static void swish_backward(float *dx, const float *dy, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float s = sigmoid_lane(x[i]);
        dx[i] = dy[i] * s * (1.0f + x[i] * (1.0f - s));
    }
}

static void glu_backward(float *restrict dx, const float *restrict dy, const float *restrict x,
                         int T, int C)
{
    for (int t = 0; t < T; t++) {
        const float *d = dy + (size_t)t * C, *a = x + (size_t)t * 2 * C, *b = a + C;
        float *da = dx + (size_t)t * 2 * C, *db = da + C;
        for (int c = 0; c < C; c++) {
            float s = sigmoid_lane(b[c]);
            da[c] = d[c] * s;
            db[c] = d[c] * a[c] * s * (1.0f - s);
        }
    }
}

static void layer_norm_backward(float *dx, float *restrict dw, float *restrict db, const float *dy,
                                const float *x, const float *mean, const float *rstd,
                                const float *w, int T, int C)
{
    for (int t = 0; t < T; t++) {
        const float *in = x + (size_t)t * C, *d = dy + (size_t)t * C;
        float *out = dx + (size_t)t * C, m = mean[t], r = rstd[t];
        float lane_g[LANES] = {0}, lane_gx[LANES] = {0};
        int c = 0;

        for (; c + LANES <= C; c += LANES) {
            for (int l = 0; l < LANES; l++) {
                float g = d[c + l] * w[c + l];
                lane_g[l] += g;
                lane_gx[l] += g * ((in[c + l] - m) * r);
            }
        }
        float sum_g = lanes_sum(lane_g), sum_gx = lanes_sum(lane_gx);
        for (; c < C; c++) {
            sum_g += d[c] * w[c];
            sum_gx += d[c] * w[c] * ((in[c] - m) * r);
        }
        float mean_g = sum_g / (float)C, mean_gx = sum_gx / (float)C;
        for (c = 0; c < C; c++) {
            float hat = (in[c] - m) * r, slope = d[c];
            dw[c] += slope * hat;
            db[c] += slope;
            out[c] = r * (slope * w[c] - mean_g - hat * mean_gx);
        }
    }
}

static float softmax_backward(float *dx, const float *y, int n)
{
    float sum = 0.0f, lane[LANES] = {0};
    int i = 0;

    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++)
            lane[l] += y[i + l] * dx[i + l];
    }
    sum = lanes_sum(lane);
    for (; i < n; i++)
        sum += y[i] * dx[i];
    for (i = 0; i < n; i++)
        dx[i] = y[i] * (dx[i] - sum);
    return sum;
}

static void depthwise_backward(float *restrict dx, float *restrict dw, float *restrict db,
                               const float *restrict dy, const float *restrict x,
                               const float *restrict w, int T, int C, int K)
{
    for (int t = 0; t < T; t++) {
        const float *d = dy + (size_t)t * C;
        for (int c = 0; c < C; c++)
            db[c] += d[c];
        for (int k = 0; k < K; k++) {
            const float *in = x + (size_t)(t + k) * C, *tap = w + (size_t)k * C;
            float *din = dx + (size_t)(t + k) * C, *dtap = dw + (size_t)k * C;
            for (int c = 0; c < C; c++) {
                din[c] += d[c] * tap[c];
                dtap[c] += d[c] * in[c];
            }
        }
    }
}

static void columns_add(float *restrict sum, const float *restrict x, int T, int C)
{
    for (int t = 0; t < T; t++) {
        const float *in = x + (size_t)t * C;
        for (int c = 0; c < C; c++)
            sum[c] += in[c];
    }
}

static void cross_moments(double *restrict sum, double *restrict product, const float *restrict a,
                          const float *restrict b, int T, int C)
{
    for (int t = 0; t < T; t++) {
        const float *x = a + (size_t)t * C, *y = b + (size_t)t * C;
        for (int c = 0; c < C; c++) {
            sum[c] += (double)x[c];
            product[c] += (double)x[c] * (double)y[c];
        }
    }
}

static void affine(float *y, const float *a, const float *b, const float *scale_a,
                   const float *scale_b, const float *shift, int T, int C)
{
    for (int t = 0; t < T; t++) {
        const float *x = a + (size_t)t * C, *z = b + (size_t)t * C;
        float *out = y + (size_t)t * C;
        for (int c = 0; c < C; c++)
            out[c] = x[c] * scale_a[c] + z[c] * scale_b[c] + shift[c];
    }
}

static void scale_columns(float *y, const float *x, const float *scale, int T, int C)
{
    for (int t = 0; t < T; t++) {
        const float *in = x + (size_t)t * C;
        float *out = y + (size_t)t * C;
        for (int c = 0; c < C; c++)
            out[c] = in[c] * scale[c];
    }
}

/* Wellons' lowbias32, a mixing function of 32 bits. */
static inline uint32_t mix32(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

static void dropout(float *y, const float *x, float rate, uint64_t key, size_t n)
{
    uint32_t low = (uint32_t)key, high = (uint32_t)(key >> 32);
    uint32_t limit = (uint32_t)(rate * 4294967296.0f > 4294967040.0f ? 4294967040.0f
                                                                     : rate * 4294967296.0f);
    float scale = 1.0f / (1.0f - rate);

    for (size_t i = 0; i < n; i++) {
        uint32_t draw = mix32(((uint32_t)i + low) * 0x9e3779b1u ^ high);
        y[i] = draw < limit ? 0.0f : x[i] * scale;
    }
}
