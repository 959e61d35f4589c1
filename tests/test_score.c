// SPDX-License-Identifier: MIT
/* test_score.c - DER and JER agree with md-eval and dscore, and with reason.
 *
 * The goldens are in golden/scoring, with how they were made. The properties:
 * names do not matter, a file against itself is perfect, the mapping is the
 * best of all, and times agree with counting every millisecond by hand. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/hungarian.h"
#include "stream/rttm.h"
#include "stream/score.h"

static struct field field(const char *text)
{
    return (struct field){text, strlen(text)};
}

/* The golden is kept compressed. */
static void read_golden(struct turns *t, const char *name)
{
    char path[] = "/tmp/test_score_XXXXXX", command[1200];
    struct error err = {""};

    close(mkstemp(path));
    snprintf(command, sizeof(command), "gzip -dc '%s' >%s",
             check_path("golden/scoring/%s.gz", name), path);
    assert_int_equal(system(command), 0);
    if (turns_read(t, path, &err))
        check_fail("%s", err.text);
    unlink(path);
}

struct ami {
    struct turns ref, sys, uem;
};

static void ami_open(struct ami *a)
{
    struct error err = {""};

    *a = (struct ami){0};
    read_golden(&a->ref, "ami_test.rttm");
    read_golden(&a->sys, "diart_5.0s.rttm");
    if (uem_read(&a->uem, check_path("golden/scoring/ami_test.uem"), &err))
        check_fail("%s", err.text);
    assert_int_equal(a->ref.n, 16);
}

static void ami_close(struct ami *a)
{
    turns_release(&a->ref);
    turns_release(&a->sys);
    turns_release(&a->uem);
}

/* One recording, or all for "ALL". */
static struct score ami_score(const struct ami *a, const char *name,
                              struct score_settings settings)
{
    struct score total = {0}, one;
    struct error err = {""};

    for (int i = 0; i < a->ref.n; i++) {
        const char *at = a->ref.list[i].name;
        if (strcmp(name, "ALL") && strcmp(name, at))
            continue;
        if (score_recording(&one, NULL, &a->ref.list[i], turns_find(&a->sys, at),
                            turns_find(&a->uem, at), &settings, &err))
            check_fail("%s", err.text);
        score_pool(&total, &one);
    }
    return total;
}

/* md-eval prints hundredths of a second. */
static void near_hundredth(const char *what, const char *name, double got, double want)
{
    if (!(fabs(got - want) <= 0.0051))
        check_fail("%s of %s: %.4f, should be %.2f", what, name, got, want);
}

static void test_md_eval(void **state)
{
    (void)state;
    struct ami a;
    FILE *f = fopen(check_path("golden/scoring/der.tsv"), "r");
    char line[200], name[40];
    int rows = 0;

    ami_open(&a);
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    while (fgets(line, sizeof(line), f)) {
        struct score_settings settings;
        double scored, missed, false_alarm, confusion;
        assert_int_equal(sscanf(line, "%lf %d %39s %lf %lf %lf %lf", &settings.collar_seconds,
                                &settings.skip_overlap, name, &scored, &missed, &false_alarm,
                                &confusion), 7);
        struct score s = ami_score(&a, name, settings);
        near_hundredth("scored", name, s.scored, scored);
        near_hundredth("missed", name, s.missed, missed);
        near_hundredth("false alarm", name, s.false_alarm, false_alarm);
        near_hundredth("confusion", name, s.confusion, confusion);
        near_hundredth("DER", name, s.der, 100.0 * (missed + false_alarm + confusion) / scored);
        rows++;
    }
    assert_int_equal(rows, 4 * 17);
    fclose(f);
    ami_close(&a);
}

static void test_dscore_jer(void **state)
{
    (void)state;
    struct ami a;
    FILE *f = fopen(check_path("golden/scoring/jer.tsv"), "r");
    char line[200], name[40];
    double jer;
    int rows = 0;

    ami_open(&a);
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof(line), f));
    for (; fgets(line, sizeof(line), f); rows++) {
        assert_int_equal(sscanf(line, "%39s %lf", name, &jer), 2);
        struct score s = ami_score(&a, name, (struct score_settings){0.25, 1}); // both ignored
        if (!(fabs(s.jer - jer) <= 0.0001))
            check_fail("JER of %s: %.4f, should be %.4f", name, s.jer, jer);
    }
    assert_int_equal(rows, 17);
    fclose(f);
    ami_close(&a);
}

