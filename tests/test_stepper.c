// SPDX-License-Identifier: MIT
/* test_stepper.c - both ways of going through a stream, and above all windows:
 * the offline model's bits, in any cut; places that hold; ends and beginnings. */
#include "check.h"

#include "model/builtin.h"
#include "model/op.h"
#include "stream/stepper.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_SAMPLES = 3 * 16000, MAX_FRAMES = 160, MAX_PUT = 5000, MAX_SPEAKERS = 4, WIDTH = 512 };

struct subject {
    struct checkpoint checkpoint;
    struct model model;
    struct stepper stepper;
};

static void open_subject(struct subject *s, const struct reach *reach)
{
    struct error err;

    if (checkpoint_open_memory(&s->checkpoint, builtin_model, builtin_model_bytes(), "built-in",
                               &err) ||
        model_open(&s->model, &s->checkpoint, reach, &err) ||
        stepper_open(&s->stepper, &s->model, SMOOTH_SECONDS, MAX_PUT, &err))
        check_fail("%s", err.text);
    assert_true(s->stepper.powerset.n_speakers <= MAX_SPEAKERS);
    assert_true(config_traits(&s->model.config) <= WIDTH);
}

static void close_subject(struct subject *s)
{
    stepper_close(&s->stepper);
    model_close(&s->model);
    checkpoint_close(&s->checkpoint);
}

/* What a stream said, and in which steps. */
struct said {
    int n_frames, n_steps, n_speakers;
    float prob[MAX_FRAMES * MAX_SPEAKERS];
    float traits[MAX_FRAMES * WIDTH];
    struct step step[MAX_FRAMES];
    struct position at[MAX_FRAMES]; // before the step
};

typedef void look_at(const struct subject *s, const struct step *step, const float *x);

static void take_steps(struct said *said, struct subject *s, const float *x, int ended,
                       look_at *look)
{
    struct step step;

    while (stepper_next(&s->stepper, &step, ended)) {
        int S = s->stepper.powerset.n_speakers, C = config_traits(&s->model.config);
        const struct block *b = &step.block;
        assert_int_equal(b->frame, said->n_frames);
        assert_memory_equal(step.samples, x + s->stepper.chunk.at.samples,
                            (size_t)b->own_samples * sizeof(float));
        stepper_run(&s->stepper, &step);
        memcpy(said->prob + said->n_frames * S, step.prob, (size_t)(b->own * S) * sizeof(float));
        memcpy(said->traits + said->n_frames * C, step.traits, (size_t)(b->own * C) * sizeof(float));
        said->n_speakers = S;
        said->at[said->n_steps] = s->stepper.chunk.at;
        said->step[said->n_steps++] = step;
        if (look)
            look(s, &step, x);
        said->n_frames += b->own;
        assert_true(said->n_frames < MAX_FRAMES);
        stepper_done(&s->stepper, &step);
    }
}

static void run_cut(struct said *said, struct subject *s, const float *x, int n, int max_piece,
                    struct random *rng, look_at *look)
{
    *said = (struct said){0};
    for (int at = 0; at < n;) {
        int piece = 1 + (int)(random_bits(rng) % (uint64_t)max_piece);
        piece = piece < n - at ? piece : n - at;
        memcpy(chunk_tail(&s->stepper.chunk), x + at, (size_t)piece * sizeof(float));
        chunk_put(&s->stepper.chunk, (size_t)piece);
        at += piece;
        take_steps(said, s, x, 0, look);
    }
    take_steps(said, s, x, 1, look);
    assert_int_equal(said->n_frames, blocks_frames(n));
}

static struct reach draw_reach(struct random *rng, int windows)
{
    struct reach reach = reach_defaults();

    reach.block_frames = 1 + (int)(random_bits(rng) % 40);
    reach.right_frames = (int)(random_bits(rng) % 3) * 4;
    reach.left_frames = (int)(random_bits(rng) % 60);
    reach.horizon_seconds = 0.7;
    if (windows) {
        reach.window_frames =
            reach.block_frames + reach.right_frames + (int)(random_bits(rng) % 90);
        reach.left_frames = 0;
        reach.horizon_seconds = 0.0;
    }
    return reach;
}

/* Bursts of noise, so that somebody seems to speak now and then. */
static void make_audio(float *x, int n, struct random *rng)
{
    check_fill(x, (size_t)n, rng);
    for (int i = 0; i < n; i++)
        x[i] *= 0.3f * (float)(sin(i * 3e-4) > 0.0) + 1e-3f;
}

