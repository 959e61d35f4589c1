// SPDX-License-Identifier: MIT
/* test_told.c - turns that are put right at the end: whom merges and names concern, and the
 * files of a stream in which both came late. */
#include "check.h"

#include "stream/sink.h"
#include "stream/told.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct report speaker(enum report_type type, int id, double start, double end)
{
    struct report r = {.type = type, .time = end};

    r.speaker.id = id;
    r.speaker.start = start;
    r.speaker.end = end;
    snprintf(r.speaker.name, sizeof(r.speaker.name), "speaker %d", id);
    return r;
}

static struct report merge(int id, int merged)
{
    struct report r = speaker(REPORT_SPEAKER_MERGE, id, 0.0, 0.0);

    r.speaker.merged_id = merged;
    return r;
}

/* What was told of `from` between start and end, id said. */
static struct report moved(int id, int from, double start, double end)
{
    struct report r = speaker(REPORT_SPEAKER_MOVED, id, start, end);

    r.speaker.merged_id = from;
    return r;
}

static struct report named(struct report r, const char *name)
{
    snprintf(r.speaker.name, sizeof(r.speaker.name), "%s", name);
    return r;
}

static void take(struct told *t, struct report r)
{
    struct error err;

    assert_int_equal(told_take(t, &r, &err), 0);
}

static void settle(struct told *t)
{
    struct error err;

    assert_int_equal(told_settle(t, &err), 0);
}

static void assert_turn(const struct told *t, size_t i, const char *name, double start, double end)
{
    assert_true(i < t->regions.n);
    assert_string_equal(t->names[t->regions.list[i].speaker], name);
    assert_true(t->regions.list[i].start == start && t->regions.list[i].end == end);
}

static void test_merges(void **state)
{
    struct told t = {0};

    (void)state;
    settle(&t); // of nothing
    take(&t, speaker(REPORT_SPEAKER_NEW, 1, 0.0, 0.0));
    take(&t, speaker(REPORT_SPEAKER_OFF, 1, 0.0, 2.0));
    take(&t, speaker(REPORT_SPEAKER_OFF, 3, 1.0, 3.0));
    take(&t, speaker(REPORT_SPEAKER_OFF, 2, 5.0, 6.0));
    assert_int_equal(t.put_right, 0);
    take(&t, merge(2, 3)); // a chain: 3 is 2 is 1
    take(&t, speaker(REPORT_SPEAKER_OFF, 2, 7.0, 8.0));
    take(&t, merge(1, 2));
    assert_int_equal(t.put_right, 1);
    settle(&t);
    assert_int_equal(t.regions.n, 3);
    assert_turn(&t, 0, "speaker 1", 0.0, 3.0); // which overlapped
    assert_turn(&t, 1, "speaker 1", 5.0, 6.0);
    assert_turn(&t, 2, "speaker 1", 7.0, 8.0);
    told_join_names(&t);
    assert_turn(&t, 0, "speaker_1", 0.0, 3.0);
    told_release(&t);
}

/* Parts of turns go where they were found to belong, by one change after another, whether the turn
 * has ended when that is found or ends later. */
static void check_moves(int late)
{
    struct told t = {0};

    if (!late)
        take(&t, speaker(REPORT_SPEAKER_OFF, 1, 0.0, 10.0));
    take(&t, speaker(REPORT_SPEAKER_OFF, 2, 20.0, 21.0));
    assert_int_equal(t.put_right, 0);
    take(&t, moved(2, 1, 3.0, 6.0));
    assert_int_equal(t.put_right, 1);
    take(&t, moved(3, 2, 4.0, 5.0)); // of what has just become speaker 2's
    take(&t, moved(3, 1, 7.1, 30.0));
    take(&t, moved(2, 1, 6.1, 6.9)); // and the rest of 0.2 s with it
    take(&t, moved(1, 4, 0.0, 30.0)); // of whom nothing was told
    if (late)
        take(&t, speaker(REPORT_SPEAKER_OFF, 1, 0.0, 10.0));
    settle(&t);
    assert_int_equal(t.regions.n, 6);
    assert_turn(&t, 0, "speaker 1", 0.0, 3.0);
    assert_turn(&t, 1, "speaker 2", 3.0, 4.0);
    assert_turn(&t, 2, "speaker 2", 5.0, 7.1); // two parts that meet
    assert_turn(&t, 3, "speaker 2", 20.0, 21.0);
    assert_turn(&t, 4, "speaker 3", 4.0, 5.0);
    assert_turn(&t, 5, "speaker 3", 7.1, 10.0);
    settle(&t); // once is enough
    assert_int_equal(t.regions.n, 6);
    told_release(&t);
}

