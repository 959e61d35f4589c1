// SPDX-License-Identifier: MIT
/* test_sinks.c - what stands in the files, and that a sink in trouble is alone with it. */
#include "check.h"

#include "stream/scene.h"
#include "stream/sink.h"
#include "stream/utf8.h"

#include <cjson/cJSON.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct report speaker_report(enum report_type type, int id, double start, double end)
{
    struct report r = {.type = type, .time = end > start ? end : start};

    r.speaker.id = id;
    r.speaker.start = start;
    r.speaker.end = end;
    snprintf(r.speaker.name, sizeof(r.speaker.name), "speaker %d", id);
    return r;
}

/* A scripted stream: two speakers, three blocks. */
static int script(struct report *r)
{
    int n = 0;

    memset(r, 0, 16 * sizeof(*r));
    r[n].type = REPORT_START;
    r[n].start.rate_hz = 16000;
    r[n].start.block_ms = 320;
    strcpy(r[n].start.model, "built-in");
    strcpy(r[n].start.source, "talk \"1\".wav");
    strcpy(r[n].start.recording, "talk_1");
    r[n++].start.wall = 1700000000.25;
    r[n++] = speaker_report(REPORT_SPEAKER_NEW, 1, 0.1025, 0.0);
    r[n++] = speaker_report(REPORT_SPEAKER_ON, 1, 0.1025, 0.0);
    for (int b = 0; b < 3; b++) {
        if (b == 1) {
            r[n] = speaker_report(REPORT_SPEAKER_OFF, 1, 0.1025, 0.5025);
            strcpy(r[n++].speaker.name, "Ada L\xc3\xb6w");
        }
        r[n].type = REPORT_BLOCK;
        r[n].block.number = b;
        r[n].block.start = 0.0025 + 0.32 * b;
        r[n].block.end = r[n].time = 0.3225 + 0.32 * b;
        r[n].block.wall = 1700000000.25 + 0.32 * b;
        r[n].block.n_speakers = 1;
        r[n].block.overlap = b < 2;
        r[n].block.activity[0] = 0.75f;
        r[n].block.speaking[0] = b < 1;
        r[n++].block.level_dbfs = -20.5f;
    }
    r[n].type = REPORT_END;
    r[n++].time = 0.9625;
    return n;
}

static void play(struct sinks *s, struct error *err)
{
    struct report reports[16];
    int n = script(reports);

    assert_int_equal(sinks_start(s, err), 0);
    for (int i = 0; i < n; i++)
        sinks_push(s, &reports[i]);
}

static char *make_file(void)
{
    static char path[64];
    int fd;

    strcpy(path, "/tmp/antiphon_test_XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return path;
}

static void test_rttm(void **state)
{
    (void)state;
    struct sinks s = {.wait = 1};
    struct error err;
    char *path = make_file();

    assert_int_equal(sinks_add(&s, &sink_rttm, path, &err), 0);
    play(&s, &err);
    assert_int_equal(sinks_close(&s, &err), 0);
    char *text = check_read(path);
    assert_string_equal(text,
                        "SPEAKER talk_1 1 0.102 0.400 <NA> <NA> Ada_L\xc3\xb6w <NA> <NA>\n");
    free(text);
    unlink(path);
}

static void test_jsonl(void **state)
{
    (void)state;
    static const char *const types[] = {"start", "speaker_new", "speaker_on", "activity", "status",
                                        "speaker_off", "activity", "activity", "end"};
    struct sinks s = {.wait = 1};
    struct error err;
    char *path = make_file(), *line, *rest = NULL;
    int n = 0;

    assert_int_equal(sinks_add(&s, &sink_jsonl, path, &err), 0);
    play(&s, &err);
    assert_int_equal(sinks_close(&s, &err), 0);
    char *text = check_read(path);
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        cJSON *json = cJSON_Parse(line);
        assert_non_null(json);
        assert_string_equal(cJSON_GetObjectItem(json, "type")->valuestring, types[n++]);
        if (n == 1) {
            assert_string_equal(cJSON_GetObjectItem(json, "source")->valuestring, "talk \"1\".wav");
            assert_string_equal(cJSON_GetObjectItem(json, "time")->valuestring,
                                "2023-11-14T22:13:20.250Z");
        }
        if (n == 4)
            assert_string_equal(line, "{\"type\":\"activity\",\"block\":0,\"start\":0.0025,"
                                      "\"end\":0.3225,\"level\":-20.5,\"overlap\":1,"
                                      "\"probabilities\":[0.7500],\"speaking\":[1]}");
        if (n == 6)
            assert_string_equal(line, "{\"type\":\"speaker_off\",\"speaker\":1,"
                                      "\"name\":\"Ada L\xc3\xb6w\",\"start\":0.1025,"
                                      "\"end\":0.5025}");
        cJSON_Delete(json);
    }
    assert_int_equal(n, 9);
    free(text);
    unlink(path);
}