/* What the sources of the numbers print, and the pitfall of no map: the union. */
static void test_published_figures(void **state)
{
    (void)state;
    struct ami a;

    ami_open(&a);
    struct score s = ami_score(&a, "ALL", (struct score_settings){0, 0});
    near_hundredth("DER", "ALL", s.der, 27.46);
    near_hundredth("JER", "ALL", s.jer, 40.44);
    near_hundredth("missed", "ALL", 100.0 * s.missed / s.scored, 9.97);
    near_hundredth("false alarm", "ALL", 100.0 * s.false_alarm / s.scored, 5.05);
    near_hundredth("confusion", "ALL", 100.0 * s.confusion / s.scored, 12.44);
    s = ami_score(&a, "ALL", (struct score_settings){0.25, 0});
    near_hundredth("DER with collar", "ALL", s.der, 21.09);
    turns_release(&a.uem);
    s = ami_score(&a, "ALL", (struct score_settings){0, 0});
    near_hundredth("DER without UEM", "ALL", s.der, 27.46);
    ami_close(&a);
}

static void test_itself_is_perfect(void **state)
{
    (void)state;
    struct ami a;

    ami_open(&a);
    turns_release(&a.sys);
    read_golden(&a.sys, "ami_test.rttm");
    for (int k = 0; k < 4; k++) {
        struct score s = ami_score(&a, "ALL", (struct score_settings){k % 2 * 0.25, k / 2});
        assert_true(s.scored > 19000.0);
        assert_true(s.der == 0.0 && s.missed == 0.0 && s.false_alarm == 0.0 && s.confusion == 0.0);
        assert_true(s.jer == 0.0);
    }
    ami_close(&a);
}

static int below(struct random *rng, int n)
{
    return (int)(random_uniform(rng) * n);
}

/* Turns on a grid of milliseconds, up to a minute; speakers' turns may overlap. */
static void make_turns(struct turns *t, struct random *rng, int n_speakers, int n_turns,
                       const int *names)
{
    struct error err;
    char name[16];

    for (int i = 0; i < n_turns; i++) {
        int start = below(rng, 60000), length = below(rng, 6000), speaker = below(rng, n_speakers);
        snprintf(name, sizeof(name), "s%d", names ? names[speaker] : speaker);
        assert_int_equal(turns_add(t, field("r"), field(name), start / 1000.0,
                                   (start + length) / 1000.0, &err), 0);
    }
}

static struct score score_pair(const struct turns *ref, const struct turns *sys,
                               struct score_settings settings)
{
    struct score s;
    struct error err = {""};

    if (score_recording(&s, NULL, turns_find(ref, "r"), turns_find(sys, "r"), NULL, &settings,
                        &err))
        check_fail("%s", err.text);
    return s;
}

static void test_names_do_not_matter(void **state)
{
    (void)state;
    struct random rng;

    random_init(&rng, check_seed());
    for (int round = 0; round < 50; round++) {
        int n = 1 + below(&rng, 6), names[6] = {50, 41, 32, 23, 14, 5};
        struct turns ref = {0}, sys = {0}, other = {0};
        for (int i = 5; i > 0; i--) {
            int k = below(&rng, i + 1), swap = names[i];
            names[i] = names[k];
            names[k] = swap;
        }
        make_turns(&ref, &rng, 1 + below(&rng, 6), 20, NULL);
        struct random again = rng;
        make_turns(&sys, &rng, n, 20, NULL);
        make_turns(&other, &again, n, 20, names);
        struct score_settings settings = {below(&rng, 2) * 0.25, below(&rng, 2)};
        struct score a = score_pair(&ref, &sys, settings), b = score_pair(&ref, &other, settings);
        assert_true(a.scored == b.scored && a.missed == b.missed && a.confusion == b.confusion);
        assert_true(a.false_alarm == b.false_alarm && fabs(a.jer - b.jer) < 1e-9);
        turns_release(&ref);
        turns_release(&sys);
        turns_release(&other);
    }
}

enum { MS = 66001 }; // of the made turns, and a little

