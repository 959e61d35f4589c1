// SPDX-License-Identifier: MIT
/* test_turns.c - RTTM, UEM, Audacity labels, WebVTT and TextGrid: what is read is
 * what was written, and what is malformed is refused with its line. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/labels.h"
#include "stream/rttm.h"

static struct field field(const char *text)
{
    return (struct field){text, strlen(text)};
}

#define GOOD "SPEAKER r 1 1 2 <NA> <NA> A <NA> <NA>\n"

struct bad {
    const char *text, *words; // NULL: it is good
};

static const struct bad bad_rttm[] = {
    {GOOD, NULL},
    {"", NULL},
    {";; comment\n\n# comment\r\n  \n" GOOD, NULL},
    {"SPEAKER r 1 1 2 <NA> <NA> A <NA>\r\n", NULL},
    {"SPKR-INFO r 1 <NA> <NA> <NA> unknown A <NA> <NA>\n" GOOD, NULL},
    {"\xef\xbb\xbf" GOOD, NULL},
    {"SPEAKER r 1 1e0 2.000 <NA> <NA> A <NA> <NA>", NULL},
    {GOOD "SPEAKR r 1 1 2 <NA> <NA> A <NA> <NA>\n", "line 2: begins with \"SPEAKR\""},
    {GOOD "\n; x\nSPEAKER r 1 1 2 <NA> <NA> A\n", "line 4: a SPEAKER line has 8 fields"},
    {"SPEAKER r 1 1 2 <NA> <NA> A <NA> <NA> <NA>\n", "line 1: a SPEAKER line has 11 fields"},
    {"SPEAKER r 1 one 2 <NA> <NA> A <NA> <NA>\n", "line 1: start \"one\" is not a number"},
    {"SPEAKER r 1 1 nan <NA> <NA> A <NA> <NA>\n", "duration \"nan\" is not a number"},
    {"SPEAKER r 1 1 inf <NA> <NA> A <NA> <NA>\n", "duration \"inf\" is not a number"},
    {"SPEAKER r 1 1 0x2 <NA> <NA> A <NA> <NA>\n", "duration \"0x2\" is not a number"},
    {"SPEAKER r 1 1 1,5 <NA> <NA> A <NA> <NA>\n", "duration \"1,5\" is not a number"},
    {"SPEAKER r 1 1 <NA> <NA> <NA> A <NA> <NA>\n", "duration \"<NA>\" is not a number"},
    {"SPEAKER r 1 1 1e999 <NA> <NA> A <NA> <NA>\n", "duration \"1e999\" is not a number"},
    {"SPEAKER r 1 1 -2 <NA> <NA> A <NA> <NA>\n", "line 1: duration -2 is negative"},
    {"SPEAKER r 1 -1 2 <NA> <NA> A <NA> <NA>\n", "line 1: starts at -1 s"},
    {"SPEAKER r 1 1 1e9 <NA> <NA> A <NA> <NA>\n", "line 1: ends at 1e+09 s"},
    {GOOD "SPEAKER r 2 1 2 <NA> <NA> A <NA> <NA>\n", "line 2: channel 2 of r"},
    {"SPEAKER r 1 1 2 <NA> <NA> \xe9t\xe9 <NA> <NA>\n", "the name of the speaker is not UTF-8"},
    {"SPEAKER r\x01 1 1 2 <NA> <NA> A <NA> <NA>\n", "the name of the recording is not UTF-8"},
};

static const struct bad bad_uem[] = {
    {"r 1 0 10\nr 1 20 30\n;; x\n", NULL},
    {"r 1 0\n", "line 1: has 3 fields; should be 4"},
    {"r 1 0 1 2\n", "line 1: has 5 fields"},
    {"r 1 0 10\nr 1 x 10\n", "line 2: start \"x\" is not a number"},
    {"r 1 0 10s\n", "line 1: end \"10s\" is not a number"},
    {"r 1 10 10\n", "line 1: ends at 10 s, which is not after its start"},
    {"r 1 -1 10\n", "line 1: starts at -1 s"},
};

static const struct bad bad_audacity[] = {
    {"1.0\t2.0\tA\n\\\t100.0\t200.0\n3\t4\tB B\r\n\n", NULL},
    {"1.0\t2.0\n", "line 1: is no label"},
    {"1.0 2.0 A\n", "line 1: is no label"},
    {"1.0\t2.0\t \n", "line 1: the speaker has no name"},
    {"1.0\t2.0\tA\n2.0\t1.0\tA\n", "line 2: ends at 1 s, before its start"},
    {"1,0\t2,0\tA\n", "are not two numbers"},
};

static const struct bad bad_webvtt[] = {
    {"WEBVTT - title\n\nNOTE a --> b is not here\n", "are no times"},
    {"WEBVTT\n\nNOTE\nfree text\n\n1\n00:01.000 --> 00:02.000 align:start\n<v.loud A>hi\n<v B>ho\n",
     NULL},
    {"WEBVTT\n", NULL},
    {"1\n00:01.000 --> 00:02.000\n<v A>hi\n", "line 1: does not begin with WEBVTT"},
    {"WEBVTT\n\n00:01.000 --> 00:02.000\nhi\n\n", "line 5: the cue that ends here names no"},
    {"WEBVTT\n\n00:01.000 --> 00:02.000\nhi", "the last cue names no speaker"},
    {"WEBVTT\n\n01.000 --> 00:02.000\n<v A>hi\n", "line 3: \"01.000 --> 00:02.000\" are no times"},
    {"WEBVTT\n\n00:01.000 --> 00:99.000\n<v A>hi\n", "are no times"},
    {"WEBVTT\n\n00:01.000 --> 00:02.000\n<v A hi\n", "line 4: a voice tag is not closed"},
    {"WEBVTT\n\n00:01.000 --> 00:02.000\n<v >hi\n", "line 4: the speaker has no name"},
};

#define GRID "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0\nxmax = 5\n"

static const struct bad bad_textgrid[] = {
    {GRID "tiers? <exists>\nsize = 1\nitem []:\nitem [1]:\nclass = \"IntervalTier\"\nname = \"A\"\n"
     "xmin = 0\nxmax = 5\nintervals: size = 2\nintervals [1]:\nxmin = 0\nxmax = 1\ntext = \"\"\n"
     "intervals [2]:\nxmin = 1\nxmax = 5\ntext = \"a \"\"b\"\"\"\n", NULL},
    {"\"ooTextFile\"\n\"TextGrid\"\n0\n5\n<exists>\n2\n\"TextTier\"\n\"p\"\n0\n5\n1\n2.5\n\"x\"\n"
     "\"IntervalTier\"\n\"A\"\n0\n5\n1\n1\n2\n\"x\" ! done\n", NULL},
    {"\"ooTextFile\"\n\"TextGrid\"\n0\n5\n<absent>\n", NULL},
    {"hello", "line 1: the file ends before \"ooTextFile\""},
    {"\"ooTextFile\"\n\"Sound\"\n", "line 2: is a Praat file, but no TextGrid"},
    {GRID "size = 1\n", "expected <exists>"},
    {GRID "<exists>\nsize = 1\n\"Tier\"\n", "a tier is neither"},
    {GRID "<exists>\nsize = 2.5\n", "2.5 is not a number of tiers"},
    {GRID "<exists>\n1\n\"IntervalTier\"\n\"A\"\n0\n5\n99999\n0\n1\n\"a\"\n", "file ends before"},
    {GRID "<exists>\n1\n\"IntervalTier\"\n\"A\"\n0\n5\n1\n1\n0\n\"a\"\n", "before its start"},
    {GRID "<exists>\n1\n\"IntervalTier\"\n\"A\"\n0\n5\n1\n0\n1\n\"a", "ends within a text"},
    {GRID "<exists>\n1\n\"IntervalTier\"\n\"A\"\n0\n5\n1\n\"a\"\n", "expected a number"},
};

static int parse(int kind, struct turns *t, const char *text, struct error *err)
{
    if (kind == 0)
        return rttm_parse(t, field(text), err);
    if (kind == 1)
        return uem_parse(t, field(text), err);
    return labels_parse(t, field(text), (enum labels_format)(kind - 1), field("r"), err);
}

static void check_table(int kind, const struct bad *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct turns t = {0};
        struct error err = {""};
        int status = parse(kind, &t, rows[i].text, &err);
        turns_release(&t);
        if (!rows[i].words && status)
            check_fail("kind %d row %zu: refused: %s", kind, i, err.text);
        if (rows[i].words && (!status || !strstr(err.text, rows[i].words)))
            check_fail("kind %d row %zu: should say \"%s\", says \"%s\"", kind, i, rows[i].words,
                       err.text);
        if (rows[i].words && strncmp(err.text, "line ", 5))
            check_fail("kind %d row %zu: no line number: \"%s\"", kind, i, err.text);
    }
}

#define TABLE(rows) rows, sizeof(rows) / sizeof(*rows)

static void test_malformed_is_refused(void **state)
{
    (void)state;
    check_table(0, TABLE(bad_rttm));
    check_table(1, TABLE(bad_uem));
    check_table(1 + LABELS_AUDACITY, TABLE(bad_audacity));
    check_table(1 + LABELS_WEBVTT, TABLE(bad_webvtt));
    check_table(1 + LABELS_TEXTGRID, TABLE(bad_textgrid));
}

/* A file that is cut anywhere, or has a byte changed, is read or refused. */
static void test_damage_is_survived(void **state)
{
    (void)state;
    struct random rng;
    static const struct {
        int kind;
        const char *text;
    } texts[] = {{0, GOOD GOOD}, {1, "r 1 0 10\nr 1 20 30\n"}, {2, "1.0\t2.0\tA\n"},
                 {3, "WEBVTT\n\n00:01.000 --> 00:02.000\n<v A>A</v>\n"},
                 {4, GRID "<exists>\n1\n\"IntervalTier\"\n\"A\"\n0\n5\n1\n0\n1\n\"a\"\n"}};

    random_init(&rng, check_seed());
    for (int round = 0; round < 20000; round++) {
        char text[300];
        int which = round % 5;
        size_t n = strlen(texts[which].text), cut = random_bits(&rng) % (n + 1);
        struct turns t = {0};
        struct error err = {""};
        memcpy(text, texts[which].text, n + 1);
        text[cut] = (char)(round % 2 ? 0 : 1 + random_bits(&rng) % 255);
        int status = parse(texts[which].kind, &t, text, &err);
        assert_true(status == 0 || (status == -1 && *err.text));
        turns_release(&t);
    }
}

