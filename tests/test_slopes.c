// SPDX-License-Identifier: MIT
/* test_slopes.c - every operation's backward against the slope of its forward, on
 * shapes drawn at random, odd ones on purpose. */
#include "check.h"

#include "model/arena.h"
#include "model/attention.h"
#include "model/kernels.h"
#include "model/op.h"
#include "model/pos_conv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_IN = 6, TRIALS = 12 };

struct shape {
    int T, I, O, K, S;       // rows, widths in and out, taps or keys, stride
    int heads, D, left, B;   // attention; frames of a block
    int n_blocks;
    struct block blocks[64]; // two streams
    float rate;              // of dropout
    const struct kernels *kernels;
    float *scratch;          // 1 << 20
};

/* Inputs and parameters alike: the loss's slope by each is wanted. */
struct op {
    const char *name;
    size_t n[MOST_IN], n_out; // n = 0: no more
    void (*forward)(float *y, float *const in[], const struct shape *s);
    void (*backward)(float *const d[], const float *dy, float *const in[], const float *y,
                     const struct shape *s); // d is zeroed
};

static void linear_f(float *y, float *const in[], const struct shape *s)
{
    linear_forward(y, in[0], in[1], in[2], s->T, s->I, s->O);
}

static void linear_b(float *const d[], const float *dy, float *const in[], const float *y,
                     const struct shape *s)
{
    linear_backward(d[0], 0.0f, d[1], d[2], dy, in[0], in[1], s->T, s->I, s->O);
}

static void conv_f(float *y, float *const in[], const struct shape *s)
{
    conv_forward(y, in[0], in[1], in[2], s->T, s->I, s->O, s->K, s->S);
}

static void conv_b(float *const d[], const float *dy, float *const in[], const float *y,
                   const struct shape *s)
{
    conv_backward(d[0], d[1], d[2], dy, in[0], in[1], s->T, s->I, s->O, s->K, s->S);
}

static void log_softmax_f(float *y, float *const in[], const struct shape *s)
{
    log_softmax_forward(y, in[0], s->T, s->I);
}

static void log_softmax_b(float *const d[], const float *dy, float *const in[], const float *y,
                          const struct shape *s)
{
    log_softmax_backward(d[0], dy, y, s->T, s->I);
}

static void gelu_f(float *y, float *const in[], const struct shape *s)
{
    s->kernels->gelu(y, in[0], (size_t)(s->T * s->I));
}

static void gelu_b(float *const d[], const float *dy, float *const in[], const float *y,
                   const struct shape *s)
{
    s->kernels->gelu_backward(d[0], dy, in[0], (size_t)(s->T * s->I));
}

static void swish_f(float *y, float *const in[], const struct shape *s)
{
    s->kernels->swish(y, in[0], (size_t)(s->T * s->I));
}

static void swish_b(float *const d[], const float *dy, float *const in[], const float *y,
                    const struct shape *s)
{
    s->kernels->swish_backward(d[0], dy, in[0], (size_t)(s->T * s->I));
}

static void glu_f(float *y, float *const in[], const struct shape *s)
{
    s->kernels->glu(y, in[0], s->T, s->I);
}

static void glu_b(float *const d[], const float *dy, float *const in[], const float *y,
                  const struct shape *s)
{
    s->kernels->glu_backward(d[0], dy, in[0], s->T, s->I);
}

static void norm_f(float *y, float *const in[], const struct shape *s)
{
    s->kernels->layer_norm(y, s->scratch, s->scratch + s->T, in[0], in[1], in[2], s->T, s->I);
}

static void norm_b(float *const d[], const float *dy, float *const in[], const float *y,
                   const struct shape *s)
{
    s->kernels->layer_norm_backward(d[0], d[1], d[2], dy, in[0], s->scratch, s->scratch + s->T,
                                    in[1], s->T, s->I);
}