static void test_moves(void **state)
{
    (void)state;
    check_moves(0);
    check_moves(1);
}

/* A move comes before or after a merge, and means what was true then. */
static void test_moves_and_merges(void **state)
{
    struct told t = {0};

    (void)state;
    take(&t, speaker(REPORT_SPEAKER_OFF, 1, 0.0, 2.0));
    take(&t, speaker(REPORT_SPEAKER_OFF, 1, 4.0, 6.0));
    take(&t, moved(3, 1, 0.0, 2.0));
    take(&t, merge(2, 1));
    take(&t, moved(1, 1, 4.0, 6.0)); // it is speaker 2's by now
    settle(&t);
    assert_int_equal(t.regions.n, 2);
    assert_turn(&t, 0, "speaker 2", 4.0, 6.0);
    assert_turn(&t, 1, "speaker 3", 0.0, 2.0);
    told_release(&t);
}

/* After a reset number 1 is somebody else, whatever was found before. */
static void test_reset(void **state)
{
    struct told t = {0};

    (void)state;
    take(&t, speaker(REPORT_SPEAKER_OFF, 1, 0.0, 1.0));
    take(&t, speaker(REPORT_SPEAKER_OFF, 2, 1.0, 2.0));
    take(&t, merge(1, 2));
    take(&t, (struct report){.type = REPORT_RESET});
    take(&t, named(speaker(REPORT_SPEAKER_OFF, 2, 2.0, 3.0), "Ada"));
    take(&t, speaker(REPORT_SPEAKER_OFF, 1, 3.0, 4.0));
    settle(&t);
    assert_int_equal(t.regions.n, 3);
    assert_turn(&t, 0, "speaker 1", 0.0, 2.0);
    assert_turn(&t, 1, "speaker 1", 3.0, 4.0);
    assert_true(t.regions.list[0].speaker != t.regions.list[1].speaker);
    assert_turn(&t, 2, "Ada", 2.0, 3.0);
    told_release(&t);
}

/* What a file has when a stream of these ends. */
static char *file_of(const struct sink_kind *kind, const char *end, const struct report *reports,
                     int n)
{
    struct sinks s = {.wait = 1};
    struct error err;
    char folder[] = "/tmp/antiphon_test_XXXXXX", path[80];

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/turns%s", folder, end);
    assert_int_equal(sinks_add(&s, kind, path, &err), 0);
    assert_int_equal(sinks_start(&s, &err), 0);
    for (int i = 0; i < n; i++)
        sinks_push(&s, &reports[i]);
    if (sinks_close(&s, &err))
        check_fail("%s", err.text);
    char *text = check_read(path);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); // nothing else is left there
    return text;
}

