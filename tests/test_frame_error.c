// SPDX-License-Identifier: MIT
/* test_frame_error.c - frame errors against brute force, the oracle, regions; and
 * folders of meetings, good and bad. */
#include "check.h"

#include "model/random.h"
#include "prune/frame_error.h"
#include "prune/meetings.h"
#include "synthetic.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 60, SPEAKERS = 5, LOCAL = 4 };

static const struct field name = {"x", 1};

/* Random turns of the reference, on a grid that no frame's middle is on. */
static void random_turns(struct turns *t, struct random *rng, int n)
{
    char who[2] = "a";
    struct error err;

    for (int i = 0; i < n; i++) {
        double start = 0.01 * (double)(random_bits(rng) % 120);
        who[0] = (char)('a' + random_bits(rng) % SPEAKERS);
        assert_int_equal(turns_add(t, name, (struct field){who, 1}, start,
                                   start + 0.01 * (double)(random_bits(rng) % 40), &err), 0);
    }
}

static int speaks(const struct recording *r, int speaker, double at)
{
    for (size_t i = 0; i < r->n_turns; i++) {
        if (r->turns[i].speaker == speaker && r->turns[i].start <= at && at < r->turns[i].end)
            return 1;
    }
    return 0;
}

/* The least confusion over all ways to give local speakers to the reference's. */
static int least(const struct recording *r, const uint16_t *said, const int *scored, double from,
                 int local, unsigned taken, int shared)
{
    int best = 0;

    if (local == LOCAL)
        return shared;
    best = least(r, said, scored, from, local + 1, taken, shared); // nobody
    for (int s = 0; s < r->n_speakers; s++) {
        int both = 0;
        if (taken >> s & 1)
            continue;
        for (int t = 0; t < T; t++)
            both += scored[t] && said[t] >> local & 1 && speaks(r, s, from + 0.02 * t + 0.0125);
        int got = least(r, said, scored, from, local + 1, taken | 1u << s, shared + both);
        best = got > best ? got : best;
    }
    return best;
}

static void test_brute_force(void **state)
{
    struct random rng;

    random_init(&rng, check_seed());
    for (int trial = 0; trial < 30; trial++) {
        struct turns ref = {0}, uem = {0};
        struct frame_errors got = {0}, want = {0}, oracle = {0};
        uint16_t said[T];
        int scored[T], common = 0;
        double from = trial % 3 ? 0.0 : 0.14;
        struct error err;

        random_turns(&ref, &rng, 1 + (int)(random_bits(&rng) % 9));
        if (trial % 2)
            assert_int_equal(turns_add(&uem, name, name, 0.2, 0.9, &err), 0);
        for (int t = 0; t < T; t++) {
            double at = from + 0.02 * t + 0.0125;
            int n = 0, k;
            said[t] = random_bits(&rng) & random_bits(&rng) & 15;
            scored[t] = trial % 2 ? 0.2 <= at && at < 0.9 : 1;
            if (!scored[t])
                continue;
            for (int s = 0; s < ref.list->n_speakers; s++)
                n += speaks(ref.list, s, at);
            k = __builtin_popcount(said[t]);
            want.speech += n;
            want.missed += n > k ? n - k : 0;
            want.false_alarm += k > n ? k - n : 0;
            common += n < k ? n : k;
        }
        want.confusion = common - least(ref.list, said, scored, from, 0, 0, 0);
        const struct recording *regions = trial % 2 ? uem.list : NULL;
        assert_int_equal(frame_errors_add(&got, said, T, from, ref.list, regions, &err), 0);
        assert_memory_equal(&got, &want, sizeof(got));
        assert_int_equal(frame_errors_add(&oracle, NULL, T, from, ref.list, regions, &err), 0);
        assert_true(oracle.speech == want.speech && oracle.false_alarm == 0.0);
        if (ref.list->n_speakers == 1)
            assert_true(oracle.missed == 0.0 && oracle.confusion == 0.0);
        turns_release(&ref);
        turns_release(&uem);
    }
}

/* Nobody speaks: a false alarm is all there can be. */
static void test_silence(void **state)
{
    struct frame_errors e = {0};
    uint16_t said[T] = {0};
    struct error err;

    assert_int_equal(frame_errors_add(&e, said, T, 0.0, NULL, NULL, &err), 0);
    assert_true(frame_errors_percent(&e, e.false_alarm) == 0.0);
    said[3] = 5;
    assert_int_equal(frame_errors_add(&e, said, T, 0.0, NULL, NULL, &err), 0);
    assert_true(e.false_alarm == 2.0 && frame_errors_percent(&e, e.false_alarm) == 100.0);
}

static void make(char folder[64], const char *file)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", folder, file);
    synthetic_file(path, 3.0, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1);
}

static void refuse(const char *folder, const char *words)
{
    struct meetings m;
    struct error err = {""};

    assert_int_equal(meetings_open(&m, folder, &err), -1);
    if (!strstr(err.text, words) || strchr(err.text, '\n'))
        check_fail("says \"%s\" without \"%s\"", err.text, words);
}

static void test_folders(void **state)
{
    char folder[64];
    struct meetings m;
    struct error err;

    synthetic_folder(folder);
    refuse(folder, "no audio");
    make(folder, "b.wav");
    refuse(folder, "b.rttm beside it");
    synthetic_text(folder, "b.rttm", "SPEAKER other 1 0.5 1 <NA> <NA> A <NA> <NA>\n");
    make(folder, "a.wav");
    synthetic_text(folder, "a.rttm", "");
    synthetic_text(folder, "b.uem", "other 1 0 2\n");
    if (meetings_open(&m, folder, &err))
        check_fail("%s", err.text);
    assert_int_equal(m.n, 2);
    assert_string_equal(m.list[0].name, "a");
    assert_null(m.list[0].reference);
    assert_null(m.list[0].uem);
    assert_int_equal(m.list[1].reference->n_turns, 1);
    assert_true(m.list[1].uem->turns[0].end == 2.0);
    meetings_close(&m);
    synthetic_text(folder, "b.uem", "");
    refuse(folder, "b.uem: nothing in it is of b");
    synthetic_text(folder, "b.rttm", "SPEAKER x 1 0 1 <NA> <NA> A <NA> <NA>\n"
                                     "SPEAKER y 1 0 1 <NA> <NA> A <NA> <NA>\n");
    refuse(folder, "is of 2 recordings, none of them b");

    /* Kaldi's: of two recordings the one that all.uem names. */
    synthetic_text(folder, "wav.scp", "one a.wav\ntwo b.wav\n");
    synthetic_text(folder, "rttm", "SPEAKER two 1 0.5 1 <NA> <NA> A <NA> <NA>\n");
    synthetic_text(folder, "all.uem", "one 1 0 2\ntwo 1 0 2\n");
    if (meetings_open(&m, folder, &err))
        check_fail("%s", err.text);
    assert_int_equal(m.n, 2);
    assert_null(m.list[0].reference);
    assert_string_equal(m.list[1].name, "two");
    assert_int_equal(m.list[1].reference->n_turns, 1);
    meetings_close(&m);
    synthetic_text(folder, "all.uem", "one 1 0 200\n");
    refuse(folder, "all.uem");
    synthetic_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brute_force), cmocka_unit_test(test_silence),
        cmocka_unit_test(test_folders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
