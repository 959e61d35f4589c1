// SPDX-License-Identifier: MIT
/* test_decode.c - powerset, decoder and tracker: tables, and cuts that must not matter. */
#include "check.h"

#include "stream/frame.h"
#include "stream/track.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void test_powerset_order(void **state)
{
    (void)state;
    static const uint16_t want[] = {0, 1, 2, 4, 8, 3, 5, 9, 6, 10, 12};
    struct powerset p;

    powerset_init(&p, 4, 2);
    assert_int_equal(p.n_classes, 11);
    assert_memory_equal(p.mask, want, sizeof(want));
    powerset_init(&p, 8, 4);
    assert_int_equal(p.n_classes, 163);
    assert_int_equal(p.mask[162], 0xf0);
    powerset_init(&p, 1, 1);
    assert_int_equal(p.n_classes, 2);
}

/* Upstream's hard decision on the goldens: out.logprobs -> out.multilabel. */
static void test_powerset_golden(void **state)
{
    (void)state;
    struct checkpoint io;
    struct powerset p;
    float activity[4];

    check_open(&io, check_path("golden/diarizen_tiny/io.safetensors"));
    const struct tensor *logp = checkpoint_find(&io, "out.logprobs");
    const struct tensor *label = checkpoint_find(&io, "out.multilabel");
    powerset_init(&p, 4, 2);
    for (size_t t = 0; t < tensor_count(label) / 4; t++) {
        const float *row = (const float *)logp->data + 11 * t;
        uint16_t hard = powerset_argmax(row, &p);
        powerset_activity(activity, row, &p, 1);
        for (int s = 0; s < 4; s++) {
            float want = ((const float *)label->data)[4 * t + (size_t)s];
            assert_true((hard >> s & 1) == (want > 0.5f));
            assert_true((activity[s] > 0.5f) == (want > 0.5f));
        }
    }
    checkpoint_close(&io);
}

/* One speaker's probabilities, '#' 0.9, '+' 0.45, '.' 0.1, and the turns told. */
static const struct {
    const char *frames;
    struct decode_settings settings;
    const char *told; // on:frame@when off:frame@when
} tables[] = {
    {"..###..", {0.5f, 0.5f, 0, 0}, "on:2@2 off:5@5 "},
    {".#.#.", {0.5f, 0.5f, 0, 0}, "on:1@1 off:2@2 on:3@3 off:4@4 "},
    {".#++#+..", {0.5f, 0.4f, 0, 0}, "on:1@1 off:6@6 "},
    {".+++.", {0.5f, 0.4f, 0, 0}, ""},
    {".##.####.", {0.5f, 0.5f, 0.06, 0}, "on:4@6 off:8@8 "},
    {".###.##...", {0.5f, 0.5f, 0, 0.06}, "on:1@1 off:7@9 "},
    {".###...##...", {0.5f, 0.5f, 0, 0.06}, "on:1@1 off:4@6 on:7@7 off:9@11 "},
    {"####", {0.5f, 0.5f, 0, 0.06}, "on:0@0 off:4@4 "},
    {"###.", {0.5f, 0.5f, 0, 0.06}, "on:0@0 off:3@4 "},
    {"..##", {0.5f, 0.5f, 0.06, 0}, ""},
    {".##.#....", {0.5f, 0.5f, 0.08, 0.06}, "on:1@4 off:5@7 "},
    {".##..#...", {0.5f, 0.5f, 0.08, 0.04}, ""},
    {".#+#++#...", {0.5f, 0.4f, 0.08, 0.04}, "on:1@4 off:7@8 "},
    {".#.+.#...", {0.5f, 0.4f, 0, 0.06}, "on:1@1 off:2@4 on:5@5 off:6@8 "},
};

static void test_decoder_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
        struct decoder d;
        struct decode_event e[POWERSET_MAX_SPEAKERS];
        char told[200] = "";
        size_t at = 0;
        int n = (int)strlen(tables[i].frames);

        decoder_init(&d, &tables[i].settings, 1);
        for (int f = 0; f <= n; f++) {
            char c = f < n ? tables[i].frames[f] : 0;
            float p = c == '#' ? 0.9f : c == '+' ? 0.45f : 0.1f;
            int events = f < n ? decoder_frame(&d, e, &p, f) : decoder_finish(&d, e);
            if (events)
                at += (size_t)snprintf(told + at, sizeof(told) - at, "%s:%d@%d ",
                                       e[0].on ? "on" : "off",
                                       (int)(e[0].on ? e[0].start : e[0].end), f);
        }
        if (strcmp(told, tables[i].told))
            check_fail("%s: told \"%s\", expected \"%s\"", tables[i].frames, told,
                       tables[i].told);
    }
}

