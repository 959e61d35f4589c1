// SPDX-License-Identifier: MIT
/* test_regroup.c - pieces of speech back to who said them, and voices from that. */
#include "check.h"

#include "model/random.h"
#include "stream/voices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { E = 64, MOST = 24, PIECES = 240 };

struct scene {
    struct regroup regroup;
    struct arena arena;
    struct random rng;
    float x[PIECES * E];
    struct regroup_piece piece[PIECES];
    int who[PIECES], label[PIECES];
};

static float normal(struct random *rng)
{
    float sum = 0.0f;

    for (int i = 0; i < 12; i++)
        sum += random_uniform(rng);
    return sum - 6.0f;
}

static struct scene *scene_open(void)
{
    struct scene *s = calloc(1, sizeof(*s));
    struct error err;

    assert_non_null(s);
    random_init(&s->rng, check_seed());
    regroup_place(&s->regroup, PIECES, E, MOST, &s->arena);
    if (arena_commit(&s->arena, &err))
        check_fail("%s", err.text);
    regroup_place(&s->regroup, PIECES, E, MOST, &s->arena);
    return s;
}

static void scene_close(struct scene *s)
{
    arena_release(&s->arena);
    free(s);
}

static void point_of(float *x, int who)
{
    struct random rng;

    random_init(&rng, 500 + (uint64_t)who);
    for (int e = 0; e < E; e++)
        x[e] = 1.2f * normal(&rng);
}

/* Piece i is of `who`, n frames; its vector varies by `spread`. */
static void say(struct scene *s, int i, int who, float n, float spread)
{
    point_of(s->x + i * E, who);
    for (int e = 0; e < E; e++)
        s->x[i * E + e] += spread * normal(&s->rng);
    s->who[i] = who;
    s->piece[i] = (struct regroup_piece){.n = n, .before = -1, .fixed = -1, .moment = -1};
}

/* One group a speaker, one speaker a group. */
static void assert_right(const struct scene *s, int n)
{
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++) {
            if ((s->who[i] == s->who[k]) != (s->label[i] == s->label[k]))
                check_fail("pieces %d and %d: speakers %d and %d, groups %d and %d", i, k,
                           s->who[i], s->who[k], s->label[i], s->label[k]);
        }
    }
}

static void test_speakers(void **state)
{
    (void)state;
    for (int speakers = 1; speakers <= 12; speakers++) {
        struct scene *s = scene_open();
        for (int i = 0; i < PIECES; i++)
            say(s, i, i % speakers, 100.0f, 1.0f);
        assert_int_equal(regroup(&s->regroup, s->label, s->x, s->piece, PIECES, 0, MOST, 4.0f),
                         speakers);
        assert_right(s, PIECES);
        scene_close(s);
    }
}

/* The worth up to which so many people are told apart, who are all as far from each other and
 * say as many pieces of n frames each. */
static float most_worth(int speakers, int pieces, float frames)
{
    struct scene *s = scene_open();
    float worth = 0.5f;
    int n = pieces * speakers;

    for (int i = 0; i < n; i++) {
        say(s, i, i % speakers, frames, 0.0f);
        memset(s->x + i * E, 0, E * sizeof(float));
        for (int e = 0; e < E; e++)
            s->x[i * E + e] = 0.7f * normal(&s->rng) + (e == i % speakers ? 8.0f : 0.0f);
    }
    while (worth < 1e4f &&
           regroup(&s->regroup, s->label, s->x, s->piece, n, 0, MOST, worth) == speakers)
        worth *= 1.1f;
    scene_close(s);
    return worth;
}

/* It goes by what each has said: others who speak, too, make nobody harder to tell. */
static void test_worth(void **state)
{
    float few = most_worth(2, 10, 100.0f), many = most_worth(12, 10, 100.0f);

    (void)state;
    if (!(few > 1.0f && few < 1e3f && many > few / 3.0f && many < few * 3.0f))
        check_fail("two people up to a worth of %g, twelve up to %g", few, many);
}