/* Which of up to 4 speakers speak in each millisecond, as bits. */
static void paint(unsigned char *bits, const struct turns *t)
{
    const struct recording *r = turns_find(t, "r");

    memset(bits, 0, MS);
    for (size_t i = 0; i < r->n_turns; i++) {
        for (long ms = lround(r->turns[i].start * 1e3); ms < lround(r->turns[i].end * 1e3); ms++)
            bits[ms] |= (unsigned char)(1 << r->turns[i].speaker);
    }
}

static int bits_in(unsigned char b)
{
    return (b & 1) + (b >> 1 & 1) + (b >> 2 & 1) + (b >> 3 & 1);
}

/* Every mapping of 4 speakers to 4 is tried; the best shares most time. */
static double best_shared(const double shared[4][4])
{
    double best = 0.0;

    for (int p = 0; p < 256; p++) {
        int to[4] = {p & 3, p >> 2 & 3, p >> 4 & 3, p >> 6 & 3};
        if ((1 << to[0] | 1 << to[1] | 1 << to[2] | 1 << to[3]) != 15)
            continue;
        double sum = shared[0][to[0]] + shared[1][to[1]] + shared[2][to[2]] + shared[3][to[3]];
        best = sum > best ? sum : best;
    }
    return best;
}

/* Without collar, confusion is what min(ref, sys) exceeds the best mapping by. */
static void test_against_counting(void **state)
{
    (void)state;
    struct random rng;
    static unsigned char ref_bits[MS], sys_bits[MS];

    random_init(&rng, check_seed());
    for (int round = 0; round < 20; round++) {
        struct turns ref = {0}, sys = {0};
        double scored = 0.0, missed = 0.0, false_alarm = 0.0, least = 0.0, shared[4][4] = {{0}};
        make_turns(&ref, &rng, 4, 1 + below(&rng, 25), NULL);
        make_turns(&sys, &rng, 4, 1 + below(&rng, 25), NULL);
        paint(ref_bits, &ref);
        paint(sys_bits, &sys);
        for (int ms = 0; ms < MS; ms++) {
            int n = bits_in(ref_bits[ms]), m = bits_in(sys_bits[ms]), low = n < m ? n : m;
            scored += n * 1e-3;
            missed += (n - low) * 1e-3;
            false_alarm += (m - low) * 1e-3;
            least += low * 1e-3;
            for (int i = 0; i < 16; i++)
                shared[i / 4][i % 4] += (ref_bits[ms] >> i / 4 & sys_bits[ms] >> i % 4 & 1) * 1e-3;
        }
        struct score s = score_pair(&ref, &sys, (struct score_settings){0, 0});
        assert_true(fabs(s.scored - scored) < 1e-6 && fabs(s.missed - missed) < 1e-6);
        assert_true(fabs(s.false_alarm - false_alarm) < 1e-6);
        assert_true(fabs(s.confusion - (least - best_shared(shared))) < 1e-6);
        turns_release(&ref);
        turns_release(&sys);
    }
}

/* The cheapest assignment of the rows from `row` on, columns taken as bits. */
static double cheapest(const double *cost, int n, int m, int row, int taken, int left)
{
    double best = left == 0 ? 0.0 : INFINITY;

    if (row == n)
        return best;
    if (n - row > left) // rows may stay without where there are more of them
        best = cheapest(cost, n, m, row + 1, taken, left);
    for (int c = 0; c < m && left > 0; c++) {
        if (taken >> c & 1)
            continue;
        double sum = cost[row * m + c] + cheapest(cost, n, m, row + 1, taken | 1 << c, left - 1);
        best = sum < best ? sum : best;
    }
    return best;
}

static void test_hungarian_is_cheapest(void **state)
{
    (void)state;
    struct random rng;
    struct error err;

    random_init(&rng, check_seed());
    for (int round = 0; round < 400; round++) {
        int n = below(&rng, 6), m = below(&rng, 6), map[6], used = 0, pairs = 0;
        double cost[36], sum = 0.0;
        for (int i = 0; i < n * m; i++) // with ties, and both signs
            cost[i] = round % 2 ? below(&rng, 5) - 2 : random_uniform(&rng) * 2.0 - 1.0;
        assert_int_equal(hungarian(map, cost, n, m, &err), 0);
        for (int i = 0; i < n; i++) {
            if (map[i] < 0)
                continue;
            assert_true(map[i] < m && !(used >> map[i] & 1));
            used |= 1 << map[i];
            sum += cost[i * m + map[i]];
            pairs++;
        }
        assert_int_equal(pairs, n < m ? n : m);
        assert_true(fabs(sum - cheapest(cost, n, m, 0, 0, pairs)) < 1e-9);
    }
}