static void softmax_f(float *y, float *const in[], const struct shape *s)
{
    memcpy(y, in[0], (size_t)s->I * sizeof(float));
    s->kernels->softmax(y, in[1], in[2][0], s->I);
}

static void softmax_b(float *const d[], const float *dy, float *const in[], const float *y,
                      const struct shape *s)
{
    memcpy(d[0], dy, (size_t)s->I * sizeof(float));
    s->kernels->softmax_backward(d[0], y, s->I);
    for (int i = 0; i < s->I; i++) {
        d[1][i] = in[2][0] * d[0][i];
        d[2][0] += in[1][i] * d[0][i];
    }
}

static void depthwise_f(float *y, float *const in[], const struct shape *s)
{
    s->kernels->depthwise(y, in[0], in[1], in[2], s->T, s->I, s->K);
}

static void depthwise_b(float *const d[], const float *dy, float *const in[], const float *y,
                        const struct shape *s)
{
    s->kernels->depthwise_backward(d[0], d[1], d[2], dy, in[0], in[1], s->T, s->I, s->K);
}

static struct pos_conv_shape pos_shape(const struct shape *s)
{
    return (struct pos_conv_shape){s->I * s->heads, s->heads, s->K};
}

/* From weight norm's g and v to the result. */
static void pos_conv_f(float *y, float *const in[], const struct shape *s)
{
    struct pos_conv_shape p = pos_shape(s);
    struct arena arena = {0};
    struct history h;
    struct error err;
    float *w = s->scratch, *region = w + 65536, *columns = region + 65536;

    for (int pass = 0; pass < 2; pass++) {
        history_place(&h, p.kernel / 2, p.width, &arena);
        if (pass == 0)
            assert_int_equal(arena_commit(&arena, &err), 0);
    }
    pos_conv_weight(w, in[1], in[2], &p);
    history_reset(&h);
    pos_conv_forward(y, region, columns, &h, in[0], w, in[3], &p, s->blocks, s->n_blocks);
    arena_release(&arena);
}

static void pos_conv_b(float *const d[], const float *dy, float *const in[], const float *y,
                       const struct shape *s)
{
    struct pos_conv_shape p = pos_shape(s);
    float *w = s->scratch, *region = w + 65536, *columns = region + 65536;
    float *region_slope = columns + 262144, *dw = region_slope + 65536;

    memset(dw, 0, (size_t)p.width * (size_t)p.kernel * (size_t)s->I * sizeof(float));
    pos_conv_backward(d[0], dw, d[3], dy, region, region_slope, columns, in[0], w, &p, s->blocks,
                      s->n_blocks);
    pos_conv_weight_backward(d[1], d[2], dw, in[1], in[2], &p);
}

static struct attention_shape attention_of(const struct shape *s)
{
    return (struct attention_shape){s->heads, s->D, 0.7f, s->B, s->left,
                                    window_max_keys(s->left, s->B)};
}

static void attention_f(float *y, float *const in[], const struct shape *s)
{
    struct attention_shape a = attention_of(s);
    struct attention_bias bias = {in[3], s->K & 1, in[4]};
    struct attention_dropout drop = {s->rate, 99};
    struct arena arena = {0};
    struct window window;
    struct error err;
    size_t n_probs = attention_probs_floats(&a, s->T, 1);
    struct attention_acts acts = {.probs = s->scratch, .keep = 1, .ctx = y,
                                  .dropped = s->scratch + n_probs};

    for (int pass = 0; pass < 2; pass++) {
        window_place(&window, s->heads * s->D, s->left, s->T, &arena);
        if (pass == 0)
            assert_int_equal(arena_commit(&arena, &err), 0);
    }
    assert_true(n_probs + (size_t)(a.max_rows * a.max_keys) < 1u << 19);
    window_reset(&window);
    attention_forward(&acts, &window, in[0], in[1], in[2], &bias, &a, &drop, s->blocks,
                      s->n_blocks);
    arena_release(&arena);
}

