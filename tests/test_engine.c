// SPDX-License-Identifier: MIT
/* test_engine.c - the worker from a file to the reports: the right ones, in
 * order, and without a single allocation on the worker's thread. */
#include "check.h"
#include "counting.h"

#include "model/builtin.h"
#include "model/op.h"
#include "stream/engine.h"
#include "stream/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The worker closes every block with push: the first call on a thread marks it. */
static void watch_this_thread(void *user, const struct report *r)
{
    (void)user;
    (void)r;
    is_watched = 1;
}

struct run {
    struct checkpoint checkpoint;
    struct model model;
    struct source *source;
    struct sinks sinks;
    struct engine *engine;
};

/* window_frames: not 0 for window mode. */
static void run_open(struct run *r, const char *input, int watch, int window_frames)
{
    struct reach reach = reach_defaults();
    struct source_settings source = source_defaults();
    struct engine_settings settings = {0};
    struct error err;

    if (window_frames) {
        reach.window_frames = window_frames;
        reach.block_frames = 50;
        reach.left_frames = 0;
    }
    source.input = input;
    source.fast = 1;
    if (checkpoint_open_memory(&r->checkpoint, builtin_model, builtin_model_bytes(), "built-in",
                               &err) ||
        model_open(&r->model, &r->checkpoint, &reach, &err) ||
        source_open(&r->source, &source, &err) || sinks_add(&r->sinks, NULL, NULL, &err))
        check_fail("%s", err.text);
    r->sinks.wait = 1;
    settings.model = &r->model;
    settings.source = r->source;
    settings.sinks = &r->sinks;
    settings.track = tracker_defaults();
    settings.model_name = "built-in";
    settings.on_report = watch ? watch_this_thread : NULL;
    if (engine_open(&r->engine, &settings, &err) || engine_start(r->engine, &err))
        check_fail("%s", err.text);
}

static void run_close(struct run *r)
{
    struct error err;

    engine_close(&r->engine);
    assert_int_equal(sinks_close(&r->sinks, &err), 0);
    source_close(&r->source);
    model_close(&r->model);
    checkpoint_close(&r->checkpoint);
}

enum { MAX_REPORTS = 2000 };

/* All reports of a recording, in order. */
static int collect(struct run *r, struct report *reports)
{
    struct timespec nap = {0, 1000000};
    int n = 0;

    for (;;) {
        int ended = engine_ended(r->engine);
        while (sink_take(r->sinks.list[0], &reports[n]))
            assert_true(++n < MAX_REPORTS);
        if (ended)
            return n;
        nanosleep(&nap, NULL);
    }
}

static void test_reports_are_in_order(void **state)
{
    (void)state;
    static struct report reports[MAX_REPORTS];
    struct run r = {0};
    int64_t block = 0;
    int known = 0, open[8] = {0};
    double end = 0.0;

    run_open(&r, check_path("audio/ami_EN2004a_first30s.flac"), 0, 0);
    int n = collect(&r, reports);
    assert_true(n > 94);
    assert_int_equal(reports[0].type, REPORT_START);
    assert_string_equal(reports[0].start.recording, "ami_EN2004a_first30s");
    assert_int_equal(reports[n - 1].type, REPORT_END);
    for (int i = 1; i < n - 1; i++) {
        const struct report *p = &reports[i];
        int id = p->speaker.id;
        if (p->type == REPORT_BLOCK) {
            assert_int_equal(p->block.number, block++);
            assert_true(p->block.start == end || p->block.number == 0);
            end = p->block.end;
            assert_int_equal(p->block.n_speakers, known);
            assert_true(p->block.level_dbfs > -90.0f && p->block.level_dbfs < 0.0f);
            for (int s = 0; s < known; s++)
                assert_int_equal(p->block.speaking[s], open[s + 1]);
        } else if (p->type == REPORT_SPEAKER_NEW) {
            assert_int_equal(id, ++known);
        } else if (p->type == REPORT_SPEAKER_ON) {
            assert_true(id <= known && !open[id]);
            open[id] = 1;
        } else if (p->type == REPORT_SPEAKER_MERGE) {
            assert_true(id <= known && p->speaker.merged_id <= known && id != p->speaker.merged_id);
            assert_false(open[p->speaker.merged_id]);
        } else if (p->type == REPORT_SPEAKER_MOVED) {
            assert_true(id <= known && p->speaker.merged_id <= known && id != p->speaker.merged_id);
            assert_true(p->speaker.start >= 0.0 && p->speaker.end > p->speaker.start);
            assert_true(p->speaker.end <= p->time + 1e-6);
        } else {
            assert_int_equal(p->type, REPORT_SPEAKER_OFF);
            assert_true(open[id] && p->speaker.end > p->speaker.start);
            open[id] = 0;
        }
    }
    assert_int_equal(block, 94); // 1499 frames
    assert_true(known >= 1);
    for (int s = 1; s <= known; s++)
        assert_false(open[s]);
    run_close(&r);
}

