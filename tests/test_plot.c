// SPDX-License-Identifier: MIT
/* test_plot.c - the timeline has a bar for each turn and error, in as many rows
 * as it should have, and is whole or not there. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream/plot.h"
#include "stream/rttm.h"

#define TURN(start, length, name) "SPEAKER r 1 " start " " length " <NA> <NA> " name " <NA> <NA>\n"

static void temporary(char *path, size_t size)
{
    snprintf(path, size, "/tmp/antiphon_plot_%ld.svg", (long)getpid());
}

/* Draws and returns the SVG, to be freed. */
static char *draw(const char *above, const char *below, struct plot_settings settings)
{
    struct turns ref = {0}, sys = {0};
    struct error err = {""};
    char path[100], *svg;

    temporary(path, sizeof(path));
    if (rttm_parse(&ref, (struct field){above, strlen(above)}, &err) ||
        (below && rttm_parse(&sys, (struct field){below, strlen(below)}, &err)) ||
        plot_turns(path, &ref.list[0], below ? &sys.list[0] : NULL, &settings, &err))
        check_fail("%s", err.text);
    svg = check_read(path);
    unlink(path);
    turns_release(&ref);
    turns_release(&sys);
    return svg;
}

static int count(const char *text, const char *what)
{
    int n = 0;

    while ((text = strstr(text, what)) != NULL) {
        n++;
        text += strlen(what);
    }
    return n;
}

/* Paths that are filled with a colour, without the legend's one. */
static int bars(const char *svg, const char *colour)
{
    return count(svg, colour) - 1;
}

static const char BLUE[] = "fill:rgb(0%,44.7%,69.8%)", ORANGE[] = "fill:rgb(90.2%,62.4%,0%)",
                  GREY[] = "fill:rgb(72%,72%,72%)", DARK[] = "fill:rgb(15%,15%,15%)";

static double height_of(const char *svg)
{
    const char *at = strstr(svg, "height=\"");

    assert_non_null(at);
    return atof(at + 8);
}

static void test_a_bar_a_turn(void **state)
{
    (void)state;
    char *svg = draw(TURN("1", "2", "A") TURN("4", "2", "A") TURN("2", "3", "B"), NULL,
                     plot_defaults());

    if (!strstr(svg, "rgb(0%,44.7%,69.8%)")) { // how cairo writes colours is its own
        free(svg);
        skip();
    }
    assert_int_equal(count(svg, "<svg"), 1);
    assert_int_equal(count(svg, "</svg>"), 1);
    assert_int_equal(bars(svg, BLUE), 2);
    assert_int_equal(bars(svg, ORANGE), 1);
    assert_int_equal(count(svg, GREY), 0);
    free(svg);
}

/* x is A by time shared, y is nobody: A is blue on both sides, y grey. A is
 * missed once, where x pauses, and y is a false alarm twice. */
static void test_errors_are_marked(void **state)
{
    (void)state;
    const char *below = TURN("1", "1", "x") TURN("2.5", "0.5", "x") TURN("5", "1", "y")
                        TURN("8", "1", "y");
    char *svg = draw(TURN("1", "2", "A"), below, plot_defaults());
    char *perfect = draw(TURN("1", "2", "A"), TURN("1", "2", "x"), plot_defaults());

    if (!strstr(svg, "rgb(0%,44.7%,69.8%)")) {
        free(svg);
        free(perfect);
        skip();
    }
    assert_int_equal(bars(svg, BLUE), 1 + 2);
    assert_int_equal(bars(svg, GREY), 2);
    assert_int_equal(bars(svg, DARK), 2);
    assert_int_equal(bars(perfect, BLUE), 2);
    assert_int_equal(bars(perfect, DARK), 0);
    free(svg);
    free(perfect);
}

/* A turn over three rows is three bars; the height grows by the rows. */
static void test_rows(void **state)
{
    (void)state;
    struct plot_settings settings = plot_defaults();
    char *one, *three, *six;

    settings.row_seconds = 30.0;
    one = draw(TURN("0", "30", "A"), NULL, settings);
    settings.row_seconds = 10.0;
    three = draw(TURN("0", "30", "A"), NULL, settings);
    settings.row_seconds = 5.0;
    six = draw(TURN("0", "30", "A"), NULL, settings);
    assert_true(height_of(three) > height_of(one));
    assert_true(height_of(six) - height_of(three) == 1.5 * (height_of(three) - height_of(one)));
    if (strstr(one, "rgb(0%,44.7%,69.8%)")) {
        assert_int_equal(bars(one, BLUE), 1);
        assert_int_equal(bars(three, BLUE), 3);
        assert_int_equal(bars(six, BLUE), 6);
    }
    free(one);
    free(three);
    free(six);
}

static void test_an_hour_is_20_rows_at_most(void **state)
{
    (void)state;
    struct plot_settings settings = plot_defaults();
    char *hour = draw(TURN("0", "3600", "A"), NULL, settings), *same;

    settings.row_seconds = 300.0; // 60 s would be 60 rows, 120 s 30
    same = draw(TURN("0", "3600", "A"), NULL, settings);
    assert_true(height_of(hour) == height_of(same)); // cairo numbers its surfaces: bytes differ
    assert_int_equal(count(hour, BLUE), count(same, BLUE));
    free(hour);
    free(same);
}

static void test_refusals(void **state)
{
    (void)state;
    struct turns t = {0};
    struct error err = {""};
    struct plot_settings settings = plot_defaults();
    const char *text = TURN("0", "4000", "A");
    char path[100];

    temporary(path, sizeof(path));
    assert_int_equal(rttm_parse(&t, (struct field){text, strlen(text)}, &err), 0);
    settings.row_seconds = 1.0;
    assert_int_equal(plot_turns(path, &t.list[0], NULL, &settings, &err), -1);
    assert_non_null(strstr(err.text, "4000 rows"));
    settings.row_seconds = 0.0;
    settings.from = 5000.0;
    assert_int_equal(plot_turns(path, &t.list[0], NULL, &settings, &err), -1);
    assert_non_null(strstr(err.text, "nothing to draw"));
    assert_int_equal(access(path, F_OK), -1);
    settings.from = 0.0;
    assert_int_equal(plot_turns("/nowhere/x.svg", &t.list[0], NULL, &settings, &err), -1);
    assert_non_null(strstr(err.text, "/nowhere/x.svg"));
    if (access("/dev/full", W_OK) == 0)
        assert_int_equal(plot_turns("/dev/full", &t.list[0], NULL, &settings, &err), -1);
    turns_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_bar_a_turn),
        cmocka_unit_test(test_errors_are_marked),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_an_hour_is_20_rows_at_most),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