struct corner {
    const char *what, *ref, *sys, *uem;
    struct score_settings settings;
    double scored, missed, false_alarm, confusion, der;
};

#define TURN(start, length, name) "SPEAKER r 1 " start " " length " <NA> <NA> " name " <NA> <NA>\n"

/* By hand. Reference A from 1 to 3 s unless it says otherwise. */
static const struct corner corners[] = {
    {"silent system", TURN("1", "2", "A"), "", NULL, {0, 0}, 2, 2, 0, 0, 100},
    {"overlapping turns of one speaker are one", TURN("1", "2", "A") TURN("2", "3", "A"),
     TURN("1", "4", "x"), NULL, {0, 0}, 4, 0, 0, 0, 0},
    {"no UEM: the union of both spans", TURN("1", "2", "A"), TURN("0", "5", "x"), NULL, {0, 0},
     2, 0, 3, 0, 150},
    {"the map cuts both sides", TURN("1", "2", "A"), TURN("0", "5", "x"), "r 1 2 4", {0, 0},
     1, 0, 1, 0, 100},
    {"the map says nothing was spoken", TURN("1", "2", "A"), TURN("0", "5", "x"), "r 1 4 5", {0, 0},
     0, 0, 1, 0, 100},
    {"the collar is on each side", TURN("1", "2", "A"), TURN("1.2", "1.6", "x"), NULL, {0.25, 0},
     1.5, 0, 0, 0, 0},
    {"turns that touch have a collar between", TURN("1", "2", "A") TURN("3", "2", "A"), "", NULL,
     {0.25, 0}, 3, 3, 0, 0, 100},
    {"overlap skipped", TURN("1", "2", "A") TURN("2", "2", "B"), TURN("1", "2", "x"), NULL,
     {0, 1}, 2, 1, 0, 0, 50},
    // A and x share 1 s before the collar is taken out, B and x 0.6 s; after it A and x share 0.5
    // s, B and x 0.6 s: md-eval maps before, so that x is A.
    {"mapping comes before the collar", TURN("0", "1", "A") TURN("9", "9", "C") TURN("1", "4", "B"),
     TURN("0", "1", "x") TURN("2", "0.6", "x"), "r 1 0 5", {0.25, 0}, 4, 2.9, 0, 0.6, 87.5},
    {"a duration of 0 is a boundary", TURN("1", "2", "A") TURN("2", "0", "B"), TURN("1", "2", "x"),
     NULL, {0.25, 0}, 1, 0, 0, 0, 0},
};

static void test_corners(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(corners) / sizeof(*corners); i++) {
        const struct corner *c = &corners[i];
        struct turns ref = {0}, sys = {0}, uem = {0};
        struct score s;
        struct error err = {""};
        if (rttm_parse(&ref, field(c->ref), &err) || rttm_parse(&sys, field(c->sys), &err) ||
            (c->uem && uem_parse(&uem, field(c->uem), &err)) ||
            score_recording(&s, NULL, turns_find(&ref, "r"), turns_find(&sys, "r"),
                            c->uem ? turns_find(&uem, "r") : NULL, &c->settings, &err))
            check_fail("%s: %s", c->what, err.text);
        if (fabs(s.scored - c->scored) > 1e-6 || fabs(s.missed - c->missed) > 1e-6 ||
            fabs(s.false_alarm - c->false_alarm) > 1e-6 ||
            fabs(s.confusion - c->confusion) > 1e-6 || fabs(s.der - c->der) > 1e-6)
            check_fail("%s: scored %g missed %g false alarm %g confusion %g DER %g", c->what,
                       s.scored, s.missed, s.false_alarm, s.confusion, s.der);
        turns_release(&ref);
        turns_release(&sys);
        turns_release(&uem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_md_eval),
        cmocka_unit_test(test_dscore_jer),
        cmocka_unit_test(test_published_figures),
        cmocka_unit_test(test_itself_is_perfect),
        cmocka_unit_test(test_names_do_not_matter),
        cmocka_unit_test(test_against_counting),
        cmocka_unit_test(test_hungarian_is_cheapest),
        cmocka_unit_test(test_corners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