static void test_any_cut_gives_the_same_bits(void **state)
{
    (void)state;
    static float x[N_SAMPLES];
    static struct said want, got;
    struct random rng;

    random_init(&rng, check_seed());
    make_audio(x, N_SAMPLES, &rng);
    for (int trial = 0; trial < 8; trial++) {
        struct subject s = {0};
        struct reach reach = draw_reach(&rng, trial % 4 != 0);
        int n = N_SAMPLES - (int)(random_bits(&rng) % 20000);
        open_subject(&s, &reach);
        run_cut(&want, &s, x, n, MAX_PUT, &rng, NULL);
        for (int again = 0; again < 2; again++) {
            stepper_reset(&s.stepper); // as new
            run_cut(&got, &s, x, n, again ? 50 : 3000, &rng, NULL);
            assert_int_equal(got.n_steps, want.n_steps);
            assert_memory_equal(got.prob, want.prob, sizeof(want.prob));
            assert_memory_equal(got.traits, want.traits, sizeof(want.traits));
        }
        close_subject(&s);
    }
}

/* What a window says is what the offline model says on its samples: the same bits,
 * smoothed, its local speakers in another order. */
static void compare_offline(const struct subject *s, const struct step *step, const float *x)
{
    const struct stepper *stepper = &s->stepper;
    const struct block *b = &step->block;
    int S = stepper->powerset.n_speakers, C = config_traits(&s->model.config);
    int64_t first = (b->frame - step->context) * 320;
    int64_t end = stepper->chunk.at.samples + b->own_samples + b->right_samples;
    struct subject offline = {0};
    struct reach reach = reach_offline(end - first);
    struct step all;
    static float prob[MAX_FRAMES * MAX_SPEAKERS], smoothed[MAX_FRAMES * POWERSET_MAX_CLASSES];
    int used[MAX_SPEAKERS] = {0};

    if (b->frame % 3) // one in three will do
        return;
    reach.left_frames = 0;
    open_subject(&offline, &reach);
    struct position at = {0};
    assert_int_equal(block_next(&all.block, &at, end - first, 1, reach.block_frames, 0), 1);
    assert_int_equal(all.block.own, step->context + b->own + b->right);
    model_forward(&offline.stepper.acts, &offline.stepper.state, &offline.model, x + first,
                  &all.block, 1);
    assert_memory_equal(step->traits, offline.stepper.acts.readout.traits + step->context * C,
                        (size_t)(b->own * C) * sizeof(float));
    smoother_reset(&offline.stepper.smoother);
    smoother_run(&offline.stepper.smoother, smoothed, offline.stepper.acts.readout.scores,
                 all.block.own);
    powerset_activity(prob, smoothed, &stepper->powerset, all.block.own);
    for (int local = 0; local < S; local++) {
        int place = stepper->places.place[local];
        assert_true(place >= 0 && place < S && !used[place]++);
        for (int t = -step->context; t < b->own; t++) {
            const float *want = prob + (step->context + t) * S + local;
            assert_memory_equal(want, step->prob + t * S + place, sizeof(float));
        }
    }
    close_subject(&offline);
}

static void test_a_window_is_the_offline_model(void **state)
{
    (void)state;
    static float x[N_SAMPLES];
    static struct said said;
    struct random rng;

    random_init(&rng, check_seed());
    make_audio(x, N_SAMPLES, &rng);
    for (int trial = 0; trial < 4; trial++) {
        struct subject s = {0};
        struct reach reach = draw_reach(&rng, 1);
        open_subject(&s, &reach);
        run_cut(&said, &s, x, N_SAMPLES - 100 * trial, MAX_PUT, &rng, compare_offline);
        close_subject(&s);
    }
}

/* The window grows from the first step on, then rolls; the end is flushed, however
 * little of a step it is. */
static void test_steps(void **state)
{
    (void)state;
    static float x[N_SAMPLES];
    static struct said said;
    struct random rng;
    struct subject s = {0};
    struct reach reach = reach_defaults();

    random_init(&rng, 5);
    make_audio(x, N_SAMPLES, &rng);
    reach.block_frames = 25;
    reach.window_frames = 60;
    reach.left_frames = 0;
    open_subject(&s, &reach);
    assert_int_equal(stepper_memory_frames(&s.stepper), 60);
    run_cut(&said, &s, x, 320 * 103 + 80 + 200, MAX_PUT, &rng, NULL);
    static const struct {
        int frame, own, context, samples;
    } want[] = {{0, 25, 0, 8080}, {25, 25, 25, 8000}, {50, 25, 35, 8000}, {75, 25, 35, 8000},
                {100, 3, 57, 1160}};
    assert_int_equal(said.n_steps, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(said.step[i].block.frame, want[i].frame);
        assert_int_equal(said.step[i].block.own, want[i].own);
        assert_int_equal(said.step[i].context, want[i].context);
        assert_int_equal(said.step[i].block.own_samples, want[i].samples);
    }
    close_subject(&s);
}