/* Beyond 200 s of each what is half a person does not become one by being heard more. */
static void test_moods(void **state)
{
    float some = most_worth(2, 30, 400.0f), more = most_worth(2, 120, 400.0f);

    (void)state;
    if (!(some > 1.0f && some < 1e3f && more > some / 1.5f && more < some * 1.5f))
        check_fail("two people up to a worth of %g, heard four times as long up to %g", some, more);
}

/* Pieces that say nothing by themselves are whose the pieces around them are. */
static void test_chains(void **state)
{
    struct scene *s = scene_open();

    (void)state;
    for (int i = 0; i < PIECES; i++) {
        int who = i / 20 % 3;
        say(s, i, who, i % 20 == 10 ? 15.0f : 100.0f, 1.0f);
        if (i % 20 == 10)
            memset(s->x + i * E, 0, E * sizeof(float));
        s->piece[i].before = i % 20 ? i - 1 : -1;
        s->piece[i].stay = 0.9f;
    }
    assert_int_equal(regroup(&s->regroup, s->label, s->x, s->piece, PIECES, 0, MOST, 4.0f), 3);
    assert_right(s, PIECES);
    scene_close(s);
}

/* What was said side by side is by two people, however alike they sound. */
static void test_side_by_side(void **state)
{
    (void)state;
    for (int side_by_side = 0; side_by_side < 2; side_by_side++) {
        struct scene *s = scene_open();
        for (int i = 0; i < PIECES; i++) {
            say(s, i, 0, 100.0f, 0.3f);
            s->x[i * E] += i % 2 ? 1.6f : -1.6f; // a little unlike
            s->who[i] = side_by_side && i % 2;
            s->piece[i].moment = side_by_side ? i / 2 : -1;
        }
        assert_int_equal(regroup(&s->regroup, s->label, s->x, s->piece, PIECES, 0, MOST, 4.0f),
                         1 + side_by_side);
        assert_right(s, PIECES);
        scene_close(s);
    }
}

/* Fixed groups keep their numbers and their pieces, and others join them. */
static void test_fixed(void **state)
{
    struct scene *s = scene_open();

    (void)state;
    for (int i = 0; i < PIECES; i++) {
        say(s, i, i % 4, 100.0f, 1.0f);
        if (i < 8 && i % 4 < 2)
            s->piece[i].fixed = 1 - i % 4;
    }
    assert_int_equal(regroup(&s->regroup, s->label, s->x, s->piece, PIECES, 3, MOST, 4.0f), 5);
    assert_right(s, PIECES);
    assert_int_equal(s->label[0], 1);
    assert_int_equal(s->label[1], 0); // and nobody is in group 2
    assert_in_range(s->label[2], 3, 4);
    scene_close(s);
}

/* No more than asked for, however many there are; of one piece, of two, of none that differ;
 * and what was there before changes nothing. */
static void test_bounds(void **state)
{
    struct scene *s = scene_open();
    int again[PIECES];

    (void)state;
    for (int i = 0; i < PIECES; i++)
        say(s, i, i % 40, 30.0f, 0.5f);
    for (int most = 1; most <= MOST; most++)
        assert_in_range(regroup(&s->regroup, s->label, s->x, s->piece, PIECES, 0, most, 4.0f), 1, most);
    memcpy(again, s->label, sizeof(again));
    assert_int_equal(regroup(&s->regroup, s->label, s->x, s->piece, 1, 0, MOST, 4.0f), 1);
    assert_int_equal(s->label[0], 0);
    assert_in_range(regroup(&s->regroup, s->label, s->x, s->piece, 2, 0, MOST, 4.0f), 1, 2);
    regroup(&s->regroup, s->label, s->x, s->piece, PIECES, 0, MOST, 4.0f);
    assert_memory_equal(again, s->label, sizeof(again));
    for (int i = 0; i < PIECES * E; i++)
        s->x[i] *= i % 7 ? 1e30f : 0.0f; // whose squares are no numbers
    assert_in_range(regroup(&s->regroup, s->label, s->x, s->piece, PIECES, 0, MOST, 4.0f), 1, MOST);
    for (int i = 0; i < PIECES; i++)
        assert_in_range(s->label[i], 0, MOST - 1);
    memset(s->x, 0, sizeof(s->x));
    assert_int_equal(regroup(&s->regroup, s->label, s->x, s->piece, PIECES, 0, MOST, 4.0f), 1);
    scene_close(s);
}