static void test_the_worker_allocates_nothing(void **state)
{
    (void)state;
#ifdef COUNTING
    static struct report reports[MAX_REPORTS];

    is_watched = 1; // the counter counts
    void *volatile p = malloc(10);
    free(p);
    is_watched = 0;
    assert_true(atomic_exchange(&watched_allocations, 0) >= 1);
    for (int window_frames = 0; window_frames <= 100; window_frames += 100) {
        struct run r = {0};
        run_open(&r, check_path("audio/ami_EN2004a_first30s.flac"), 1, window_frames);
        collect(&r, reports);
        assert_int_equal(atomic_load(&watched_allocations), 0);
        run_close(&r);
    }
#else
    skip();
#endif
}

/* Windows: a block a step, with its own times, to the end of the file. */
static void test_window_mode(void **state)
{
    (void)state;
    static struct report reports[MAX_REPORTS];
    struct run r = {0};
    int n_blocks = 0, on = 0, off = 0;

    run_open(&r, check_path("audio/ami_EN2004a_first30s.flac"), 0, 100);
    int n = collect(&r, reports);
    assert_int_equal(reports[0].type, REPORT_START);
    assert_int_equal(reports[0].start.block_ms, 1000);
    assert_int_equal(reports[0].start.window_ms, 2020);
    for (int i = 0; i < n; i++) {
        const struct report *p = &reports[i];
        on += p->type == REPORT_SPEAKER_ON;
        off += p->type == REPORT_SPEAKER_OFF;
        if (p->type == REPORT_BLOCK) {
            assert_true(p->block.start == frame_begin_seconds(50 * (int64_t)n_blocks++));
            assert_true(p->block.end == frame_begin_seconds(n_blocks < 30 ? 50 * n_blocks : 1499));
        }
    }
    assert_int_equal(n_blocks, 30); // 1499 frames
    assert_true(on > 3);
    assert_int_equal(on, off);
    assert_int_equal(reports[n - 1].type, REPORT_END);
    run_close(&r);
}

static void test_a_stop_ends_open_turns(void **state)
{
    (void)state;
    static struct report reports[MAX_REPORTS];
    struct run r = {0};

    run_open(&r, check_path("audio/ami_EN2004a_first30s.flac"), 0, 0);
    engine_stop(r.engine);
    int n = collect(&r, reports), on = 0, off = 0;
    for (int i = 0; i < n; i++) {
        on += reports[i].type == REPORT_SPEAKER_ON;
        off += reports[i].type == REPORT_SPEAKER_OFF;
    }
    assert_int_equal(on, off);
    assert_int_equal(reports[n - 1].type, REPORT_END);
    run_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reports_are_in_order),
        cmocka_unit_test(test_the_worker_allocates_nothing),
        cmocka_unit_test(test_window_mode),
        cmocka_unit_test(test_a_stop_ends_open_turns),
    };
    op_set_threads(1);
    op_warm_up();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