/* The same in hindsight, on the whole recording: active frames by hysteresis,
 * then short gaps closed, then short turns dropped. Returns the number of turns. */
static int turns_in_hindsight(int64_t (*turns)[2], const float *prob, int T, int n_speakers,
                              const struct decoder *d)
{
    int n = 0, active = 0;

    for (int t = 0; t < T; t++) {
        float p = prob[t * n_speakers];
        active = active ? p >= d->offset : p > d->onset;
        if (!active)
            continue;
        if (n && (turns[n - 1][1] == t || t - turns[n - 1][1] < d->min_off)) {
            turns[n - 1][1] = t + 1;
        } else {
            turns[n][0] = t;
            turns[n++][1] = t + 1;
        }
    }
    int kept = 0;
    for (int i = 0; i < n; i++) {
        if (turns[i][1] - turns[i][0] >= d->min_on) {
            turns[kept][0] = turns[i][0];
            turns[kept++][1] = turns[i][1];
        }
    }
    return kept;
}

enum { HINDSIGHT_FRAMES = 2000 };

static void check_hindsight(const float *prob, const struct decode_settings *s)
{
    static int64_t turns[HINDSIGHT_FRAMES][2];
    struct decode_event events[POWERSET_MAX_SPEAKERS];
    struct decoder d;
    int next[3] = {0}, started[3] = {0}, n[3];

    decoder_init(&d, s, 3);
    for (int k = 0; k < 3; k++) {
        n[k] = turns_in_hindsight(turns, prob + k, HINDSIGHT_FRAMES, 3, &d);
        decoder_init(&d, s, 3);
        for (int t = 0; t <= HINDSIGHT_FRAMES; t++) {
            int told = t < HINDSIGHT_FRAMES ? decoder_frame(&d, events, prob + 3 * t, t)
                                            : decoder_finish(&d, events);
            for (int i = 0; i < told; i++) {
                if (events[i].speaker != k)
                    continue;
                assert_true(next[k] < n[k]);
                assert_int_equal(events[i].start, turns[next[k]][0]);
                assert_int_equal(events[i].on, !started[k]);
                if (!events[i].on)
                    assert_int_equal(events[i].end, turns[next[k]++][1]);
                started[k] = events[i].on;
            }
        }
        assert_int_equal(next[k], n[k]);
    }
}

static void test_causal_is_hindsight(void **state)
{
    (void)state;
    static float prob[HINDSIGHT_FRAMES * 3];
    struct random rng;

    random_init(&rng, check_seed());
    for (int trial = 0; trial < 60; trial++) {
        struct decode_settings s = {0.6f, 0.4f, 0.02 * (double)(random_bits(&rng) % 9),
                                    0.02 * (double)(random_bits(&rng) % 9)};
        for (int i = 0; i < HINDSIGHT_FRAMES * 3; i++)
            prob[i] = i < 3 ? 0.5f : 0.7f * prob[i - 3] + 0.3f * random_uniform(&rng);
        for (int i = 0; i < 20; i++)
            prob[random_bits(&rng) % (HINDSIGHT_FRAMES * 3)] = NAN;
        for (int i = 0; i < HINDSIGHT_FRAMES * 3; i++)
            prob[i] = isnan(prob[i]) && i % 2 ? 0.4f : prob[i]; // and values right on the edge
        check_hindsight(prob, &s);
    }
}

static void test_threshold_keeps_its_distance(void **state)
{
    (void)state;
    struct decode_settings s = {0.6f, 0.4f, 0, 0};
    struct decoder d;

    decoder_init(&d, &s, 1);
    decoder_set_onset(&d, 0.8f);
    assert_true(fabsf(d.offset - 0.6f) < 1e-6f);
    decoder_set_onset(&d, 0.1f);
    assert_true(d.onset == 0.1f && d.offset > 0.0f && d.offset <= 0.1f);
    decoder_set_onset(&d, 0.001f);
    assert_true(d.offset > 0.0f && d.offset <= 0.001f);
    decoder_set_onset(&d, 0.6f); // low values have not eaten the distance
    assert_true(fabsf(d.offset - 0.4f) < 1e-6f);
}

struct log {
    struct report reports[4000];
    int n;
};

static void put(void *user, const struct report *r)
{
    struct log *log = user;

    assert_true(log->n < 4000);
    log->reports[log->n] = *r;
    log->reports[log->n++].speaker.wall = 0.0; // the block's, which the cut decides
}