static void test_merged(void **state)
{
    (void)state;
    struct turns t = {0};
    struct error err = {""};
    size_t n;

    assert_int_equal(rttm_parse(&t, field("SPEAKER r 1 5 1 <NA> <NA> A <NA> <NA>\n"
                                          "SPEAKER r 1 1 2 <NA> <NA> A <NA> <NA>\n"
                                          "SPEAKER r 1 2 1.5 <NA> <NA> A <NA> <NA>\n"
                                          "SPEAKER r 1 2 2 <NA> <NA> B <NA> <NA>\n"
                                          "SPEAKER r 1 6 1 <NA> <NA> A <NA> <NA>\n"), &err), 0);
    struct turn *m = recording_merged(turns_find(&t, "r"), &n, &err);
    assert_int_equal(n, 4); // those that touch at 6 s stay two
    assert_true(m[0].start == 1.0 && m[0].end == 3.5 && m[0].speaker == 0);
    assert_true(m[1].start == 5.0 && m[1].end == 6.0 && m[2].start == 6.0 && m[2].end == 7.0);
    assert_true(m[3].start == 2.0 && m[3].speaker == 1);
    free(m);
    turns_release(&t);
}

static void test_too_many_speakers(void **state)
{
    (void)state;
    struct turns t = {0};
    struct error err = {""};
    char name[16];
    int status = 0, i = 0;

    for (; status == 0 && i < 2 * TURNS_MAX_SPEAKERS; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        status = turns_add(&t, field("r"), field(name), i, i + 1, &err);
    }
    assert_int_equal(i, TURNS_MAX_SPEAKERS + 1);
    assert_non_null(strstr(err.text, "more than 1000 speakers"));
    turns_release(&t);
}

