// SPDX-License-Identifier: MIT
/* What settings of a simulation do to its clips, and those that make no sense. */
#include "tests/check.h"
#include "tests/synthetic_bank.h"

#include "prune/simulate.h"

/* Labelled ones of the first frames of 40 clips. */
static int labelled(float p_sparse, int before, int frames)
{
    struct simulate_settings settings = simulate_defaults;
    struct simulation s;
    struct clip clip;
    struct error err;
    int n = 0;

    settings.p_nobody = 0.0f;
    settings.p_sparse = p_sparse;
    settings.before = before;
    assert_int_equal(simulation_open(&s, &bank, NULL, NULL, &settings, 8.0, check_seed(), &err), 0);
    assert_int_equal(clip_init(&clip, s.source.n_samples, &err), 0);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(s.source.get(&clip, &s.source, (uint64_t)i, &err), 0);
        for (int f = 0; f < frames * CLIP_MAX_SPEAKERS; f++)
            n += clip.labels[f];
    }
    clip_release(&clip);
    simulation_close(&s);
    return n;
}

/* 5 to 50 % of the turns are left: about a quarter of the speech. */
static void test_sparse(void **state)
{
    int all = labelled(0.0f, 1500, 399), few = labelled(1.0f, 1500, 399);

    assert_in_range(few, all / 20, all / 2);
}

/* Hardly anybody speaks in the first tenth of a second of a meeting. */
static void test_before(void **state)
{
    int amid = labelled(0.0f, 1500, 5), first = labelled(0.0f, 1, 5);

    assert_in_range(first, 0, amid / 2);
}

static void test_bad_settings(void **state)
{
    static const struct {
        int min, max;
        float rt60, overlap, manner, colour, blows;
        int excerpts, before;
        const char *words;
    } bad[] = {
        {0, 4, 0.5f, 1.0f, 0.0f, 0.0f, 0.0f, 1, 1, "0 to 4 speakers"},
        {3, 2, 0.5f, 1.0f, 0.0f, 0.0f, 0.0f, 1, 1, "3 to 2 speakers"},
        {1, 100, 0.5f, 1.0f, 0.0f, 0.0f, 0.0f, 1, 1, "should be 1 to 64"},
        {1, SPEAKERS + 1, 0.5f, 1.0f, 0.0f, 0.0f, 0.0f, 1, 1, "the speech is of 8"},
        {1, 4, 3.0f, 1.0f, 0.0f, 0.0f, 0.0f, 1, 1, "reverberation"},
        {1, 4, 0.5f, -1.0f, 0.0f, 0.0f, 0.0f, 1, 1, "overlap times -1"},
        {1, 4, 0.5f, NAN, 0.0f, 0.0f, 0.0f, 1, 1, "overlap times"},
        {1, 4, 0.5f, 1.0f, 20.5f, 0.0f, 0.0f, 1, 1, "manner of 20.5 percent"},
        {1, 4, 0.5f, 1.0f, NAN, 0.0f, 0.0f, 1, 1, "manner of"},
        {1, 4, 0.5f, 1.0f, 0.0f, -1.0f, 0.0f, 1, 1, "colour of -1 dB"},
        {1, 4, 0.5f, 1.0f, 0.0f, 0.0f, 0.0f, 0, 1, "0 excerpts"},
        {1, 4, 0.5f, 1.0f, 0.0f, 0.0f, 0.0f, 9, 1, "9 excerpts of a meeting: should be 1 to 8"},
        {1, 4, 0.5f, 1.0f, 0.0f, 0.0f, -1.0f, 1, 1, "-1 blows a minute"},
        {1, 4, 0.5f, 1.0f, 0.0f, 0.0f, NAN, 1, 1, "blows a minute: should be 0 to 60"},
        {1, 4, 0.5f, 1.0f, 0.0f, 0.0f, 0.0f, 1, 0, "fewer than 0 steps"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct simulate_settings x = simulate_defaults;
        struct simulation s;
        struct error err = {""};
        x.min_speakers = bad[i].min;
        x.max_speakers = bad[i].max;
        x.rt60_high = bad[i].rt60;
        x.turns.overlap = bad[i].overlap;
        x.manner = bad[i].manner;
        x.colour = bad[i].colour;
        x.body.blows = bad[i].blows;
        x.excerpts = bad[i].excerpts;
        x.before = bad[i].before;
        assert_int_equal(simulation_open(&s, &bank, NULL, NULL, &x, 8.0, 1, &err), -1);
        if (!strstr(err.text, bad[i].words))
            check_fail("says \"%s\" without \"%s\"", err.text, bad[i].words);
        simulation_close(&s); // nothing
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_before),
        cmocka_unit_test(test_bad_settings),
    };

    return cmocka_run_group_tests(tests, open_bank, close_bank);
}