/* Audacity's labels by the extension; what has no known extension is refused. */
static void test_labels(void **state)
{
    (void)state;
    struct sinks s = {.wait = 1};
    struct error err;
    char *path = make_file(), labels[80];

    snprintf(labels, sizeof(labels), "%s.txt", path);
    assert_int_equal(sinks_add(&s, &sink_labels, labels, &err), 0);
    assert_int_equal(sinks_add(&s, &sink_labels, path, &err), -1);
    assert_non_null(strstr(err.text, ".TextGrid"));
    play(&s, &err);
    assert_int_equal(sinks_close(&s, &err), 0);
    char *text = check_read(labels);
    assert_string_equal(text, "0.102500\t0.502500\tAda L\xc3\xb6w\n");
    free(text);
    unlink(labels);
    unlink(path);
}

static void test_bad_targets(void **state)
{
    (void)state;
    static const struct {
        const struct sink_kind *kind;
        const char *target, *words;
    } bad[] = {
        {&sink_rttm, "/nonexistent/x.rttm", "/nonexistent/x.rttm: cannot write"},
        {&sink_jsonl, "/tmp", "cannot write"},
        {&sink_osc, "nowhere", "expected a host and a port"},
        {&sink_osc, "host:0", "port from 1 to 65535"},
        {&sink_osc, "host:70000", "port from 1 to 65535"},
        {&sink_osc, ":9000", "expected a host"},
        {&sink_osc, "http://host:9000", "osc.udp"},
    };
    struct sinks s = {0};

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct error err = {""};
        if (sinks_add(&s, bad[i].kind, bad[i].target, &err) == 0 ||
            !strstr(err.text, bad[i].words))
            check_fail("%s: \"%s\"", bad[i].target, err.text);
    }
    assert_int_equal(s.n, 0);
}

/* A full disk is told of once, and costs the others nothing. */
static void test_a_full_disk(void **state)
{
    (void)state;
    struct sinks s = {.wait = 1};
    struct error err = {""}, trouble = {""};
    char *path = make_file();
    struct timespec nap = {0, 10000000};
    int told = 0;

    assert_int_equal(sinks_add(&s, &sink_jsonl, "/dev/full", &err), 0);
    assert_int_equal(sinks_add(&s, &sink_rttm, path, &err), 0);
    play(&s, &err);
    for (int i = 0; i < 1000 && !told; i++) {
        told = sinks_next_trouble(&s, &trouble);
        nanosleep(&nap, NULL);
    }
    assert_true(told);
    assert_non_null(strstr(trouble.text, "/dev/full: cannot write: No space left on device"));
    assert_int_equal(sinks_next_trouble(&s, &trouble), 0);
    assert_int_equal(sinks_close(&s, &err), -1);
    assert_non_null(strstr(err.text, "/dev/full"));
    char *text = check_read(path);
    assert_non_null(strstr(text, "SPEAKER"));
    free(text);
    unlink(path);
}

/* A reader that has stopped reading: pushing does not wait, the end comes after a
 * second, and the other output is whole. */
static void test_a_stuck_pipe(void **state)
{
    (void)state;
    struct sinks s = {0};
    struct error err = {""}, trouble;
    char *path = make_file(), target[64];
    struct timespec begin, end;
    struct report r = {.type = REPORT_BLOCK};
    int ends[2], told = 0;

    assert_int_equal(pipe(ends), 0);
    snprintf(target, sizeof(target), "/proc/self/fd/%d", ends[1]);
    assert_int_equal(sinks_add(&s, &sink_jsonl, target, &err), 0);
    assert_int_equal(sinks_add(&s, &sink_rttm, path, &err), 0);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    play(&s, &err);
    for (int i = 0; i < 4000; i++) { // some 400 kB, for a pipe of 64
        sinks_push(&s, &r);
        if (i % 500 == 0)
            nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    while (sinks_next_trouble(&s, &trouble))
        told += strstr(trouble.text, target) && strstr(trouble.text, "takes too long");
    assert_int_equal(sinks_close(&s, &err), -1);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - begin.tv_sec < 8);
    assert_non_null(strstr(err.text, "nobody reads it"));
    assert_int_equal(told, 1);
    char *text = check_read(path);
    assert_non_null(strstr(text, "SPEAKER"));
    free(text);
    close(ends[0]);
    close(ends[1]);
    unlink(path);
}

static void *hurry_soon(void *user)
{
    nanosleep(&(struct timespec){0, 200000000}, NULL);
    sinks_hurry(user);
    return NULL;
}

/* A recording's worker waits for a pipe, and no longer once it is to end. */
static void test_waiting_ends_in_a_hurry(void **state)
{
    (void)state;
    struct sinks s = {.wait = 1};
    struct error err;
    struct report r = {.type = REPORT_BLOCK};
    char target[64];
    pthread_t thread;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    snprintf(target, sizeof(target), "/proc/self/fd/%d", ends[1]);
    assert_int_equal(sinks_add(&s, &sink_jsonl, target, &err), 0);
    assert_int_equal(sinks_start(&s, &err), 0);
    assert_int_equal(pthread_create(&thread, NULL, hurry_soon, &s), 0);
    for (int i = 0; i < 4000; i++)
        sinks_push(&s, &r);
    assert_true(atomic_load(&s.list[0]->dropped) > 1000);
    pthread_join(thread, NULL);
    assert_int_equal(sinks_close(&s, &err), -1);
    close(ends[0]);
    close(ends[1]);
}

