// SPDX-License-Identifier: MIT
/* test_heard_voices.c - people whose voices are known, in windows that overlap: whom
 * clustering finds, as the library's caller gets it. */
#include "check.h"

#include "stream/clustering.h"
#include "stream/heard_voices.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 99, SLOTS = 3, WIDTH = 64 };

struct recording {
    struct heard heard;
    int *who; // [windows,SLOTS] or -1
    struct random rng;
};

static float normal(struct random *rng)
{
    float sum = 0.0f;

    for (int i = 0; i < 12; i++)
        sum += random_uniform(rng);
    return sum - 6.0f;
}

static void recording_open(struct recording *r, int n_windows)
{
    size_t n = (size_t)n_windows * SLOTS;

    r->heard = (struct heard){.n_windows = n_windows, .n_frames = FRAMES, .n_slots = SLOTS,
                              .width = WIDTH};
    r->heard.sets = calloc((size_t)n_windows, FRAMES);
    r->heard.vectors = malloc(n * WIDTH * sizeof(float));
    r->who = malloc(n * sizeof(int));
    assert_true(r->heard.sets && r->heard.vectors && r->who);
    for (size_t i = 0; i < n * WIDTH; i++)
        r->heard.vectors[i] = NAN;
    for (size_t i = 0; i < n; i++)
        r->who[i] = -1;
    random_init(&r->rng, check_seed());
}

static void recording_close(struct recording *r)
{
    free(r->heard.sets);
    free(r->heard.vectors);
    free(r->who);
}

/* A person speaks alone in frames from .. to - 1 of a window. */
static void say(struct recording *r, int window, int slot, int person, int from, int to)
{
    float *x = r->heard.vectors + ((size_t)window * SLOTS + (size_t)slot) * WIDTH;
    struct random voice;

    random_init(&voice, 900 + (uint64_t)person);
    for (int k = 0; k < WIDTH; k++)
        x[k] = 0.9f * normal(&voice) + 0.7f * normal(&r->rng);
    for (int t = from; t < to; t++)
        heard_window(&r->heard, window)[t] |= (uint8_t)(1u << slot);
    r->who[window * SLOTS + slot] = person;
}

static void assert_right(const struct recording *r, const int *label)
{
    int n = r->heard.n_windows * SLOTS;

    for (int i = 0; i < n; i++) {
        if ((r->who[i] < 0) != (label[i] < 0))
            check_fail("slot %d: person %d, voice %d", i, r->who[i], label[i]);
        for (int k = 0; k < i; k++) {
            if (r->who[i] >= 0 && r->who[k] >= 0 && (r->who[i] == r->who[k]) != (label[i] == label[k]))
                check_fail("slots %d and %d: persons %d and %d, voices %d and %d", i, k, r->who[i],
                           r->who[k], label[i], label[k]);
        }
    }
}

static struct clustering_settings settings(int apart)
{
    struct clustering_settings s = clustering_defaults(CLUSTERING_VOICES, 0);

    s.apart = apart;
    return s;
}

/* One to seven people, two a window, in slots that change places. */
static void test_people(void **state)
{
    struct error err;

    (void)state;
    for (int people = 1; people <= 7; people++) {
        for (int apart = 1; apart <= 5; apart += 4) {
            struct clustering_settings s = settings(apart);
            struct recording r;
            struct clustering c;
            recording_open(&r, 200);
            for (int w = 0; w < 200; w++) {
                int first = w / 5 % people, second = (first + 1) % people, flip = w % 2;
                say(&r, w, flip, first, 0, 40);
                if (second != first)
                    say(&r, w, 2 - flip, second, 45, 99);
            }
            assert_int_equal(clustering_run(&c, &r.heard, &s, &err), 0);
            assert_int_equal(c.n_clusters, people);
            assert_right(&r, c.label);
            clustering_release(&c);
            recording_close(&r);
        }
    }
}

/* A person whom one window has in two slots is not somebody else for that, nor is one slot
 * left without a voice where a window has more slots than there are people. */
