// SPDX-License-Identifier: MIT
/* test_voices.c - what is looked at again: prototypes that are in the wrong voice, voices
 * that are one, and a voice that is two. */
#include "check.h"

#include "stream/voices.h"

#include <math.h>
#include <string.h>

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        check_fail("%g, not %g", got, want);
}

enum { E = 16, ROOM = 8 };

struct crowd {
    struct voices voices;
    struct arena arena;
};

static void crowd_open(struct crowd *c)
{
    struct error err;

    *c = (struct crowd){0};
    voices_place(&c->voices, E, ROOM, &c->arena);
    if (arena_commit(&c->arena, &err))
        check_fail("%s", err.text);
    voices_place(&c->voices, E, ROOM, &c->arena);
    c->voices.space.fixed = 1;
    c->voices.thresholds = (struct voices_thresholds){
        .distance = 0.5f, .slope = 20.0f, .stranger = -3.0f, .merge = 0.65f, .least = 75.0f};
    voices_reset(&c->voices);
}

static void crowd_close(struct crowd *c)
{
    arena_release(&c->arena);
}

/* A stretch near the axis `who`, off it by a little of the axis `off`. */
static int stretch(struct crowd *c, int voice, int who, int off, float n)
{
    float x[E] = {0};

    x[who] = 3.0f;
    x[off] += 0.6f;
    return voices_learn(&c->voices, voice, x, n, -1, 0, 0);
}

/* A voice of three stretches. */
static int settled(struct crowd *c, int who)
{
    int voice = voices_add(&c->voices, 0);

    for (int k = 0; k < 3; k++)
        assert_true(stretch(c, voice, who, 8 + k, 100.0f) >= 0);
    return voice;
}

/* Looks until something is to be done; SAME if there is nothing in all that there is. */
static enum voices_change look(struct crowd *c, int *a, int *b)
{
    for (int i = 0; i < 4 * ROOM; i++) {
        enum voices_change change = voices_look(&c->voices, a, b);
        if (change != VOICES_SAME)
            return change;
    }
    return VOICES_SAME;
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    struct crowd c;
    int a, b;

    crowd_open(&c);
    assert_int_equal(look(&c, &a, &b), VOICES_SAME); // nobody there
    for (int who = 0; who < 4; who++)
        settled(&c, who);
    assert_int_equal(look(&c, &a, &b), VOICES_SAME);
    for (int i = 0; i < 4; i++)
        assert_int_equal(c.voices.list[i].n_prototypes, 3);
    crowd_close(&c);
}

static void test_two_are_one(void **state)
{
    (void)state;
    struct crowd c;
    int a, b, first, second, third;

    crowd_open(&c);
    first = settled(&c, 0);
    third = settled(&c, 1);
    second = settled(&c, 0);
    voices_heard_together(&c.voices, second, third, 30);
    /* Its prototypes fit the other as well: none goes without need. */
    assert_int_equal(look(&c, &a, &b), VOICES_ONE);
    assert_true((a == first && b == second) || (a == second && b == first));
    voices_merge(&c.voices, first, second);
    assert_int_equal(c.voices.n_used, 2);
    assert_false(c.voices.list[second].used);
    assert_int_equal(c.voices.list[first].n_prototypes, 6);
    near(c.voices.list[first].n, 600.0f, 1e-6);
    assert_int_equal(voices_together(&c.voices, first, third), 30);
    assert_int_equal(look(&c, &a, &b), VOICES_SAME);
    crowd_close(&c);
}

/* Who was heard together, or is named twice, is not one. */
static void test_two_stay_two(void **state)
{
    (void)state;

    for (int reason = 0; reason < 2; reason++) {
        struct crowd c;
        int a, b, first, second;
        crowd_open(&c);
        first = settled(&c, 0);
        second = settled(&c, 0);
        if (reason == 0)
            voices_heard_together(&c.voices, first, second, 50);
        else
            c.voices.list[first].named = c.voices.list[second].named = 1;
        assert_int_equal(look(&c, &a, &b), VOICES_SAME);
        crowd_close(&c);
    }
}

