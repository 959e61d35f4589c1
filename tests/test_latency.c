// SPDX-License-Identifier: MIT
/* test_latency.c - the table of layer shapes: between its points, as a file, and the
 * slopes of the size it makes by every gate. */
#include "check.h"

#include "prune/expected_size.h"
#include "prune/latency.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void make_curve(struct latency_curve *c, double most, int n, double power)
{
    c->n = n;
    for (int i = 0; i < n; i++) {
        c->x[i] = most * i / (n - 1);
        c->ms[i] = pow((double)i / (n - 1), power);
    }
}

/* A table for the model, of no machine. */
static void make_table(struct latency *l, const struct model_config *c)
{
    const struct wavlm_config *w = &c->wavlm;

    *l = (struct latency){.block_frames = 16, .left_frames = 400, .threads = 1, .fixed_ms = 0.25};
    for (int i = 0; i < w->n_convs; i++) {
        struct latency_grid *g = &l->conv[i];
        g->n_in = i ? 4 : 1;
        g->n_out = 3;
        for (int a = 0; a < g->n_in; a++)
            g->in[a] = i ? w->conv[i - 1].channels * (a + 1) / 4.0 : 1.0;
        for (int b = 0; b < 3; b++)
            g->out[b] = w->conv[i].channels * (b + 1) / 3.0;
        for (int a = 0; a < g->n_in; a++)
            for (int b = 0; b < 3; b++)
                g->ms[a][b] = 0.1 * (i + 1) * pow(a + 1.0, 1.2) * pow(b + 1.0, 1.3);
    }
    make_curve(&l->projection, w->conv[w->n_convs - 1].channels, 5, 1.1);
    make_curve(&l->attention, w->layer[0].total_heads, 4, 1.4);
    make_curve(&l->feed_forward, w->layer[0].ff, 6, 1.2);
}

static void open_nano(struct model_config *c)
{
    struct error err;
    char *json = config_arch_json("nano", &err);

    if (!json || config_parse(c, json, &err))
        check_fail("%s", err.text);
    free(json);
}

static void test_between_the_points(void **state)
{
    struct latency_curve c = {.n = 3, .x = {0, 2, 6}, .ms = {0, 1, 5}};
    struct latency_grid g = {.n_in = 2, .n_out = 2, .in = {1, 3}, .out = {2, 4},
                             .ms = {{1, 2}, {3, 8}}};
    double slope, by_in, by_out;

    assert_true(latency_curve_at(&c, 0.0, &slope) == 0.0 && slope == 0.5);
    assert_true(latency_curve_at(&c, 4.0, &slope) == 3.0 && slope == 1.0);
    assert_true(latency_curve_at(&c, 8.0, &slope) == 7.0 && slope == 1.0); // beyond the last
    assert_true(latency_grid_at(&g, 1.0, 2.0, &by_in, &by_out) == 1.0);
    assert_true(latency_grid_at(&g, 3.0, 4.0, &by_in, &by_out) == 8.0);
    assert_true(latency_grid_at(&g, 2.0, 3.0, &by_in, &by_out) == 3.5); // the mean of all four
    assert_true(by_in == 2.0 && by_out == 1.5);
}