static void open_tracker(struct tracker *t, const struct decode_settings *decode, int n_local)
{
    struct tracker_settings s = tracker_defaults();
    struct error err;

    s.decode = *decode;
    s.n_local = n_local;
    if (tracker_open(t, &s, &err))
        check_fail("%s", err.text);
}

/* The same probabilities in blocks of any size give the same turns. */
static void test_cuts_do_not_matter(void **state)
{
    (void)state;
    static struct log whole, cut;
    static float prob[3000 * 4];
    struct random rng;

    random_init(&rng, check_seed());
    for (int trial = 0; trial < 20; trial++) {
        struct decode_settings s = {0.6f, 0.4f, 0.02 * (double)(random_bits(&rng) % 5),
                                    0.02 * (double)(random_bits(&rng) % 9)};
        struct track_output a = {put, &whole}, b = {put, &cut};
        struct tracker t;
        struct report_block block = {0};

        for (int i = 0; i < 3000 * 4; i++)
            prob[i] = i < 4 ? 0.0f : 0.7f * prob[i - 4] + 0.3f * random_uniform(&rng);
        whole.n = cut.n = 0;
        open_tracker(&t, &s, 4);
        tracker_block(&t, &block, prob, NULL, 0, 3000, &a);
        tracker_finish(&t, 3000, &a);
        tracker_close(&t);
        open_tracker(&t, &s, 4);
        for (int f = 0; f < 3000;) {
            int n = 1 + (int)(random_bits(&rng) % 50);
            n = n < 3000 - f ? n : 3000 - f;
            tracker_block(&t, &block, prob + 4 * f, NULL, f, n, &b);
            f += n;
        }
        tracker_finish(&t, 3000, &b);
        tracker_close(&t);
        assert_int_equal(whole.n, cut.n);
        for (int i = 0; i < cut.n; i++)
            assert_memory_equal(&whole.reports[i].speaker, &cut.reports[i].speaker,
                                sizeof(whole.reports[i].speaker));
    }
}

/* Numbers are given in order of first speech; names and reset do what they say. */
static void test_tracker(void **state)
{
    (void)state;
    static const float prob[6][2] = {{0, 0}, {0, 1}, {1, 1}, {1, 0}, {0, 0}, {1, 1}};
    static struct log log;
    struct decode_settings s = decode_defaults();
    struct track_output out = {put, &log};
    struct report_block block = {0};
    struct tracker t;

    log.n = 0;
    open_tracker(&t, &s, 2);
    tracker_block(&t, &block, prob[0], NULL, 100, 5, &out);
    assert_int_equal(log.n, 6); // new on new on off off
    assert_int_equal(log.reports[0].type, REPORT_SPEAKER_NEW);
    assert_int_equal(log.reports[0].speaker.id, 1);
    assert_true(fabs(log.reports[0].speaker.start - frame_begin_seconds(101)) < 1e-9);
    assert_string_equal(log.reports[2].speaker.name, "speaker 2");
    assert_int_equal(log.reports[4].type, REPORT_SPEAKER_OFF);
    assert_int_equal(log.reports[4].speaker.id, 1);
    assert_true(fabs(log.reports[4].speaker.end - frame_begin_seconds(103)) < 1e-9);
    assert_int_equal(block.overlap, 2);
    assert_int_equal(block.n_speakers, 2);
    assert_true(fabsf(block.activity[0] - 0.4f) < 1e-6f);

    assert_int_equal(tracker_rename(&t, 2, "Ada", 105, &out), 1);
    assert_int_equal(tracker_rename(&t, 3, "Eve", 105, &out), 0);
    log.n = 0;
    tracker_block(&t, &block, prob[5], NULL, 105, 1, &out);
    assert_int_equal(log.n, 2); // both begin
    assert_string_equal(log.reports[0].speaker.name, "Ada"); // local 0 is number 2
    log.n = 0;
    tracker_reset(&t, 106, &out);
    assert_int_equal(log.n, 3);
    assert_int_equal(log.reports[2].type, REPORT_RESET);
    log.n = 0;
    tracker_block(&t, &block, prob[3], NULL, 106, 1, &out);
    assert_int_equal(log.reports[0].speaker.id, 1);
    assert_string_equal(log.reports[0].speaker.name, "speaker 1");
    tracker_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_powerset_order),     cmocka_unit_test(test_powerset_golden),
        cmocka_unit_test(test_decoder_tables),     cmocka_unit_test(test_cuts_do_not_matter),
        cmocka_unit_test(test_tracker),            cmocka_unit_test(test_causal_is_hindsight),
        cmocka_unit_test(test_threshold_keeps_its_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