static void test_prototype_goes_home(void **state)
{
    (void)state;
    struct crowd c;
    int a, b, home, wrong, k;

    crowd_open(&c);
    home = settled(&c, 0);
    wrong = settled(&c, 1);
    k = stretch(&c, wrong, 0, 12, 60.0f);
    assert_int_equal(look(&c, &a, &b), VOICES_SAME);
    assert_int_equal(c.voices.prototype[k].voice, home);
    assert_int_equal(c.voices.list[home].n_prototypes, 4);
    assert_int_equal(c.voices.list[wrong].n_prototypes, 3);
    /* An enrolled one stays where it is, and so does what is too short to tell. */
    k = stretch(&c, wrong, 0, 12, 60.0f);
    c.voices.prototype[k].enrolled = 1;
    k = stretch(&c, wrong, 0, 12, 20.0f);
    assert_int_equal(look(&c, &a, &b), VOICES_SAME);
    assert_int_equal(c.voices.list[wrong].n_prototypes, 5);
    crowd_close(&c);
}

/* A voice whose last prototype has gone is the other's. */
static void test_left_by_all(void **state)
{
    (void)state;
    struct crowd c;
    int a, b, home, empty;

    crowd_open(&c);
    home = settled(&c, 0);
    empty = voices_add(&c.voices, 0);
    stretch(&c, empty, 0, 12, 60.0f);
    assert_int_equal(look(&c, &a, &b), VOICES_ONE);
    assert_int_equal(a, empty);
    assert_int_equal(b, home);
    crowd_close(&c);
}

static void test_one_is_two(void **state)
{
    (void)state;
    struct crowd c;
    int a, b, mixed, fresh, k;
    float at[E] = {0};

    crowd_open(&c);
    mixed = settled(&c, 0);
    settled(&c, 1);
    stretch(&c, mixed, 5, 12, 60.0f); // long enough for a look, not for a voice
    assert_int_equal(look(&c, &a, &b), VOICES_SAME);
    k = stretch(&c, mixed, 4, 12, 150.0f);
    assert_int_equal(look(&c, &a, &b), VOICES_PARTED);
    assert_int_equal(a, mixed);
    assert_int_equal(b, k);
    fresh = voices_add(&c.voices, 0);
    voices_give(&c.voices, k, fresh);
    assert_int_equal(c.voices.list[mixed].n_prototypes, 4);
    assert_int_equal(c.voices.list[fresh].n_prototypes, 1);
    at[4] = 1.0f;
    assert_true(voices_odds(&c.voices, fresh, at, 100.0f) > 5.0f);
    assert_true(voices_odds(&c.voices, mixed, at, 100.0f) < voices_stranger(&c.voices));
    crowd_close(&c);
}

/* More frames say more, the nearer the likelier; who is not known yet is a stranger. */
static void test_odds(void **state)
{
    (void)state;
    struct crowd c;
    int voice, empty;
    float before = -100.0f;

    crowd_open(&c);
    voice = settled(&c, 0);
    empty = voices_add(&c.voices, 0);
    for (int i = 0; i <= 10; i++) {
        float at[E] = {0};
        at[0] = (float)i;
        at[3] = (float)(10 - i);
        float odds = voices_odds(&c.voices, voice, at, 50.0f);
        assert_true(odds > before);
        before = odds;
    }
    float at[E] = {1.0f};
    assert_true(voices_odds(&c.voices, voice, at, 200.0f) > voices_odds(&c.voices, voice, at, 10.0f));
    near(voices_odds(&c.voices, empty, at, 50.0f), voices_stranger(&c.voices), 1e-6);
    near(voices_odds(&c.voices, voice, at, 0.0f), 0.0, 1e-6);
    crowd_close(&c);
}

/* Somebody new is likely at the start, for each voice there is; and less the more was said,
 * where the vectors are calibrated. */
static void test_stranger(void **state)
{
    (void)state;
    struct crowd c;

    crowd_open(&c);
    near(voices_stranger(&c.voices), -3.0, 1e-6);
    int a = settled(&c, 0); // 6 s
    near(voices_stranger(&c.voices), -3.0 - log(7.0), 1e-5);
    settled(&c, 1);
    near(voices_stranger(&c.voices), -3.0 + log(2.0) - log(13.0), 1e-5);
    for (int k = 0; k < 100; k++)
        stretch(&c, a, 0, 8, 144.0f); // 4.8 minutes
    near(voices_stranger(&c.voices), -3.0 + log(2.0) - log(301.0), 1e-4);
    c.voices.space.fixed = 0;
    near(voices_stranger(&c.voices), -3.0 + log(2.0), 1e-6);
    crowd_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_do),   cmocka_unit_test(test_two_are_one),
        cmocka_unit_test(test_two_stay_two),    cmocka_unit_test(test_prototype_goes_home),
        cmocka_unit_test(test_left_by_all),     cmocka_unit_test(test_one_is_two),
        cmocka_unit_test(test_odds),
        cmocka_unit_test(test_stranger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
