// SPDX-License-Identifier: MIT
/* Turn-taking: what is drawn has the statistics of the model, what is measured
 * is what was put in, and nobody speaks twice at once. */
#include "tests/check.h"

#include "prune/turn_taking.h"
#include "stream/rttm.h"
#include "stream/turns.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct field text_field(const char *s)
{
    return (struct field){s, strlen(s)};
}

/* Meetings of n speakers, as if they had been read from RTTM. */
static void draw_meetings(struct turns *t, const struct turn_settings *s, int n_meetings,
                          int n_speakers, double seconds, uint64_t seed)
{
    struct turn_plan plan = {0};
    struct random rng;
    struct error err;
    char name[16], speaker[16];

    random_init(&rng, seed);
    for (int i = 0; i < n_meetings; i++) {
        assert_int_equal(turn_plan_draw(&plan, s, n_speakers, seconds, &rng, &err), 0);
        snprintf(name, sizeof(name), "m%d", i);
        for (int k = 0; k < plan.n; k++) {
            snprintf(speaker, sizeof(speaker), "%d", plan.turns[k].speaker);
            assert_int_equal(turns_add(t, text_field(name), text_field(speaker),
                                       plan.turns[k].start, plan.turns[k].end, &err), 0);
        }
    }
    turn_plan_release(&plan);
}

static void assert_near(const char *what, double got, double want, double tolerance)
{
    if (fabs(got - want) > tolerance)
        check_fail("%s is %g, should be %g within %g", what, got, want, tolerance);
}

/* Twenty hours of meetings of four have AMI's statistics. */
static void test_like_ami(void **state)
{
    const struct turn_settings s = {&turn_model_ami, 1.0f, 1.0f, 0.0f, 0.0f};
    const struct turn_stats *ami = &turn_stats_ami;
    struct turn_model fit;
    struct turn_stats got;
    struct turns t = {0};
    struct error err;

    draw_meetings(&t, &s, 40, 4, 1800.0, check_seed());
    assert_int_equal(turn_stats_of(&got, &t, NULL, &err), 0);
    assert_int_equal(turn_model_fit(&fit, &t, &err), 0);
    assert_near("speech", got.speech / got.seconds, ami->speech / ami->seconds, 0.05);
    assert_near("overlap", got.overlap / got.speech, ami->overlap / ami->speech, 0.04);
    assert_near("turns a minute", got.turns_per_minute, ami->turns_per_minute, 3.0);
    assert_near("median turn", got.turn[1], ami->turn[1], 0.4);
    assert_near("median gap", got.gap[1], ami->gap[1], 0.25);
    assert_near("p_same", fit.p_same, turn_model_ami.p_same, 0.04);
    assert_near("p_return", fit.p_return, turn_model_ami.p_return, 0.1);
    for (int i = 1; i < QUANTILES - 1; i++) {
        assert_near("turn", log(fit.turn.at[i] / turn_model_ami.turn.at[i]), 0.0, 0.5);
        assert_near("aside", log(fit.aside.at[i] / turn_model_ami.aside.at[i]), 0.0, 0.5);
    }
    turns_release(&t);
}

/* By hand: A 0-4, B 1-2 inside it, B 5-7, A 6-9, A 10-11. */
static void test_fit_by_hand(void **state)
{
    static const char rttm[] =
        "SPEAKER x 1 0 4 <NA> <NA> A <NA> <NA>\nSPEAKER x 1 1 1 <NA> <NA> B <NA> <NA>\n"
        "SPEAKER x 1 5 2 <NA> <NA> B <NA> <NA>\nSPEAKER x 1 6 3 <NA> <NA> A <NA> <NA>\n"
        "SPEAKER x 1 10 1 <NA> <NA> A <NA> <NA>\n";
    struct turns t = {0}, uem = {0};
    struct turn_stats s;
    struct turn_model m;
    struct error err;

    assert_int_equal(rttm_parse(&t, text_field(rttm), &err), 0);
    assert_int_equal(uem_parse(&uem, text_field("x 1 0 20\n"), &err), 0);
    assert_int_equal(turn_stats_of(&s, &t, &uem, &err), 0);
    assert_int_equal(s.n_turns, 5);
    assert_near("seconds", s.seconds, 20.0, 1e-9);
    assert_near("speech", s.speech, 9.0, 1e-9);
    assert_near("overlap", s.overlap, 2.0, 1e-9);
    assert_near("median turn", s.turn[1], 2.0, 1e-9);
    assert_near("gap", s.gap[1], 0.0, 1e-9); // 1 s after A, then 1 s of overlap
    assert_int_equal(turn_model_fit(&m, &t, &err), -1);
    assert_non_null(strstr(err.text, "20 of each at least"));
    turns_release(&t);
    turns_release(&uem);
}

static void test_rules(void **state)
{
    struct turn_settings s = {&turn_model_ami, 1.0f, 0.6f, 0.4f, 0.3f};
    struct turn_plan plan = {0};
    struct random rng;
    struct error err;

    random_init(&rng, check_seed());
    for (int i = 0; i < 300; i++) {
        int n = i % 9;
        double seconds = 5.0 + 2.0 * i;
        assert_int_equal(turn_plan_draw(&plan, &s, n, seconds, &rng, &err), 0);
        if (n == 0)
            assert_int_equal(plan.n, 0);
        for (int a = 0; a < plan.n; a++) {
            const struct plan_turn *x = &plan.turns[a];
            assert_true(x->start >= 0.0 && x->end > x->start && x->end <= seconds);
            assert_true(x->speaker >= 0 && x->speaker < n);
            assert_true(a == 0 || x->start >= x[-1].start);
            for (int b = a + 1; b < plan.n; b++) {
                const struct plan_turn *y = &plan.turns[b];
                if (y->speaker == x->speaker && y->start < x->end)
                    check_fail("speaker %d speaks twice at %g s", x->speaker, y->start);
            }
        }
    }
    assert_int_equal(turn_plan_draw(&plan, &s, TURN_SPEAKERS + 1, 60.0, &rng, &err), -1);
    turn_plan_release(&plan);
}

static void test_overlap_wanted(void **state)
{
    static const double wanted[] = {0.0, 0.03, 0.1, 0.2, 0.3};
    struct error err;

    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
        struct turn_settings s = {&turn_model_ami, 1.0f, 1.0f, 0.4f, 0.1f};
        struct turn_stats got;
        struct turns t = {0};
        assert_int_equal(turn_overlap_for(&s, wanted[i], 2, 4, 600.0, &err), 0);
        draw_meetings(&t, &s, 60, 3, 600.0, 11);
        assert_int_equal(turn_stats_of(&got, &t, NULL, &err), 0);
        assert_near("overlap", got.overlap / got.speech, wanted[i], 0.01 + 0.15 * wanted[i]);
        turns_release(&t);
    }
    struct turn_settings s = {&turn_model_ami, 1.0f, 1.0f, 0.4f, 0.1f};
    assert_int_equal(turn_overlap_for(&s, 0.9, 2, 2, 600.0, &err), -1);
    assert_non_null(strstr(err.text, "reach"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_ami), cmocka_unit_test(test_fit_by_hand),
        cmocka_unit_test(test_rules), cmocka_unit_test(test_overlap_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