/* The slope of a size along a random direction of all log_alpha, and as measured. */
static void check_slopes(enum size_target target, const struct latency *time,
                         const struct model_config *c, struct random *rng)
{
    struct gates g;
    struct error err;
    float *direction[64], *start[64];
    double sizes[2], promised = 0.0, h = 1e-3;

    assert_int_equal(gates_open(&g, c, (1u << N_GATE_UNITS) - 1, 1, &err), 0);
    assert_true(g.n < 64);
    for (int k = 0; k < g.n; k++) {
        size_t n = (size_t)g.list[k].n;
        direction[k] = malloc(n * sizeof(float));
        start[k] = malloc(n * sizeof(float));
        check_fill(direction[k], n, rng);
        check_fill(start[k], n, rng);
        for (size_t i = 0; i < n; i++)
            start[k][i] = 2.0f * start[k][i] - 1.0f;
        memcpy(g.list[k].log_alpha, start[k], n * sizeof(float));
    }
    gates_clear_slopes(&g);
    expected_size(&g, target, time, 1.0);
    for (int k = 0; k < g.n; k++)
        for (int i = 0; i < g.list[k].n; i++)
            promised += (double)g.list[k].slope[i] * direction[k][i];
    for (int side = 0; side < 2; side++) {
        for (int k = 0; k < g.n; k++)
            for (int i = 0; i < g.list[k].n; i++)
                g.list[k].log_alpha[i] =
                    start[k][i] + (float)((side ? h : -h) * direction[k][i]);
        sizes[side] = expected_size(&g, target, time, 0.0).size;
    }
    double measured = (sizes[1] - sizes[0]) / (2.0 * h);
    if (!(fabs(measured - promised) < 2e-3 * fabs(promised) + 1e-4 * sizes[0]))
        check_fail("target %d: the slope is %g, promised %g", target, measured, promised);
    for (int k = 0; k < g.n; k++) {
        free(direction[k]);
        free(start[k]);
    }
    gates_close(&g);
}

static void test_slopes_of_sizes(void **state)
{
    struct random rng;
    struct model_config c;
    struct latency l;

    random_init(&rng, check_seed());
    open_nano(&c);
    make_table(&l, &c);
    for (int i = 0; i < 5; i++) {
        check_slopes(TARGET_PARAMS, NULL, &c, &rng);
        check_slopes(TARGET_MACS, NULL, &c, &rng);
        check_slopes(TARGET_TIME, &l, &c, &rng);
    }
}

/* With every gate open the expected time is the shape's own. */
static void test_open_gates(void **state)
{
    struct model_config c;
    struct latency l;
    struct gates g;
    struct error err;

    open_nano(&c);
    make_table(&l, &c);
    assert_int_equal(gates_open(&g, &c, 7, 1, &err), 0);
    struct expected_size size = expected_size(&g, TARGET_TIME, &l, 0.0);
    assert_true(fabs(size.unpruned - latency_of(&l, &c)) < 1e-9);
    assert_true(size.size < size.unpruned);
    gates_close(&g);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_file(void **state)
{
    static const char *const bad[] = {
        "", "{", "[]", "{\"block_frames\":16}",
        "{\"block_frames\":16,\"left_frames\":400,\"threads\":1,\"fixed_ms\":1,\"convolutions\":[]}",
    };
    char path[] = "/tmp/test_latency_XXXXXX";
    struct model_config c;
    struct latency l, back;
    struct error err;

    open_nano(&c);
    make_table(&l, &c);
    close(mkstemp(path));
    assert_int_equal(latency_write(&l, path, &err), 0);
    if (latency_read(&back, path, &c, &err))
        check_fail("%s", err.text);
    assert_true(back.block_frames == 16 && back.left_frames == 400 && back.threads == 1);
    for (int i = 0; i < 3; i++) { // cJSON rounds a last bit
        assert_true(fabs(latency_of(&back, &c) - latency_of(&l, &c)) < 1e-12);
        c.wavlm.conv[2 * i].channels = c.wavlm.conv[2 * i].channels * 2 / 3;
        c.wavlm.layer[i].n_heads = i;
        c.wavlm.layer[i].ff /= 3;
    }
    open_nano(&c);
    c.wavlm.n_convs--;
    assert_int_equal(latency_read(&back, path, &c, &err), -1); // another model's
    c.wavlm.n_convs++;
    l.attention.ms[2] = l.attention.ms[1] / 2.0; // more takes less
    assert_int_equal(latency_write(&l, path, &err), 0);
    assert_int_equal(latency_read(&back, path, &c, &err), -1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        write_text(path, bad[i]);
        assert_int_equal(latency_read(&back, path, &c, &err), -1);
        assert_non_null(strstr(err.text, "--latency"));
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_between_the_points),
        cmocka_unit_test(test_slopes_of_sizes),
        cmocka_unit_test(test_open_gates),
        cmocka_unit_test(test_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
