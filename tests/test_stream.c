// SPDX-License-Identifier: MIT
/* test_stream.c - streaming as a property: any cut of the input, reset, an hour
 * of audio, look-ahead, and the built-in model against its PyTorch form. */
#include "check.h"

#include "model/builtin.h"
#include "model/model.h"
#include "model/op.h"
#include "stream/chunk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct runner {
    struct checkpoint checkpoint;
    struct model model;
    struct model_state state;
    struct model_acts acts;
    struct chunk chunk;
    struct arena arena;
    int width; // of the output that is compared
};

enum { MAX_PUT = 20000 };

static void runner_start(struct runner *r, const struct reach *reach)
{
    struct error err;

    if (model_open(&r->model, &r->checkpoint, reach, &err) ||
        model_state_open(&r->state, &r->model, &err) ||
        model_acts_open(&r->acts, &r->model, &err))
        check_fail("%s", err.text);
    chunk_place(&r->chunk, reach->block_frames, reach->right_frames, 0, MAX_PUT, &r->arena);
    assert_int_equal(arena_commit(&r->arena, &err), 0);
    chunk_place(&r->chunk, reach->block_frames, reach->right_frames, 0, MAX_PUT, &r->arena);
    chunk_reset(&r->chunk);
    r->width = r->model.config.readout.present ? r->model.config.readout.n_classes
                                               : r->model.config.wavlm.embed;
}

static void runner_stop(struct runner *r)
{
    arena_release(&r->arena);
    model_acts_close(&r->acts);
    model_state_close(&r->state);
    model_close(&r->model);
}

static const float *output(const struct runner *r)
{
    return r->model.config.readout.present
               ? r->acts.readout.scores
               : r->acts.encoder.rep[config_layers_used(&r->model.config)];
}

/* Runs the blocks that are there; appends their rows. Returns the rows so far. */
static int64_t run_blocks(struct runner *r, float *rows, int64_t n, int ended)
{
    struct block b;

    while (chunk_next(&r->chunk, &b, ended)) {
        model_forward(&r->acts, &r->state, &r->model, r->chunk.samples, &b, 1);
        memcpy(rows + n * r->width, output(r), (size_t)(b.own * r->width) * sizeof(float));
        n += b.own;
        chunk_done(&r->chunk, &b);
    }
    return n;
}

/* The whole recording, put in pieces of random size up to max_piece. */
static int64_t run_cut(struct runner *r, float *rows, const float *x, int64_t n_samples,
                       uint64_t max_piece, struct random *rng)
{
    int64_t n = 0;

    for (int64_t at = 0; at < n_samples;) {
        int64_t piece = 1 + (int64_t)(random_bits(rng) % max_piece);
        piece = piece < n_samples - at ? piece : n_samples - at;
        memcpy(chunk_tail(&r->chunk), x + at, (size_t)piece * sizeof(float));
        chunk_put(&r->chunk, (size_t)piece);
        at += piece;
        n = run_blocks(r, rows, n, 0);
    }
    return run_blocks(r, rows, n, 1);
}

static void open_golden(struct runner *r, const char *name, char **config)
{
    char *json = check_read(check_path("golden/%s/model.config.json", name));
    size_t size = strlen(json) + 32;

    check_weights(&r->checkpoint, name);
    *config = malloc(size);
    snprintf(*config, size, "{\"wavlm\":%s}", json);
    r->checkpoint.config = *config;
    free(json);
}

static void close_golden(struct runner *r, char *config)
{
    r->checkpoint.config = NULL;
    checkpoint_close(&r->checkpoint);
    free(config);
}

enum { N_SAMPLES = 40000, MAX_ROWS = 200 };

/* Both kinds of running statistics, every B, L and R, in any cut: the same bits;
 * and a state that is reset gives what a new one gives. */
static void test_any_cut_gives_the_same_bits(void **state)
{
    (void)state;
    static const char *const names[] = {"wavlm_pruned_tiny", "wavlm_pruned_large_tiny"};
    static float x[N_SAMPLES], want[MAX_ROWS * 72], got[MAX_ROWS * 72];
    struct random rng;

    random_init(&rng, check_seed());
    check_fill(x, N_SAMPLES, &rng);
    for (int trial = 0; trial < 24; trial++) {
        struct runner r = {0};
        char *config;
        struct reach reach = reach_defaults();
        reach.block_frames = 1 + (int)(random_bits(&rng) % 40);
        reach.left_frames = (int)(random_bits(&rng) % 60);
        reach.right_frames = (int)(random_bits(&rng) % 3) * 5;
        reach.horizon_seconds = trial % 3 ? 0.7 : 0.0;
        int64_t n_samples = N_SAMPLES - (int64_t)(random_bits(&rng) % 9000);

        open_golden(&r, names[trial % 2], &config);
        runner_start(&r, &reach);
        int64_t n = run_cut(&r, want, x, n_samples, MAX_PUT, &rng);
        assert_int_equal(n, blocks_frames(n_samples));
        for (int again = 0; again < 2; again++) {
            model_state_reset(&r.state, &r.model);
            chunk_reset(&r.chunk);
            assert_int_equal(run_cut(&r, got, x, n_samples, again ? 40 : 4000, &rng), n);
            if (memcmp(want, got, (size_t)(n * r.width) * sizeof(float)))
                check_fail("%s B %d L %d R %d differs", names[trial % 2], reach.block_frames,
                           reach.left_frames, reach.right_frames);
        }
        runner_stop(&r);
        close_golden(&r, config);
    }
}