/* Log-probabilities of the classes that say exactly: these speakers. */
static void say(float *logp, const struct powerset *p, unsigned mask)
{
    for (int c = 0; c < p->n_classes; c++)
        logp[c] = p->mask[c] == mask ? -0.01f : -7.0f;
}

/* Two people take turns; each window numbers them anew; places hold. */
static void test_places_hold(void **state)
{
    (void)state;
    enum { W = 40, STEP = 10, STEPS = 30 };
    struct places places = {0};
    struct powerset powerset;
    struct arena arena = {0};
    struct error err;
    struct random rng;
    static float logp[W * POWERSET_MAX_CLASSES];

    random_init(&rng, check_seed());
    powerset_init(&powerset, 4, 2);
    places_place(&places, 4, W, &arena);
    assert_int_equal(arena_commit(&arena, &err), 0);
    places_place(&places, 4, W, &arena);
    places_reset(&places);
    int place_of[2] = {-1, -1};
    for (int step = 1; step <= STEPS; step++) {
        int end = step * STEP, first = end > W ? end - W : 0;
        int local[2] = {(int)(random_bits(&rng) % 4), 0};
        local[1] = (local[0] + 1 + (int)(random_bits(&rng) % 3)) % 4;
        for (int f = first; f < end; f++) { // 0 speaks 30 frames, 1 speaks 30, both 5
            unsigned who = f % 60 < 30 ? 1 : 2;
            unsigned mask = f % 60 >= 25 && f % 60 < 30 ? 3 : who;
            say(logp + (f - first) * powerset.n_classes, &powerset,
                (mask & 1u) << local[0] | (mask >> 1) << local[1]);
        }
        places_take(&places, logp, &powerset, first, end - first);
        for (int who = 0; who < 2; who++) {
            int place = places.place[local[who]], heard = 0;
            for (int f = first; f < end; f++)
                heard += places.prob[(f - first) * 4 + place] > 0.5f;
            if (heard && place_of[who] < 0)
                place_of[who] = place;
            if (heard)
                assert_int_equal(place, place_of[who]);
        }
    }
    assert_true(place_of[0] >= 0 && place_of[1] >= 0 && place_of[0] != place_of[1]);
    arena_release(&arena);
}

/* Whom the shared frames do not know comes to the free place that was heard last. */
static void test_somebody_comes_back(void **state)
{
    (void)state;
    enum { W = 20 };
    struct places places = {0};
    struct powerset powerset;
    struct arena arena = {0};
    struct error err;
    static float logp[W * POWERSET_MAX_CLASSES];
    static const struct {
        int end;
        unsigned old, new; // speakers of the shared frames and of the last ten
    } windows[] = {{10, 0, 1}, {20, 1, 1}, {30, 2, 4}, {40, 1, 1}, {50, 8, 8}, {60, 4, 2}};
    int heard[6];

    powerset_init(&powerset, 4, 2);
    places_place(&places, 4, W, &arena);
    assert_int_equal(arena_commit(&arena, &err), 0);
    places_place(&places, 4, W, &arena);
    places_reset(&places);
    for (int i = 0; i < 6; i++) {
        int end = windows[i].end, first = end > W ? end - W : 0;
        for (int f = first; f < end; f++)
            say(logp + (f - first) * powerset.n_classes, &powerset,
                f < end - 10 ? windows[i].old : windows[i].new);
        places_take(&places, logp, &powerset, first, end - first);
        heard[i] = -1;
        for (int s = 0; s < 4; s++)
            heard[i] = places.prob[(end - first - 1) * 4 + s] > 0.5f ? s : heard[i];
    }
    assert_int_equal(heard[1], heard[0]);     // went on
    assert_int_not_equal(heard[2], heard[0]); // another one beside
    assert_int_equal(heard[3], heard[2]);     // went on, under another number
    assert_int_equal(heard[4], heard[2]);
    assert_int_equal(heard[5], heard[0]);     // new in the window: the free place heard last
    arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_cut_gives_the_same_bits),
        cmocka_unit_test(test_a_window_is_the_offline_model),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_places_hold),
        cmocka_unit_test(test_somebody_comes_back),
    };
    op_set_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
