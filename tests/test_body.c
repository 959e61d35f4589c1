// SPDX-License-Identifier: MIT
#include "check.h"

#include "prune/biquad.h"
#include "prune/body.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SPEAKERS = 3, STRETCHES = 60, SAMPLES = 16000 * 600 };

static struct body_settings settings = BODY_DEFAULTS; // and blows

/* Turns of 3 s with pauses of 2 s in between, one speaker after another. */
static void turns(struct stretch x[STRETCHES])
{
    for (int i = 0; i < STRETCHES; i++) {
        int k = i % (STRETCHES / SPEAKERS), speaker = i / (STRETCHES / SPEAKERS);
        x[i] = (struct stretch){.start = 16000 * (25 * k + 5 * speaker), .n = 48000,
                                .speaker = speaker};
    }
}

static void draw(struct body_plan *p, const struct body_settings *s, uint64_t seed)
{
    struct stretch x[STRETCHES];
    struct random rng;
    struct error err;

    turns(x);
    random_init(&rng, seed);
    assert_int_equal(body_plan_draw(p, s, x, STRETCHES, SPEAKERS, SAMPLES, &rng, &err), 0);
}

static void test_in_pauses(void **state)
{
    struct body_plan p = {0};
    struct stretch x[STRETCHES];
    uint64_t seed = check_seed();
    int kinds[4] = {0}, before = 0;

    turns(x);
    for (int trial = 0; trial < 20; trial++) {
        draw(&p, &settings, seed + (uint64_t)trial);
        for (int i = 0; i < p.n; i++) {
            const struct body_sound *s = &p.sounds[i];
            assert_true(s->n > 0 && s->n <= BODY_MOST && s->start < SAMPLES &&
                        s->start + s->n > 0);
            kinds[s->kind]++;
            if (i && s[-1].speaker == s->speaker)
                assert_true(s[-1].start + s[-1].n < s->start);
            for (int k = 0; k < STRETCHES; k++) {
                if (x[k].speaker != s->speaker)
                    continue;
                assert_true(s->start >= x[k].start + x[k].n || s->start + s->n <= x[k].start);
                before += s->kind == BODY_BREATH && x[k].start - s->start - s->n >= 0 &&
                          x[k].start - s->start - s->n < 2400;
            }
        }
    }
    /* 20 meetings of 10 minutes, 60 turns each: the settings' numbers, less what met speech. */
    assert_in_range(kinds[BODY_LAUGH], 100, 400);
    assert_in_range(kinds[BODY_STIR], 500, 1200);
    assert_in_range(kinds[BODY_BLOW], 500, 1200);
    assert_in_range(before, 400, 800);
    assert_true(kinds[BODY_BREATH] > before + 600);
    body_plan_release(&p);
}

static void test_none(void **state)
{
    struct body_settings none = {0};
    struct body_plan p = {0};

    draw(&p, &none, 1);
    assert_int_equal(p.n, 0);
    body_plan_release(&p);
}

/* The same seed, the same plan; memory that was used before changes nothing. */
static void test_repeats(void **state)
{
    struct body_plan a = {0}, b = {0};

    draw(&a, &settings, 3);
    draw(&b, &settings, 2);
    draw(&b, &settings, 3);
    assert_int_equal(a.n, b.n);
    for (int i = 0; i < a.n; i++)
        assert_true(a.sounds[i].start == b.sounds[i].start && a.sounds[i].seed == b.sounds[i].seed);
    body_plan_release(&a);
    body_plan_release(&b);
}

static double power(const float *x, int n)
{
    double sum = 0.0;

    for (int i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum / n;
}

/* Level as asked for, silent at the ends (no clicks), and all but breaths have bursts. */
static void test_sound(void **state)
{
    float *x = malloc(BODY_MOST * sizeof(float)), *y = malloc(BODY_MOST * sizeof(float));
    uint64_t seed = check_seed();

    for (int i = 0; i < 200; i++) {
        struct body_sound s = {.n = i % 4 ? BODY_MOST : 8000, .kind = (enum body_kind)(i % 4),
                               .gain = 0.3f, .seed = seed + (uint64_t)i};
        double most = 0.0, least = 1e9;
        body_render(x, &s);
        body_render(y, &s);
        assert_memory_equal(x, y, (size_t)s.n * sizeof(float));
        assert_true(fabs(power(x, s.n) - 0.09) < 1e-4);
        assert_true(s.kind == BODY_STIR ? x[0] == 0.0f && x[s.n - 1] == 0.0f
                                        : power(x, 16) < 0.09);
        for (int k = 0; k + 400 <= s.n; k += 400) {
            double p = power(x + k, 400);
            most = p > most ? p : most;
            least = p < least ? p : least;
        }
        assert_true(most > (s.kind == BODY_BREATH ? 3.0 : 30.0) * least);
    }
    free(x);
    free(y);
}

/* A blow is low: what of it a voice's first formant begins above is little. */
static void test_blow_is_low(void **state)
{
    float *x = malloc(BODY_MOST * sizeof(float));
    uint64_t seed = check_seed();

    for (int i = 0; i < 50; i++) {
        struct body_sound s = {.n = 8000 + 700 * i, .kind = BODY_BLOW, .gain = 1.0f,
                               .seed = seed + (uint64_t)i};
        struct biquad high = biquad_high_pass(1000.0f, 0.7071f);
        body_render(x, &s);
        biquad_run(&high, x, s.n);
        assert_true(power(x, s.n) < 0.05); // of 1
    }
    free(x);
}

int main(void)
{
    settings.blows = 2.0f;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_pauses),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_blow_is_low),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