/* Many blocks in one call, as training has them, equal live; with look-ahead too. */
static void test_one_call_equals_live(void **state)
{
    (void)state;
    static float x[N_SAMPLES], live[MAX_ROWS * 72];
    struct random rng;

    random_init(&rng, check_seed());
    check_fill(x, N_SAMPLES, &rng);
    for (int right = 0; right <= 6; right += 6) {
        struct runner r = {0};
        char *config;
        struct reach reach = reach_defaults();
        struct block blocks[32];
        struct position at = {0};
        int count = 0, row = 0;
        reach.block_frames = 11;
        reach.left_frames = 30;
        reach.right_frames = right;

        open_golden(&r, "wavlm_pruned_tiny", &config);
        runner_start(&r, &reach);
        run_cut(&r, live, x, N_SAMPLES, MAX_PUT, &rng);
        runner_stop(&r);

        while (block_next(&blocks[count], &at, N_SAMPLES - at.samples, 1, 11, right)) {
            position_advance(&at, &blocks[count]);
            blocks[count].row = row;
            row += block_rows(&blocks[count++]);
        }
        reach.n_blocks = count;
        reach.keep = 1;
        runner_start(&r, &reach);
        model_forward(&r.acts, &r.state, &r.model, x, blocks, count);
        for (int i = 0; i < count; i++)
            check_close("block", output(&r) + blocks[i].row * r.width,
                        live + blocks[i].frame * r.width, (size_t)(blocks[i].own * r.width), 1e-4);
        runner_stop(&r);
        close_golden(&r, config);
    }
}

/* An hour of the same 12.8 s over and over: once the horizon has passed, every
 * repetition gives what the one before gave, and all is finite. Memory cannot
 * grow: all of it is taken before (test_engine counts). */
static void test_an_hour_does_not_drift(void **state)
{
    (void)state;
    enum { PERIOD_BLOCKS = 40, B = 16, PERIOD = PERIOD_BLOCKS * B * 320, REPEATS = 281 };
    static float x[PERIOD], rows[3][PERIOD_BLOCKS * B * 72];
    struct runner r = {0};
    struct reach reach = reach_defaults();
    struct random rng;
    struct block b;
    char *config;

    random_init(&rng, 7);
    check_fill(x, PERIOD, &rng);
    open_golden(&r, "wavlm_pruned_tiny", &config);
    runner_start(&r, &reach);
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        float *keep = rows[repeat == REPEATS / 2 ? 1 : repeat == REPEATS - 1 ? 2 : 0];
        int64_t n = 0;
        for (int at = 0; at < PERIOD; at += MAX_PUT) {
            int piece = PERIOD - at < MAX_PUT ? PERIOD - at : MAX_PUT;
            memcpy(chunk_tail(&r.chunk), x + at, (size_t)piece * sizeof(float));
            chunk_put(&r.chunk, (size_t)piece);
            while (chunk_next(&r.chunk, &b, 0)) {
                model_forward(&r.acts, &r.state, &r.model, r.chunk.samples, &b, 1);
                memcpy(keep + n, output(&r), (size_t)(b.own * r.width) * sizeof(float));
                n += b.own * r.width;
                chunk_done(&r.chunk, &b);
            }
        }
    }
    assert_true(r.state.at.frames > 50 * 3590);
    size_t n = (size_t)((PERIOD_BLOCKS - 1) * B * r.width);
    for (size_t i = 0; i < n; i++)
        assert_true(isfinite(rows[2][i]));
    check_close("after an hour", rows[2], rows[1], n, 1e-3);
    runner_stop(&r);
    close_golden(&r, config);
}

/* The built-in model: offline and at every B and L that its samples give. */
static void test_builtin_model(void **state)
{
    (void)state;
    static const char *const waves[] = {"ami_EN2004a_7s", "sim_5s"};
    static const struct {
        const char *name;
        int B, L;
    } cases[] = {{"offline", 0, 0}, {"B8", 8, 400}, {"B16", 16, 400}, {"B50", 50, 400},
                 {"B8_L50", 8, 50}};
    struct checkpoint samples;
    struct error err;
    static float rows[400 * 11];

    check_open(&samples, check_path("golden/builtin/samples.safetensors"));
    for (int i = 0; i < 10; i++) {
        struct runner r = {0};
        char name[80];
        struct random rng;
        random_init(&rng, 3);
        snprintf(name, sizeof(name), "%s.wav", waves[i / 5]);
        const struct tensor *wave = checkpoint_find(&samples, name);
        snprintf(name, sizeof(name), "%s.%s.logp", waves[i / 5], cases[i % 5].name);
        const struct tensor *want = checkpoint_find(&samples, name);
        assert_non_null(wave);
        assert_non_null(want);
        struct reach reach = reach_offline((int64_t)tensor_count(wave));
        if (cases[i % 5].B) {
            reach = reach_defaults();
            reach.block_frames = cases[i % 5].B;
            reach.left_frames = cases[i % 5].L;
        }
        if (checkpoint_open_memory(&r.checkpoint, builtin_model, builtin_model_bytes(), "built-in",
                                   &err))
            check_fail("%s", err.text);
        runner_start(&r, &reach);
        int64_t n = run_cut(&r, rows, wave->data, (int64_t)tensor_count(wave), 9999, &rng);
        assert_int_equal(n, want->size[0]);
        check_close(name, rows, want->data, tensor_count(want), 1e-5);
        runner_stop(&r);
        checkpoint_close(&r.checkpoint);
    }
    checkpoint_close(&samples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_cut_gives_the_same_bits),
        cmocka_unit_test(test_one_call_equals_live),
        cmocka_unit_test(test_an_hour_does_not_drift),
        cmocka_unit_test(test_builtin_model),
    };
    op_set_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