/* --- voices -------------------------------------------------------------- */

struct crowd {
    struct voices voices;
    struct arena arena;
    struct random rng;
    struct voices_heir heirs[MOST];
    int64_t frame;
};

static void crowd_open(struct crowd *c)
{
    struct error err;

    *c = (struct crowd){0};
    random_init(&c->rng, check_seed());
    voices_place(&c->voices, E, MOST, &c->arena);
    if (arena_commit(&c->arena, &err))
        check_fail("%s", err.text);
    voices_place(&c->voices, E, MOST, &c->arena);
    c->voices.space.fixed = 1;
    c->voices.thresholds = (struct voices_thresholds){
        .distance = 0.5f, .slope = 20.0f, .stranger = -10.0f, .merge = 0.65f, .least = 75.0f};
    voices_reset(&c->voices);
}

/* `who` says n pieces, which are thought to be the voice's. */
static void learn(struct crowd *c, int voice, int who, int n, int enrolled)
{
    float x[E];

    for (int i = 0; i < n; i++) {
        point_of(x, who);
        for (int e = 0; e < E; e++)
            x[e] += normal(&c->rng);
        int k = voices_learn(&c->voices, voice, x, 100.0f, who % 4, c->frame, c->frame + 100);
        assert_true(k >= 0);
        c->voices.prototype[k].enrolled = enrolled;
        c->frame += 200;
    }
}

static int look(struct crowd *c)
{
    return voices_regroup_due(&c->voices, 0)
               ? voices_regroup(&c->voices, c->heirs, MOST, 400, c->frame) : -1;
}

static void assert_move(const struct crowd *c, int i, int from, int to, int64_t since, int64_t frame)
{
    const struct voices_move *m = &c->voices.moves[i];

    assert_true(i < c->voices.n_moves);
    assert_int_equal(m->from, from);
    assert_int_equal(m->to, to);
    assert_int_equal(m->since, since);
    assert_int_equal(m->frame, frame);
}

/* One voice of two people parts, two voices of one become one, what is right stays. */
static void test_parts_and_joins(void **state)
{
    struct crowd c;

    (void)state;
    crowd_open(&c);
    int right = voices_add(&c.voices, 0), both = voices_add(&c.voices, 0);
    int most = voices_add(&c.voices, 0), rest = voices_add(&c.voices, 0);
    learn(&c, right, 0, 10, 0);
    learn(&c, both, 1, 10, 0);
    learn(&c, both, 2, 6, 0);
    learn(&c, most, 3, 10, 0);
    learn(&c, rest, 3, 3, 0);
    assert_int_equal(look(&c), 1);
    assert_int_equal(c.heirs[0].from, rest);
    assert_int_equal(c.heirs[0].into, most);
    assert_int_equal(c.voices.list[right].n_prototypes, 10);
    assert_int_equal(c.voices.list[both].n_prototypes, 10);
    assert_int_equal(c.voices.list[most].n_prototypes, 13);
    assert_int_equal(c.voices.list[rest].n_prototypes, 0);
    assert_int_equal(c.voices.n_used, 5); // the second of `both` is new
    assert_int_equal(c.voices.list[4].n_prototypes, 6);
    assert_int_equal(c.voices.n_moves, 2); // a move is of all that was said in a row
    assert_move(&c, 0, both, 4, 4000, 5100);
    assert_move(&c, 1, rest, most, 7200, 7700);
    voices_merge(&c.voices, most, rest);
    assert_int_equal(look(&c), -1); // not enough is new
    learn(&c, right, 0, 12, 0);
    assert_int_equal(look(&c), 0); // all is right
    assert_int_equal(c.voices.n_moves, 0);
    assert_int_equal(voices_regroup_due(&c.voices, 0), 0);
    assert_int_equal(voices_regroup_due(&c.voices, 1), 1); // the last look
    assert_int_equal(c.voices.n_used, 4);
    arena_release(&c.arena);
}

