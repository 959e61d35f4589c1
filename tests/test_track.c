// SPDX-License-Identifier: MIT
/* test_track.c - lasting identities from synthetic voices: vectors around a point a
 * voice, in slots whose order changes. */
#include "check.h"

#include "stream/told.h"
#include "stream/track.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { E = 48, SLOTS = 4, B = 16, MAX_LOG = 60000, CONTEXT = 400 };

struct log {
    struct report *list;
    int n;
};

static void put(void *user, const struct report *r)
{
    struct log *log = user;

    assert_true(log->n < MAX_LOG);
    log->list[log->n++] = *r;
}

struct stage {
    struct tracker tracker;
    struct log log;
    struct report_block block;
    struct random rng;
    int64_t frame;
};

static void stage_open(struct stage *s, int max_speakers, uint64_t seed)
{
    struct tracker_settings settings = tracker_defaults();
    struct error err;

    *s = (struct stage){0};
    settings.n_local = SLOTS;
    settings.embedding = E;
    settings.calibrated = 1;
    settings.context_frames = CONTEXT;
    settings.max_speakers = max_speakers;
    random_init(&s->rng, seed);
    s->log.list = calloc(MAX_LOG, sizeof(*s->log.list));
    assert_non_null(s->log.list);
    if (tracker_open(&s->tracker, &settings, &err))
        check_fail("%s", err.text);
}

static void stage_close(struct stage *s)
{
    tracker_close(&s->tracker);
    free(s->log.list);
}

static float normal(struct random *rng)
{
    float sum = 0.0f;

    for (int i = 0; i < 12; i++)
        sum += random_uniform(rng);
    return sum - 6.0f;
}

/* A voice's point: the same for the same number. */
static void voice_point(float *x, int voice)
{
    struct random rng;

    random_init(&rng, 1000 + (uint64_t)voice);
    for (int e = 0; e < E; e++)
        x[e] = normal(&rng);
}

/* `who` speaks alone in `slot` (or nobody: slot -1) for so many blocks. */
static void speak(struct stage *s, int slot, int who, int blocks)
{
    struct track_output out = {put, &s->log};
    float prob[B * SLOTS], vectors[B * E], point[E];

    voice_point(point, who);
    for (int b = 0; b < blocks; b++) {
        for (int t = 0; t < B; t++) {
            for (int k = 0; k < SLOTS; k++)
                prob[t * SLOTS + k] = k == slot ? 0.97f : 0.01f;
            for (int e = 0; e < E; e++)
                vectors[t * E + e] = point[e] + 0.7f * normal(&s->rng);
        }
        tracker_block(&s->tracker, &s->block, prob, vectors, s->frame, B, &out);
        s->frame += B;
    }
}

/* Whose turn was told last, or 0. */
static int last_speaker(const struct stage *s)
{
    for (int i = s->log.n - 1; i >= 0; i--) {
        if (s->log.list[i].type == REPORT_SPEAKER_ON)
            return s->log.list[i].speaker.id;
    }
    return 0;
}

static int count(const struct stage *s, enum report_type type)
{
    int n = 0;

    for (int i = 0; i < s->log.n; i++)
        n += s->log.list[i].type == type;
    return n;
}

/* A round in which each of n voices speaks six seconds, from its own slot. */
static void introduce(struct stage *s, int n, int *ids)
{
    for (int k = 0; k < n; k++) {
        speak(s, k % SLOTS, k, 19);
        ids[k] = last_speaker(s);
        speak(s, -1, 0, 2);
    }
}

/* Three voices come back after a silence longer than the context, each from
 * another slot: the same numbers, and no fourth. */