/* Whatever bytes come in, a JSON line is UTF-8 and an RTTM line has ten fields. */
static void test_hostile_names(void **state)
{
    (void)state;
    struct sinks s = {.wait = 1};
    struct error err;
    struct report reports[16];
    char *json = strdup(make_file()), *rttm = strdup(make_file());
    int n = script(reports);

    strcpy(reports[0].start.recording, "");
    strcpy(reports[0].start.source, "a\xff\"b\\\n");
    for (int i = 0; i < n; i++) {
        if (reports[i].type == REPORT_SPEAKER_OFF) // two kinds of blanks, and no UTF-8
            strcpy(reports[i].speaker.name, "A\xc2\xa0" "B\xe3\x80\x80" "C\t\x80");
    }
    assert_int_equal(sinks_add(&s, &sink_jsonl, json, &err), 0);
    assert_int_equal(sinks_add(&s, &sink_rttm, rttm, &err), 0);
    assert_int_equal(sinks_start(&s, &err), 0);
    for (int i = 0; i < n; i++)
        sinks_push(&s, &reports[i]);
    assert_int_equal(sinks_close(&s, &err), 0);
    char *text = check_read(json);
    assert_non_null(strstr(text, "\"source\":\"a\xef\xbf\xbd\\\"b\\\\\\n\""));
    for (const char *c = text; *c; c += utf8_character(c))
        assert_true(utf8_character(c) > 0);
    free(text);
    text = check_read(rttm);
    assert_string_equal(text, "SPEAKER _ 1 0.102 0.400 <NA> <NA> A_B_C_\xef\xbf\xbd <NA> <NA>\n");
    free(text);
    unlink(json);
    unlink(rttm);
    free(json);
    free(rttm);
}

/* Nobody reads the tap: live, what does not fit is dropped and counted. */
static void test_a_full_ring_drops(void **state)
{
    (void)state;
    struct sinks s = {0};
    struct error err;
    struct report r = {.type = REPORT_BLOCK}, got;
    int n = 0;

    assert_int_equal(sinks_add(&s, NULL, NULL, &err), 0);
    for (int i = 0; i < 3000; i++) {
        r.block.number = i;
        sinks_push(&s, &r);
    }
    while (sink_take(s.list[0], &got))
        assert_int_equal(got.block.number, n++);
    assert_int_equal(n + atomic_load(&s.list[0]->dropped), 3000);
    assert_true(n > 100);
    assert_int_equal(sinks_close(&s, &err), 0);
}

static void test_scene(void **state)
{
    (void)state;
    static struct scene scene;
    struct report reports[16];
    int rows[4], hidden, n = script(reports);

    scene_init(&scene);
    for (int i = 0; i < n; i++)
        scene_take(&scene, &reports[i]);
    assert_int_equal(scene.n_speakers, 1);
    assert_string_equal(scene.speaker[0].name, "Ada L\xc3\xb6w");
    assert_true(scene_talk_seconds(&scene, 0) > 0.399 && scene_talk_seconds(&scene, 0) < 0.401);
    assert_int_equal(scene.activity[0][2], 191);
    assert_int_equal(scene.spoke[0][0], 1);
    assert_true(scene.ended);
    for (int id = 2; id <= 6; id++) {
        struct report on = speaker_report(REPORT_SPEAKER_ON, id, id, 0.0);
        struct report off = speaker_report(REPORT_SPEAKER_OFF, id, id, id + 0.5);
        scene_take(&scene, &on);
        scene_take(&scene, &off);
    }
    assert_int_equal(scene_rows(&scene, rows, 4, &hidden), 4); // the last four, in order
    assert_int_equal(hidden, 2);
    for (int i = 0; i < 4; i++)
        assert_int_equal(rows[i], 2 + i);
    struct report merge = speaker_report(REPORT_SPEAKER_MERGE, 2, 7.0, 0.0);
    merge.speaker.merged_id = 6;
    scene_take(&scene, &merge);
    assert_true(scene_talk_seconds(&scene, 1) > 0.99);
    assert_int_equal(scene_rows(&scene, rows, 4, &hidden), 4);
    assert_int_equal(hidden, 1);
    struct report reset = {.type = REPORT_RESET};
    scene_take(&scene, &reset);
    assert_int_equal(scene_rows(&scene, rows, 4, &hidden), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rttm),        cmocka_unit_test(test_jsonl),
        cmocka_unit_test(test_labels), cmocka_unit_test(test_bad_targets), cmocka_unit_test(test_a_full_disk),
        cmocka_unit_test(test_a_full_ring_drops), cmocka_unit_test(test_scene),
        cmocka_unit_test(test_a_stuck_pipe), cmocka_unit_test(test_waiting_ends_in_a_hurry),
        cmocka_unit_test(test_hostile_names),
    };

    setlocale(LC_ALL, ""); // as the view does: a decimal comma must not get into the files
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