static const struct {
    const char *name, *read; // read: as it comes back
    double start, end;
} turns[] = {
    {"Zoë & <Bob>", "Zoë & <Bob>", 0.5, 2.25},
    {"a \"quoted\" name", "a \"quoted\" name", 1.0, 1.5}, // began later, ended earlier
    {"Zoë & <Bob>", "Zoë & <Bob>", 3.0, 4.125},
    {"Zoë & <Bob>", "Zoë & <Bob>", 4.125, 5.0}, // touches
    {"two\nlines", "two lines", 3661.5, 3662.75},
};
enum { N_TURNS = sizeof(turns) / sizeof(*turns) };

static void temporary(char *path, size_t size, const char *extension)
{
    snprintf(path, size, "/tmp/antiphon_turns_%ld%s", (long)getpid(), extension);
}

/* Written in the order in which turns end, read back as a set. */
static void round_trip(const char *extension)
{
    char path[100];
    struct labels *l;
    struct error err = {""};
    struct turns t = {0};

    temporary(path, sizeof(path), extension);
    if (labels_open(&l, path, labels_format_of(path), &err))
        check_fail("%s", err.text);
    for (int i = 0; i < N_TURNS; i++) {
        int at = i == 0 ? 1 : i == 1 ? 0 : i;
        if (labels_turn(l, turns[at].name, turns[at].start, turns[at].end, &err))
            check_fail("%s", err.text);
    }
    if (labels_close(&l, 4000.0, &err) || turns_read(&t, path, &err))
        check_fail("%s", err.text);
    assert_null(l);
    assert_int_equal(t.n, 1);
    assert_memory_equal(t.list[0].name, "antiphon_turns_", 15);
    assert_int_equal(t.list[0].n_turns, N_TURNS);
    for (int i = 0; i < N_TURNS; i++) {
        int found = 0;
        for (size_t k = 0; k < t.list[0].n_turns; k++) {
            const struct turn *turn = &t.list[0].turns[k];
            found += !strcmp(t.list[0].speakers[turn->speaker], turns[i].read) &&
                     fabs(turn->start - turns[i].start) < 1e-9 &&
                     fabs(turn->end - turns[i].end) < 1e-9;
        }
        if (found != 1)
            check_fail("%s: turn %d comes back %d times", extension, i, found);
    }
    turns_release(&t);
    unlink(path);
}

