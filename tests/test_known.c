// SPDX-License-Identifier: MIT
/* test_known.c - clusters of a recording that are people who are known. */
#include "check.h"

#include "stream/known.h"

#include <math.h>
#include <string.h>

enum { WINDOWS = 3, SLOTS = 2, FRAMES = 20, WIDTH = 4, LABELS = WINDOWS * SLOTS };

struct scene {
    struct heard heard;
    uint8_t sets[WINDOWS * FRAMES];
    float vectors[LABELS * WIDTH];
    struct speakers known;
};

static void scene_open(struct scene *s)
{
    memset(s, 0, sizeof(*s));
    s->heard = (struct heard){.n_windows = WINDOWS, .n_frames = FRAMES, .n_slots = SLOTS,
                              .width = WIDTH, .sets = s->sets, .vectors = s->vectors};
    for (int i = 0; i < LABELS * WIDTH; i++)
        s->vectors[i] = NAN;
    speakers_init(&s->known, 1, WIDTH);
}

/* A slot speaks alone in so many frames, with a vector in the plane of two axes. */
static void say(struct scene *s, int window, int slot, int from, int frames, int axis, float aside)
{
    float *x = s->vectors + (window * SLOTS + slot) * WIDTH;

    memset(x, 0, WIDTH * sizeof(*x));
    x[axis] = 1.0f;
    x[(axis + 1) % WIDTH] = aside;
    for (int t = from; t < from + frames; t++)
        s->sets[window * FRAMES + t] |= (uint8_t)(1u << slot);
}

static void know(struct scene *s, const char *name, int axis)
{
    float x[WIDTH] = {0};
    struct error err;
    struct known_speaker *who = speakers_get(&s->known, name, &err);

    assert_non_null(who);
    x[axis] = 2.0f;
    speakers_add(&s->known, who, x, 100.0f);
}

static void find(struct scene *s, const int *label, int n_clusters, const int *want)
{
    struct error err;
    int who[LABELS];

    if (known_find(who, n_clusters, label, &s->heard, &s->known, 0.45f, &err))
        check_fail("%s", err.text);
    for (int i = 0; i < n_clusters; i++)
        assert_int_equal(who[i], want[i]);
    speakers_release(&s->known);
}

/* Each is who they sound like, in whatever order they speak; others are nobody known. */
static void test_found(void **state)
{
    struct scene s;
    const int label[LABELS] = {0, 1, 2, -1, 1, 3}, want[] = {-1, 1, -1, 0};

    (void)state;
    scene_open(&s);
    say(&s, 0, 0, 0, 5, 1, 1.0f); // between Absent and Bob: too far from either
    say(&s, 0, 1, 5, 5, 2, 0.3f);
    say(&s, 1, 0, 0, 9, 3, 1.0f); // too far from Ada
    say(&s, 1, 1, 10, 5, 0, 0.0f); // of nobody's label: does not count
    say(&s, 2, 0, 0, 5, 2, 0.0f);
    say(&s, 2, 1, 5, 5, 0, 0.2f);
    know(&s, "Ada", 0);
    know(&s, "Bob", 2);
    know(&s, "Absent", 1);
    s.vectors[3] = 1.5f;                // cosines of 0.49
    s.vectors[SLOTS * WIDTH + 3] = 2.0f; // and of 0.45
    find(&s, label, 4, want);
}

/* How a cluster sounds is the mean over frames: much speech outweighs a slip. */
static void test_weighed(void **state)
{
    struct scene s;
    const int label[LABELS] = {0, -1, 0, -1, 1, -1}, want[] = {0, -1};

    (void)state;
    scene_open(&s);
    say(&s, 0, 0, 0, 18, 0, 0.0f);
    say(&s, 1, 0, 0, 3, 2, 0.0f);
    say(&s, 2, 0, 0, 5, 2, 0.0f);
    know(&s, "Ada", 0);
    find(&s, label, 2, want);
}

/* One known person, two clusters like them: the nearer is theirs. */
static void test_one_to_one(void **state)
{
    struct scene s;
    const int label[LABELS] = {0, -1, 1, -1, -1, -1}, want[] = {-1, 0};

    (void)state;
    scene_open(&s);
    say(&s, 0, 0, 0, 9, 0, 0.5f);
    say(&s, 1, 0, 0, 9, 0, 0.1f);
    know(&s, "Ada", 0);
    find(&s, label, 2, want);
}

/* Nobody known, nobody heard. */
static void test_nobody(void **state)
{
    struct scene s;
    const int label[LABELS] = {0, -1, 1, -1, -1, -1}, none[LABELS] = {-1, -1, -1, -1, -1, -1};
    const int want[] = {-1, -1};

    (void)state;
    scene_open(&s);
    say(&s, 0, 0, 0, 9, 0, 0.5f);
    find(&s, label, 2, want);
    scene_open(&s);
    know(&s, "Ada", 0);
    find(&s, none, 0, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_weighed),
        cmocka_unit_test(test_one_to_one),
        cmocka_unit_test(test_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