static void test_slots_change(void **state)
{
    (void)state;
    struct stage s;
    int ids[3];

    stage_open(&s, 0, check_seed());
    for (int round = 0; round < 3; round++)
        introduce(&s, 3, ids);
    assert_true(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    for (int round = 0; round < 6; round++) {
        speak(&s, -1, 0, 30);
        for (int k = 0; k < 3; k++) {
            speak(&s, (k + round + 1) % SLOTS, k, 8);
            assert_int_equal(last_speaker(&s), ids[k]);
            speak(&s, -1, 0, 1);
        }
    }
    assert_int_equal(count(&s, REPORT_SPEAKER_NEW), 3);
    stage_close(&s);
}

/* One voice goes on in another slot again and again: one turn, as soon as it is known in all. */
static void test_handover(void **state)
{
    (void)state;
    struct stage s;
    int ids[2];

    stage_open(&s, 0, check_seed());
    introduce(&s, 2, ids);
    for (int k = 0; k < SLOTS; k++)
        speak(&s, k, 0, 10);
    int ons = count(&s, REPORT_SPEAKER_ON), offs = count(&s, REPORT_SPEAKER_OFF);
    for (int k = 0; k < 3 * SLOTS; k++)
        speak(&s, k % SLOTS, 0, 10);
    assert_int_equal(count(&s, REPORT_SPEAKER_ON), ons);
    assert_int_equal(count(&s, REPORT_SPEAKER_OFF), offs);
    assert_int_equal(last_speaker(&s), ids[0]);
    speak(&s, -1, 0, 2);
    assert_int_equal(count(&s, REPORT_SPEAKER_OFF), offs + 1);
    stage_close(&s);
}

/* The order changes in the middle of a turn, without a silence: the tracker notices
 * within three seconds, ends the one's turn and goes on with the other's. */
static void test_order_changes_unheard(void **state)
{
    (void)state;
    struct stage s;
    int ids[3];

    stage_open(&s, 0, check_seed());
    for (int round = 0; round < 3; round++)
        introduce(&s, 3, ids);
    speak(&s, 0, 0, 10);
    assert_int_equal(last_speaker(&s), ids[0]);
    speak(&s, 0, 1, 10); // the same slot
    assert_int_equal(last_speaker(&s), ids[1]);
    assert_int_equal(count(&s, REPORT_SPEAKER_NEW), 3);
    stage_close(&s);
}

/* Who is bound is told in its own block; who is not known is held, then told with
 * the true start. */
static void test_latency(void **state)
{
    (void)state;
    struct stage s;

    stage_open(&s, 0, check_seed());
    speak(&s, 0, 0, 1); // 0.32 s: not enough
    assert_int_equal(s.log.n, 0);
    speak(&s, 0, 0, 2);
    assert_int_equal(s.log.list[0].type, REPORT_SPEAKER_NEW);
    assert_int_equal(s.log.list[1].type, REPORT_SPEAKER_ON);
    assert_true(fabs(s.log.list[1].speaker.start - 0.0025) < 1e-9);
    speak(&s, -1, 0, 3);
    assert_int_equal(s.log.list[s.log.n - 1].type, REPORT_SPEAKER_OFF);
    int before = s.log.n;
    speak(&s, 0, 0, 1);
    assert_int_equal(s.log.n, before + 1); // in its own block
    assert_int_equal(s.log.list[before].type, REPORT_SPEAKER_ON);
    stage_close(&s);
}

/* Reports are well formed whatever comes: on and off alternate, numbers begin once,
 * everything ends. */
static void check_order(const struct stage *s)
{
    int open[REPORT_MAX_SPEAKERS + 1] = {0}, known[REPORT_MAX_SPEAKERS + 1] = {0};

    for (int i = 0; i < s->log.n; i++) {
        const struct report *r = &s->log.list[i];
        int id = r->speaker.id;
        assert_true(id >= 1 && id <= REPORT_MAX_SPEAKERS);
        if (r->type == REPORT_SPEAKER_NEW) {
            assert_false(open[id]);
            known[id] = 1;
        } else if (r->type == REPORT_SPEAKER_ON) {
            assert_true(known[id] && !open[id]);
            open[id] = 1;
        } else if (r->type == REPORT_SPEAKER_OFF) {
            assert_true(open[id] && r->speaker.end > r->speaker.start);
            open[id] = 0;
        } else if (r->type == REPORT_SPEAKER_MERGE) {
            assert_true(known[id] && known[r->speaker.merged_id] && id != r->speaker.merged_id);
            assert_false(open[r->speaker.merged_id]);
        }
    }
    for (int id = 1; id <= REPORT_MAX_SPEAKERS; id++)
        assert_false(open[id]);
}

/* More voices than there are numbers, most of them once: nothing breaks, and the
 * first, who comes back all the time, keeps the number. */
static void test_hundreds(void **state)
{
    (void)state;
    struct stage s;
    struct track_output out;
    int first;

    stage_open(&s, 0, 7); // the seed: three hundred random points are not all apart
    out = (struct track_output){put, &s.log};
    speak(&s, 0, 0, 19);
    first = last_speaker(&s);
    for (int k = 1; k < 300; k++) {
        speak(&s, k % SLOTS, k, 7);
        speak(&s, -1, 0, 26);
        assert_true(s.tracker.voices.n_used <= REPORT_MAX_SPEAKERS);
        assert_true(s.tracker.n_ids <= REPORT_MAX_SPEAKERS);
    }
    assert_true(count(&s, REPORT_SPEAKER_NEW) > 100);
    assert_true(first == 1);
    tracker_finish(&s.tracker, s.frame, &out);
    check_order(&s);
    stage_close(&s);
}

static void test_max_speakers(void **state)
{
    (void)state;
    struct stage s;
    int ids[6];

    stage_open(&s, 2, check_seed());
    introduce(&s, 6, ids);
    assert_in_range(count(&s, REPORT_SPEAKER_NEW), 2, 6); // numbers may be given again
    assert_int_equal(s.tracker.n_ids, 2);
    assert_in_range(s.tracker.voices.n_used, 1, 2);
    stage_close(&s);
}

/* Anything at all, NaN and infinity among it: well formed, and the same bits again
 * after a reset. */
static void noise(struct stage *s, uint64_t seed)
{
    struct track_output out = {put, &s->log};
    float prob[B * SLOTS] = {0}, vectors[B * E];

    random_init(&s->rng, seed);
    s->frame = 0;
    s->log.n = 0;
    for (int b = 0; b < 3000; b++) {
        int n = b % 7 ? B : 1 + (int)(random_bits(&s->rng) % B);
        for (int i = 0; i < B * SLOTS; i++)
            prob[i] = random_bits(&s->rng) % 4 ? prob[i % SLOTS] : random_uniform(&s->rng);
        for (int i = 0; i < B * E; i++)
            vectors[i] = random_bits(&s->rng) % 5000 ? 4.0f * random_uniform(&s->rng)
                         : random_bits(&s->rng) % 2 ? NAN : INFINITY;
        tracker_block(&s->tracker, &s->block, prob, vectors, s->frame, n, &out);
        s->frame += n;
    }
    tracker_finish(&s->tracker, s->frame, &out);
}

static void test_noise_and_reset(void **state)
{
    (void)state;
    struct stage s;
    uint64_t seed = check_seed();

    stage_open(&s, 0, seed);
    noise(&s, seed);
    check_order(&s);
    int n = s.log.n;
    struct report *first = malloc((size_t)n * sizeof(*first));
    assert_non_null(first);
    memcpy(first, s.log.list, (size_t)n * sizeof(*first));
    struct track_output out = {put, &s.log};
    tracker_reset(&s.tracker, s.frame, &out);
    noise(&s, seed);
    assert_int_equal(s.log.n, n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(s.log.list[i].type, first[i].type);
        assert_memory_equal(&s.log.list[i].speaker, &first[i].speaker, sizeof(first[i].speaker));
    }
    free(first);
    stage_close(&s);
}

/* Enrolled people have their names from the first turn on, keep them over a reset,
 * and come out again; a name given on the way as well. */
static void test_enrolled(void **state)
{
    (void)state;
    struct stage s;
    struct speakers known, after;
    struct track_output out;
    struct error err;
    static const char *const names[] = {"Ada", "Ben"};

    stage_open(&s, 0, check_seed());
    out = (struct track_output){put, &s.log};
    speakers_init(&known, 1, E);
    for (int k = 0; k < 2; k++) {
        float x[E];
        voice_point(x, k);
        struct known_speaker *who = speakers_get(&known, names[k], &err);
        assert_non_null(who);
        speakers_add(&known, who, x, 500.0f);
    }
    assert_int_equal(tracker_enroll(&s.tracker, &known, &err), 0);
    for (int round = 0; round < 2; round++) {
        speak(&s, 2, 1, 12);
        assert_string_equal(s.log.list[s.log.n - 1].speaker.name, "Ben");
        assert_int_equal(s.log.list[s.log.n - 1].speaker.id, 1);
        speak(&s, -1, 0, 30);
        speak(&s, 2, 0, 12);
        assert_string_equal(s.log.list[s.log.n - 1].speaker.name, "Ada");
        speak(&s, -1, 0, 30);
        if (round == 0)
            tracker_reset(&s.tracker, s.frame, &out);
    }
    speak(&s, 1, 5, 19);
    assert_int_equal(tracker_rename(&s.tracker, last_speaker(&s), "Eve", s.frame, &out), 1);
    speakers_init(&after, 1, E);
    assert_int_equal(tracker_export(&s.tracker, &after, &err), 0);
    assert_int_equal(after.n, 3);
    speakers_release(&after);
    speakers_release(&known);
    stage_close(&s);
}

/* Seconds of [start, end) in which each of n names speaks. */
static void seconds_of(const struct told *t, double start, double end, double *seconds, int n)
{
    memset(seconds, 0, (size_t)n * sizeof(*seconds));
    for (size_t i = 0; i < t->regions.n; i++) {
        const struct turn *x = &t->regions.list[i];
        double from = fmax(start, x->start), to = fmin(end, x->end);
        assert_true(x->speaker < n);
        seconds[x->speaker] += to > from ? to - from : 0.0;
    }
}

/* Two people are taken for one until all is grouped anew: told of one, in the end they have what
 * each has said. */
static void test_put_right(void **state)
{
    enum { TURNS = 12, BLOCKS = 19, NAMES = 4 };
    struct stage s;
    struct told told = {0}, settled = {0};
    struct error err;
    double seconds[NAMES], all = 0.0, first_told = 0.0, right = 0.0, begins[TURNS];
    int whose[2] = {-1, -1};

    (void)state;
    stage_open(&s, 0, check_seed());
    s.tracker.voices.thresholds.distance = 3.0f; // anything sounds like anybody
    for (int k = 0; k < TURNS; k++) {
        begins[k] = (double)s.frame * 0.02;
        speak(&s, k % 2, k % 2, BLOCKS);
        speak(&s, -1, 0, 2);
    }
    tracker_finish(&s.tracker, s.frame, &(struct track_output){put, &s.log});
    assert_true(count(&s, REPORT_SPEAKER_MOVED) >= 1);
    for (int i = 0; i < s.log.n; i++) {
        const struct report *r = &s.log.list[i];
        assert_int_equal(told_take(&settled, r, &err), 0);
        if (r->type == REPORT_SPEAKER_OFF)
            assert_int_equal(told_take(&told, r, &err), 0);
    }
    assert_int_equal(told_settle(&settled, &err), 0);
    for (int k = 0; k < TURNS; k++) {
        double end = begins[k] + BLOCKS * B * 0.02;
        seconds_of(&told, begins[k], end, seconds, NAMES);
        first_told += k % 2 ? seconds[0] : 0.0; // of the second, as told of the first
        seconds_of(&settled, begins[k], end, seconds, NAMES);
        for (int i = 0; whose[k % 2] < 0 && i < NAMES; i++)
            whose[k % 2] = seconds[i] > 0.5 * (end - begins[k]) ? i : -1;
        assert_true(whose[k % 2] >= 0);
        right += seconds[whose[k % 2]];
        all += end - begins[k];
    }
    assert_true(whose[0] != whose[1]);
    assert_true(first_told > 0.05 * all);
    if (!(right > 0.97 * all))
        check_fail("%.1f of %.1f s are right in the end", right, all);
    told_release(&told);
    told_release(&settled);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_change),
        cmocka_unit_test(test_handover),
        cmocka_unit_test(test_order_changes_unheard),
        cmocka_unit_test(test_latency),
        cmocka_unit_test(test_hundreds),
        cmocka_unit_test(test_max_speakers),
        cmocka_unit_test(test_noise_and_reset),
        cmocka_unit_test(test_enrolled),
        cmocka_unit_test(test_put_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