/* Enrolled voices take what is theirs and lose nothing; two names are never one. */
static void test_names(void **state)
{
    struct crowd c;

    (void)state;
    crowd_open(&c);
    int known = voices_add(&c.voices, 0), other = voices_add(&c.voices, 0);
    int ada = voices_add(&c.voices, 0), eve = voices_add(&c.voices, 0);
    c.voices.list[known].enrolled = c.voices.list[known].named = 1;
    c.voices.list[ada].named = c.voices.list[eve].named = 1;
    learn(&c, known, 0, 3, 1);
    learn(&c, other, 0, 6, 0);
    learn(&c, ada, 1, 6, 0);
    learn(&c, eve, 1, 6, 0);
    assert_int_equal(look(&c), 1);
    assert_int_equal(c.heirs[0].from, other);
    assert_int_equal(c.heirs[0].into, known);
    assert_int_equal(c.voices.list[known].n_prototypes, 9);
    assert_int_equal(c.voices.list[ada].n_prototypes, 6);
    assert_int_equal(c.voices.list[eve].n_prototypes, 6);
    arena_release(&c.arena);
}

/* What may be either's is by who spoke just before, be it in the same slot or in another. */
static void test_follows(void **state)
{
    (void)state;
    for (int other = 0; other < 2; other++) {
        struct crowd c;
        float x[2][E];
        int voice[2], doubtful[2];
        crowd_open(&c);
        point_of(x[0], 0);
        point_of(x[1], 1);
        for (int e = 0; e < E; e++)
            x[0][e] = 0.5f * (x[0][e] + x[1][e]);
        voice[0] = voices_add(&c.voices, 0);
        voice[1] = voices_add(&c.voices, 0);
        for (int who = 0; who < 2; who++) {
            learn(&c, voice[who], who, 10, 0);
            doubtful[who] = voices_learn(&c.voices, voice[!who], x[0], 30.0f, who + 2 * other,
                                         c.frame - 95, c.frame - 60);
        }
        assert_int_equal(look(&c), 0);
        for (int who = 0; who < 2; who++)
            assert_int_equal(c.voices.prototype[doubtful[who]].voice, voice[who]);
        arena_release(&c.arena);
    }
}

/* Two people who differ in the last numbers alone are two once much has been said, and the numbers in
 * front of these decide as if there were no others before. */
static void test_late(void **state)
{
    enum { LATE = 20 };

    (void)state;
    for (int n = 10; n <= 40; n += 30) {
        struct scene *s = scene_open();
        s->regroup.late = LATE;
        for (int i = 0; i < n; i++) {
            say(s, i, 0, 100.0f, 0.3f);
            s->who[i] = i % 2;
            for (int e = E - LATE; e < E; e++)
                s->x[i * E + e] = i % 2 ? 3.0f : -3.0f;
        }
        assert_int_equal(regroup(&s->regroup, s->label, s->x, s->piece, n, 0, MOST, 4.0f), n < 15 ? 1 : 2);
        if (n >= 15)
            assert_right(s, n);
        scene_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speakers),
        cmocka_unit_test(test_worth),
        cmocka_unit_test(test_moods),
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_parts_and_joins),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_follows),
        cmocka_unit_test(test_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