static void test_in_two_slots(void **state)
{
    struct clustering_settings s = settings(5);
    struct recording r;
    struct clustering c;
    struct error err;

    (void)state;
    recording_open(&r, 100);
    for (int w = 0; w < 100; w++) {
        say(&r, w, 0, w / 5 % 2, 0, 40);
        if (w % 5 == 3) // of windows that are not asked
            say(&r, w, 1, w / 5 % 2, 50, 99);
        if (w % 10 == 3)
            say(&r, w, 2, 1, 42, 48);
    }
    assert_int_equal(clustering_run(&c, &r.heard, &s, &err), 0);
    assert_int_equal(c.n_clusters, 2);
    assert_right(&r, c.label);
    clustering_release(&c);
    recording_close(&r);
}

/* No more and no fewer than asked for. */
static void test_as_asked(void **state)
{
    struct error err;

    (void)state;
    for (int asked = 1; asked <= 6; asked++) {
        struct clustering_settings s = settings(1);
        struct recording r;
        struct clustering c;
        int seen[6] = {0}, n = 0;
        recording_open(&r, 60);
        for (int w = 0; w < 60; w++)
            say(&r, w, 0, w % 3, 0, 99);
        s.min_speakers = s.max_speakers = asked;
        s.min_size = 1;
        assert_int_equal(clustering_run(&c, &r.heard, &s, &err), 0);
        for (int i = 0; i < 60 * SLOTS; i++) {
            assert_true(c.label[i] < asked);
            n += c.label[i] >= 0 && !seen[c.label[i]]++;
        }
        assert_int_equal(n, asked);
        clustering_release(&c);
        recording_close(&r);
    }
}

/* Speech where nobody was asked; hardly any; none that is alone; more than pieces are kept. */
static void test_bounds(void **state)
{
    struct clustering_settings s = settings(5);
    struct error err;
    struct recording r;
    struct clustering c;
    int slots[2] = {1 * SLOTS, 2 * SLOTS + 1}, voice[2];
    double weight[2];

    (void)state;
    recording_open(&r, 4);
    say(&r, 1, 0, 0, 0, 40);
    say(&r, 2, 1, 1, 0, 40);
    assert_int_equal(clustering_run(&c, &r.heard, &s, &err), 0);
    assert_right(&r, c.label);
    clustering_release(&c);
    assert_int_equal(heard_voices(voice, weight, slots, 2, &r.heard, 5, 0, &err), 2);
    assert_true(voice[0] != voice[1] && weight[0] == 40.0 && weight[1] == 40.0);
    assert_int_equal(heard_voices(voice, weight, slots, 2, &r.heard, 2, 0, &err), 1);
    assert_int_equal(voice[0], -1); // not asked
    assert_int_equal(voice[1], 0);
    memset(heard_window(&r.heard, 2), 3, FRAMES); // never alone
    assert_in_range(heard_voices(voice, weight, slots, 2, &r.heard, 1, 0, &err), 1, 2);
    assert_int_equal(heard_voices(voice, weight, slots, 2, &r.heard, 1, 1, &err), 1);
    recording_close(&r);
}

/* Of a day with more windows than are asked at once. */
static void test_long(void **state)
{
    enum { WINDOWS = 13000 };
    struct clustering_settings s = settings(1);
    struct error err;
    struct recording r;
    struct clustering c;

    (void)state;
    recording_open(&r, WINDOWS);
    for (int w = 0; w < WINDOWS; w++)
        say(&r, w, w % SLOTS, w / 100 % 3, 0, 99);
    assert_int_equal(clustering_run(&c, &r.heard, &s, &err), 0);
    assert_int_equal(c.n_clusters, 3);
    for (int w = 0; w < WINDOWS; w++) {
        int i = w * SLOTS + w % SLOTS, first = r.who[i] * 100 * SLOTS + r.who[i] * 100 % SLOTS;
        assert_int_equal(c.label[i], c.label[first]);
    }
    clustering_release(&c);
    recording_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_people),
        cmocka_unit_test(test_in_two_slots),
        cmocka_unit_test(test_as_asked),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
