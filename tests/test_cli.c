// SPDX-License-Identifier: MIT
/* test_cli.c - what the commands share: the nearest name, the line of progress, how a
 * model is to run live. */
#include "check.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/load.h"
#include "cli/nearest.h"
#include "cli/progress.h"

static void test_distance(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int distance;
    } rows[] = {
        {"stream", "stream", 0}, {"strem", "stream", 1}, {"streamm", "stream", 1},
        {"steram", "stream", 2}, {"", "plot", 4}, {"kitten", "sitting", 3},
        {"this name is longer than 32 letters", "this", 99},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(nearest_distance(rows[i].a, rows[i].b), rows[i].distance);
        assert_int_equal(nearest_distance(rows[i].b, rows[i].a), rows[i].distance);
    }
}

static void test_nearest_of_several(void **state)
{
    (void)state;
    const char *nearest = NULL;
    int distance = NEAREST_FAR;

    nearest_try(&nearest, &distance, "scroe", "bench");
    assert_null(nearest); // too far to be meant
    nearest_try(&nearest, &distance, "scroe", "score");
    nearest_try(&nearest, &distance, "scroe", "store");
    assert_string_equal(nearest, "score");
}

static void test_lines(void **state)
{
    (void)state;
    struct progress p = {.what = "importing", .unit = "tensors", .total = 200.0};
    char line[200];

    progress_line(line, sizeof(line), &p, 50.0, 10.0);
    assert_string_equal(line, "importing [#####...............]  25 %  5 tensors/s  0:30 left");
    progress_line(line, sizeof(line), &p, 0.0, 1.0);
    assert_string_equal(line, "importing [....................]   0 %  0 tensors/s  ? left");
    progress_line(line, sizeof(line), &p, 250.0, 1.0); // more than there should be
    assert_string_equal(line, "importing [####################] 100 %  250 tensors/s  0:00 left");
    progress_line(line, sizeof(line), &p, 1.0, 60.0);
    assert_non_null(strstr(line, "3 h 19 min left"));
    p.total = 0.0;
    progress_line(line, sizeof(line), &p, 50.0, 10.0);
    assert_string_equal(line, "importing  50 tensors  5/s");
}

/* Runs a second of work with stderr at a descriptor; returns what came. */
static size_t work(int fd, int reader, char *text, size_t size)
{
    int old = dup(STDERR_FILENO);
    struct progress p;
    struct timespec nap = {0, 300000000};
    struct pollfd from = {.fd = reader, .events = POLLIN};
    size_t got = 0;
    ssize_t n;

    dup2(fd, STDERR_FILENO);
    progress_begin(&p, "working", "steps", 4.0);
    progress_at(&p, 1.0); // too early to be shown
    for (int i = 2; i <= 4; i++) {
        nanosleep(&nap, NULL);
        progress_at(&p, i);
        progress_at(&p, i); // too soon again
    }
    progress_end(&p);
    dup2(old, STDERR_FILENO);
    close(old);
    /* What a terminal is given comes out by and by: until nothing has come for a while. */
    while (got < size - 1 && poll(&from, 1, 300) > 0 &&
           (n = read(reader, text + got, size - 1 - got)) > 0)
        got += (size_t)n;
    text[got] = 0;
    return got;
}

static void test_only_on_a_terminal(void **state)
{
    (void)state;
    char text[2000];
    int ends[2], terminal = posix_openpt(O_RDWR | O_NOCTTY), slave = -1;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(work(ends[1], ends[0], text, sizeof(text)), 0);
    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal) ||
        (slave = open(ptsname(terminal), O_RDWR | O_NOCTTY)) < 0)
        skip();
    work(slave, terminal, text, sizeof(text));
    assert_null(strstr(text, " 25 %"));
    assert_non_null(strstr(text, "working [###############.....]  75 %"));
    assert_non_null(strstr(text, "100 %"));
    assert_memory_equal(text + strlen(text) - 4, "\r\033[K", 4); // wiped at the end
    close(slave);
    close(terminal);
    close(ends[0]);
    close(ends[1]);
}

/* What is said goes before what the model was made for. */
static void test_live_options(void **state)
{
    (void)state;
    const struct live_options none = LIVE_OPTIONS_NONE;
    struct live_options o;
    struct model_config config = {.live = LIVE_WINDOW, .readout = {.present = 1}};
    struct reach reach;
    struct error err;

    config.readout.chunk_seconds = 8.0;
    assert_int_equal(live_options_check(&none, &err), 0);
    assert_int_equal(live_reach(&reach, &none, &config, &err), 0);
    assert_int_equal(reach.window_frames, 399);
    assert_int_equal(reach.block_frames, 25);
    assert_int_equal(reach.left_frames, 0);
    assert_true(reach.horizon_seconds == 0.0);
    config.readout.chunk_seconds = 1e300; // of a hostile file
    assert_int_equal(live_reach(&reach, &none, &config, &err), 0);
    assert_int_equal(reach.window_frames, 399);
    o = none;
    o.left_ms = 4000;
    assert_int_equal(live_reach(&reach, &o, &config, &err), 0);
    assert_int_equal(reach.window_frames, 0);
    assert_int_equal(reach.block_frames, 16);
    assert_int_equal(reach.left_frames, 200);
    config.live = LIVE_BLOCK_CAUSAL;
    assert_int_equal(live_reach(&reach, &none, &config, &err), 0);
    assert_int_equal(reach.window_frames, 0);
    assert_int_equal(reach.left_frames, REACH_OWN);
    assert_true(reach.horizon_seconds == REACH_OWN);
    o = none;
    o.window_seconds = 2.0;
    assert_int_equal(live_reach(&reach, &o, &config, &err), 0);
    assert_int_equal(reach.window_frames, 99);
    o.step_ms = 1900;
    o.right_ms = 100;
    assert_int_equal(live_options_check(&o, &err), 0);
    assert_int_equal(live_reach(&reach, &o, &config, &err), -1);
    assert_non_null(strstr(err.text, "does not fit a window of 2 s"));
    o = none;
    o.step_ms = 500;
    o.block_ms = 320;
    assert_int_equal(live_options_check(&o, &err), -1);
    o = none;
    o.window_seconds = (double)NAN;
    assert_int_equal(live_options_check(&o, &err), -1);
    o = none;
    o.horizon_seconds = -1.0;
    assert_int_equal(live_options_check(&o, &err), -1);
    o = none;
    o.left_ms = -20;
    assert_int_equal(live_options_check(&o, &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_nearest_of_several),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_only_on_a_terminal),
        cmocka_unit_test(test_live_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