static void attention_b(float *const d[], const float *dy, float *const in[], const float *y,
                        const struct shape *s)
{
    struct attention_shape a = attention_of(s);
    struct attention_bias bias = {in[3], s->K & 1, in[4]};
    struct attention_dropout drop = {s->rate, 99};
    size_t n_probs = attention_probs_floats(&a, s->T, 1);
    struct attention_acts acts = {.probs = s->scratch, .keep = 1,
                                  .dropped = s->scratch + n_probs};
    struct attention_slopes slopes = {d[0], d[1], d[2], d[3], d[4], s->scratch + (1 << 19)};

    attention_backward(&slopes, dy, &acts, in[0], in[1], in[2], &bias, &a, &drop, s->left,
                       s->blocks, s->n_blocks);
}

static int draw(struct random *rng, int low, int high)
{
    return low + (int)(random_bits(rng) % (uint64_t)(high - low + 1));
}

/* Two streams of odd lengths, cut into blocks of B. */
static void draw_shape(struct shape *s, struct random *rng)
{
    int row = 0;

    s->I = draw(rng, 1, 19);
    s->O = draw(rng, 1, 23);
    s->K = draw(rng, 1, 9);
    s->S = draw(rng, 1, s->K);
    s->heads = draw(rng, 1, 3);
    s->D = draw(rng, 1, 7);
    s->B = draw(rng, 1, 9);
    s->left = draw(rng, 0, 11);
    s->rate = draw(rng, 0, 1) ? 0.25f : 0.0f;
    s->n_blocks = 0;
    for (int stream = 0; stream < 2; stream++) {
        int frames = draw(rng, 1, 15);
        for (int at = 0; at < frames; at += s->B) {
            int own = frames - at < s->B ? frames - at : s->B;
            s->blocks[s->n_blocks++] = (struct block){.frame = at, .own = own, .row = row};
            row += own;
        }
    }
    s->T = row;
}

static double loss_of(const struct op *op, float *y, float *const in[], const float *dy,
                      const struct shape *s)
{
    double sum = 0.0;

    op->forward(y, in, s);
    for (size_t i = 0; i < op->n_out; i++)
        sum += (double)y[i] * dy[i];
    return sum;
}

/* The slope along g from the loss at four places: what float rounding allows. */
static void check_input(const struct op *op, int k, float *y, float *const in[], const float *dy,
                        const float *d, const float *g, const struct shape *s)
{
    double side[4], along = 0.0, size = 0.0, length = 0.0, step = 0.02;

    for (size_t i = 0; i < op->n[k]; i++)
        length += (double)g[i] * g[i];
    length = sqrt(length);
    if (length == 0.0)
        return; // softmax of one number
    float *kept = malloc(op->n[k] * sizeof(float));
    memcpy(kept, in[k], op->n[k] * sizeof(float));
    for (size_t i = 0; i < op->n[k]; i++)
        along += (double)d[i] * g[i] / length;
    for (int j = 0; j < 4; j++) {
        double by = (j & 1 ? -step : step) * (j < 2 ? 1.0 : 0.5) / length;
        for (size_t i = 0; i < op->n[k]; i++)
            in[k][i] = (float)(kept[i] + by * g[i]);
        side[j] = loss_of(op, y, in, dy, s);
    }
    memcpy(in[k], kept, op->n[k] * sizeof(float));
    loss_of(op, y, in, dy, s);
    for (size_t i = 0; i < op->n_out; i++)
        size += fabs((double)y[i] * dy[i]);
    double whole = (side[0] - side[1]) / (2.0 * step), half = (side[2] - side[3]) / step;
    double slope = (4.0 * half - whole) / 3.0;
    double noise = 1e-6 * size / step + 1e-5; // a few roundings of the sum's terms
    if (!(fabs(slope - along) <= 0.01 * fabs(slope) + noise + 0.1 * fabs(half - whole)))
        check_fail("%s, input %d (T %d I %d O %d K %d S %d heads %d D %d left %d B %d): slope %g, "
                   "gradient %g", op->name, k, s->T, s->I, s->O, s->K, s->S, s->heads, s->D,
                   s->left, s->B, slope, along);
    free(kept);
}