static void test_round_trips(void **state)
{
    (void)state;
    round_trip(".txt");
    round_trip(".vtt");
    round_trip(".TextGrid");
}

/* What grows can be followed; what cannot grow is there, whole, from the start. */
static void test_files_while_they_grow(void **state)
{
    (void)state;
    static const char *const extensions[] = {".txt", ".vtt", ".TextGrid"};
    char path[100];

    for (int k = 0; k < 3; k++) {
        struct labels *l;
        struct error err = {""};
        temporary(path, sizeof(path), extensions[k]);
        assert_int_equal(labels_open(&l, path, labels_format_of(path), &err), 0);
        for (int i = 0; i < 3; i++) {
            struct turns t = {0};
            if (turns_read(&t, path, &err))
                check_fail("%s", err.text);
            /* A TextGrid is written anew by the turn that ends at 100 s, not by that at 102. */
            size_t there = t.list[0].n_turns, grid = i == 0 ? 0 : 1;
            assert_int_equal(there, k == 2 ? grid : (size_t)i);
            turns_release(&t);
            assert_int_equal(labels_turn(l, "A", 99.0 + 2 * i, 100.0 + 2 * i, &err), 0);
        }
        assert_int_equal(labels_close(&l, 0.0, &err), 0);
        unlink(path);
    }
}

static void test_webvtt_is_sorted_at_the_end(void **state)
{
    (void)state;
    char path[100], *text;
    struct labels *l;
    struct error err = {""};

    temporary(path, sizeof(path), ".vtt");
    assert_int_equal(labels_open(&l, path, LABELS_WEBVTT, &err), 0);
    assert_int_equal(labels_turn(l, "B", 2.0, 3.0, &err), 0);
    assert_int_equal(labels_turn(l, "A", 1.0, 4.0, &err), 0);
    assert_int_equal(labels_close(&l, 0.0, &err), 0);
    text = check_read(path);
    assert_string_equal(text, "WEBVTT\n\n00:00:01.000 --> 00:00:04.000\n<v A>A</v>\n\n"
                              "00:00:02.000 --> 00:00:03.000\n<v B>B</v>\n\n");
    free(text);
    unlink(path);
}

static void test_utf16_textgrid(void **state)
{
    (void)state;
    static const char grid[] = "\"ooTextFile\"\n\"TextGrid\"\n0 5 <exists> 1\n"
                               "\"IntervalTier\"\n\"A\"\n0 5 1\n1 2 \"x\"";
    char wide[2 * sizeof(grid) + 2];

    for (int big = 0; big < 2; big++) {
        struct turns t = {0};
        struct error err = {""};
        size_t n = 0;
        wide[n++] = (char)(big ? 0xfe : 0xff);
        wide[n++] = (char)(big ? 0xff : 0xfe);
        for (const char *c = grid; *c; c++) {
            wide[n + (size_t)big] = *c == 'A' ? '\xc4' : *c; // U+00C4
            wide[n + 1 - (size_t)big] = 0;
            n += 2;
        }
        if (labels_parse(&t, (struct field){wide, n}, LABELS_TEXTGRID, field("r"), &err))
            check_fail("%s", err.text);
        assert_int_equal(t.list[0].n_turns, 1);
        assert_string_equal(t.list[0].speakers[0], "\xc3\x84");
        turns_release(&t);
    }
}

static void test_writing_fails_aloud(void **state)
{
    (void)state;
    struct labels *l;
    struct error err = {""};

    assert_int_equal(labels_open(&l, "/nowhere/x.vtt", LABELS_WEBVTT, &err), -1);
    assert_non_null(strstr(err.text, "/nowhere/x.vtt: cannot write"));
    assert_int_equal(labels_open(&l, "/nowhere/x.TextGrid", LABELS_TEXTGRID, &err), -1);
    assert_int_equal(labels_open(&l, "-", LABELS_TEXTGRID, &err), -1);
    assert_null(l);
    if (access("/dev/full", W_OK) == 0)
        assert_int_equal(labels_open(&l, "/dev/full", LABELS_WEBVTT, &err), -1);
    assert_int_equal(labels_close(&l, 0.0, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed_is_refused),
        cmocka_unit_test(test_damage_is_survived),
        cmocka_unit_test(test_merged),
        cmocka_unit_test(test_too_many_speakers),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_files_while_they_grow),
        cmocka_unit_test(test_webvtt_is_sorted_at_the_end),
        cmocka_unit_test(test_utf16_textgrid),
        cmocka_unit_test(test_writing_fails_aloud),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