static void test_files(void **state)
{
    struct report start = {.type = REPORT_START};

    (void)state;
    strcpy(start.start.recording, "talk");
    const struct report late[] = {
        start,
        speaker(REPORT_SPEAKER_OFF, 1, 0.5, 1.0),
        speaker(REPORT_SPEAKER_OFF, 2, 0.0, 1.5),
        named(speaker(REPORT_SPEAKER_NAME, 1, 0.0, 0.0), "Ada Lovelace"),
        speaker(REPORT_SPEAKER_OFF, 3, 2.0, 3.0),
        named(merge(1, 3), "Ada Lovelace"),
        {.type = REPORT_END, .time = 4.0},
    };
    char *text = file_of(&sink_rttm, ".rttm", late, 7);
    assert_string_equal(text, "SPEAKER talk 1 0.000 1.500 <NA> <NA> speaker_2 <NA> <NA>\n"
                              "SPEAKER talk 1 0.500 0.500 <NA> <NA> Ada_Lovelace <NA> <NA>\n"
                              "SPEAKER talk 1 2.000 1.000 <NA> <NA> Ada_Lovelace <NA> <NA>\n");
    free(text);
    text = file_of(&sink_labels, ".txt", late, 7);
    assert_string_equal(text, "0.000000\t1.500000\tspeaker 2\n0.500000\t1.000000\tAda Lovelace\n"
                              "2.000000\t3.000000\tAda Lovelace\n");
    free(text);
    text = file_of(&sink_labels, ".vtt", late, 7);
    assert_non_null(strstr(text, "<v Ada Lovelace>"));
    assert_null(strstr(text, "speaker 3"));
    free(text);
    text = file_of(&sink_labels, ".TextGrid", late, 7);
    assert_non_null(strstr(text, "\"Ada Lovelace\""));
    assert_null(strstr(text, "speaker 3"));
    free(text);
    /* Where all is as it was told, the lines stay as they came: by their ends. */
    text = file_of(&sink_rttm, ".rttm", late, 3);
    assert_string_equal(text, "SPEAKER talk 1 0.500 0.500 <NA> <NA> speaker_1 <NA> <NA>\n"
                              "SPEAKER talk 1 0.000 1.500 <NA> <NA> speaker_2 <NA> <NA>\n");
    free(text);
}

/* A move is a JSON line, and the file of turns has it where it belongs. */
static void test_files_of_moves(void **state)
{
    const struct report reports[] = {
        speaker(REPORT_SPEAKER_OFF, 1, 0.0, 4.0),
        moved(2, 1, 1.0, 2.0),
        {.type = REPORT_END, .time = 4.0},
    };

    (void)state;
    char *text = file_of(&sink_rttm, ".rttm", reports, 3);
    assert_string_equal(text, "SPEAKER _ 1 0.000 1.000 <NA> <NA> speaker_1 <NA> <NA>\n"
                              "SPEAKER _ 1 1.000 1.000 <NA> <NA> speaker_2 <NA> <NA>\n"
                              "SPEAKER _ 1 2.000 2.000 <NA> <NA> speaker_1 <NA> <NA>\n");
    free(text);
    text = file_of(&sink_jsonl, ".jsonl", reports, 3);
    assert_non_null(strstr(text, "{\"type\":\"speaker_moved\",\"speaker\":2,\"from\":1,"
                                 "\"name\":\"speaker 2\",\"start\":1.0000,\"end\":2.0000}\n"));
    free(text);
}

/* What is no plain file cannot be written anew, and is left as it was told. */
static void test_pipe(void **state)
{
    struct report reports[] = {speaker(REPORT_SPEAKER_OFF, 2, 0.0, 1.0), merge(1, 2)};
    struct sinks s = {.wait = 1};
    struct error err;
    char text[200];
    char path[40];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof(path), "/dev/fd/%d", ends[1]);
    assert_int_equal(sinks_add(&s, &sink_rttm, path, &err), 0);
    assert_int_equal(sinks_start(&s, &err), 0);
    for (int i = 0; i < 2; i++)
        sinks_push(&s, &reports[i]);
    assert_int_equal(sinks_close(&s, &err), 0);
    close(ends[1]);
    ssize_t n = read(ends[0], text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = 0;
    assert_string_equal(text, "SPEAKER _ 1 0.000 1.000 <NA> <NA> speaker_2 <NA> <NA>\n");
    assert_int_equal(read(ends[0], text, 1), 0);
    close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_moves_and_merges),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_files_of_moves),
        cmocka_unit_test(test_pipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