static void check_op(const struct op *op, const struct shape *s, struct random *rng)
{
    float *in[MOST_IN] = {0}, *d[MOST_IN] = {0};
    float *y = malloc(op->n_out * sizeof(float)), *dy = malloc(op->n_out * sizeof(float));

    check_fill(dy, op->n_out, rng);
    for (int k = 0; k < MOST_IN && op->n[k]; k++) {
        in[k] = malloc(op->n[k] * sizeof(float));
        d[k] = calloc(op->n[k], sizeof(float));
        check_fill(in[k], op->n[k], rng);
    }
    op->forward(y, in, s);
    op->backward(d, dy, in, y, s);
    for (int k = 0; k < MOST_IN && op->n[k]; k++) {
        float *g = malloc(op->n[k] * sizeof(float));
        check_input(op, k, y, in, dy, d[k], d[k], s); // where the slope is largest
        check_fill(g, op->n[k], rng);
        check_input(op, k, y, in, dy, d[k], g, s); // anywhere
        free(g);
    }
    for (int k = 0; k < MOST_IN; k++) {
        free(in[k]);
        free(d[k]);
    }
    free(y);
    free(dy);
}

static void check_all(const struct shape *s, struct random *rng)
{
    struct attention_shape a = attention_of(s);
    size_t T = (size_t)s->T, I = (size_t)s->I, O = (size_t)s->O, K = (size_t)s->K;
    size_t long_T = (T - 1) * (size_t)s->S + K, A = (size_t)(s->heads * s->D);
    size_t H = (size_t)s->heads, table = H * (size_t)attention_distances(&a);
    const struct op ops[] = {
        {"linear", {T * I, O * I, O}, T * O, linear_f, linear_b},
        {"conv", {long_T * I, O * K * I, O}, T * O, conv_f, conv_b},
        {"log_softmax", {T * I}, T * I, log_softmax_f, log_softmax_b},
        {"gelu", {T * I}, T * I, gelu_f, gelu_b},
        {"swish", {T * I}, T * I, swish_f, swish_b},
        {"glu", {2 * T * I}, T * I, glu_f, glu_b},
        {"layer_norm", {T * I, I, I}, T * I, norm_f, norm_b},
        {"softmax", {I, I, 1}, I, softmax_f, softmax_b},
        {"depthwise", {(T + K - 1) * I, K * I, I}, T * I, depthwise_f, depthwise_b},
        {"pos_conv", {T * I * H, K, I * H * I * K, I * H}, T * I * H, pos_conv_f, pos_conv_b},
        {"attention", {T * A, T * A, T * A, s->K & 1 ? T * table : table, T * H}, T * A, attention_f,
         attention_b},
    };

    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        /* A row of one or two is no matter for a norm: its slope is all rounding. That of
         * the positional convolution's weights would be a sign. */
        int row = !strcmp(ops[i].name, "layer_norm") ? s->I
                  : !strcmp(ops[i].name, "pos_conv") ? s->I * s->I * s->heads : 9;
        if (row > 3)
            check_op(&ops[i], s, rng);
    }
}

static void test_slopes(void **state)
{
    struct random rng;
    struct shape s = {.scratch = malloc(sizeof(float) << 20)};

    random_init(&rng, check_seed());
    for (const struct kernels *const *k = kernels_all(); *k; k++) {
        s.kernels = *k;
        for (int trial = 0; trial < TRIALS; trial++) {
            draw_shape(&s, &rng);
            check_all(&s, &rng);
        }
    }
    free(s.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_slopes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
