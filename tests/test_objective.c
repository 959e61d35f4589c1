// SPDX-License-Identifier: MIT
/* test_objective.c - losses and their slopes: upstream's goldens, brute force,
 * differences; and the optimiser's arithmetic. */
#include "check.h"

#include "model/op.h"
#include "prune/mels.h"
#include "prune/objective.h"
#include "prune/optimizer.h"
#include "prune/voice_loss.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { T = 50, CLASSES = 11 };

static const struct readout_config readout = {.n_speakers = 4, .at_once = 2, .n_classes = CLASSES};

static const struct tensor *need(const struct checkpoint *c, const char *variant, const char *name)
{
    char key[100];

    snprintf(key, sizeof(key), "%s.%s", variant, name);
    const struct tensor *t = checkpoint_find(c, key);
    if (!t)
        check_fail("no %s in the golden", key);
    return t;
}

static void check_variant(const struct checkpoint *golden, const char *variant)
{
    const float *logp = need(golden, variant, "in.logprobs")->data;
    const struct tensor *target = need(golden, variant, "in.target");
    const int64_t *want = need(golden, variant, "out.permutated_target")->data;
    const int64_t *want_class = need(golden, variant, "out.target_class")->data;
    int n_targets = (int)target->size[2], n = 4;
    double loss = 0.0;
    struct objective o;

    objective_init(&o, &readout);
    for (int b = 0; b < 3; b++) {
        uint8_t labels[T * CLIP_MAX_SPEAKERS] = {0};
        const int64_t *in = (const int64_t *)target->data + b * T * n_targets;
        const float *scores = logp + b * T * CLASSES;
        int to[8];

        for (int t = 0; t < T; t++) {
            for (int j = 0; j < n_targets; j++)
                labels[t * CLIP_MAX_SPEAKERS + j] = (uint8_t)in[t * n_targets + j];
        }
        objective_assign_hard(to, &o, scores, labels, T, n_targets);
        for (int t = 0; t < T; t++) {
            unsigned mask = 0, expected = 0;
            for (int j = 0; j < n_targets; j++) {
                if (labels[t * CLIP_MAX_SPEAKERS + j] && to[j] >= 0)
                    mask |= 1u << to[j];
            }
            for (int i = 0; i < n; i++)
                expected |= (unsigned)(want[(b * T + t) * n + i] != 0) << i;
            if (mask != expected)
                check_fail("%s: row %d frame %d: speakers %x, upstream %x", variant, b, t, mask,
                           expected);
            assert_int_equal(o.class_of[mask], want_class[b * T + t]);
            loss -= scores[t * CLASSES + o.class_of[mask]];
        }
    }
    float expected_loss = *(const float *)need(golden, variant, "out.loss")->data;
    assert_true(fabs(loss / (3 * T) - expected_loss) < 2e-6 * expected_loss);
}

static void test_upstream(void **state)
{
    static const char *const variants[] = {"main", "two_columns", "five_columns",
                                           "all_silence_tie", "one_speaker_tie"};
    struct checkpoint golden;
    struct objective o;

    check_open(&golden, check_path("golden/powerset_pit/powerset_pit.safetensors"));
    for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++)
        check_variant(&golden, variants[i]);
    objective_init(&o, &readout);
    const float *sets = checkpoint_find(&golden, "to_powerset.in")->data;
    const int64_t *classes = checkpoint_find(&golden, "to_powerset.out_class")->data;
    for (int i = 0; i < 16; i++) {
        unsigned mask = 0;
        for (int s = 0; s < 4; s++)
            mask |= (unsigned)(sets[4 * i + s] > 0.5f) << s;
        assert_int_equal(o.class_of[mask], classes[i]);
    }
    checkpoint_close(&golden);
}

static void random_clip(struct clip *clip, float *scores, struct random *rng)
{
    struct error err;

    if (clip_init(clip, 320 * T + 80, &err))
        check_fail("%s", err.text);
    assert_int_equal(clip->n_frames, T);
    clip->n_speakers = 4;
    for (int t = 0; t < T; t++) {
        for (int s = 0; s < 4; s++)
            clip->labels[t * CLIP_MAX_SPEAKERS + s] = random_bits(rng) % 4 == 0;
    }
    check_fill(scores, T * CLASSES, rng);
    for (int i = 0; i < T * CLASSES; i++)
        scores[i] *= 3.0f;
    log_softmax_forward(scores, scores, T, CLASSES);
}

/* The exact permutation's loss is the least of all 24. */
static void test_exact(void **state)
{
    struct random rng;
    struct objective o;

    random_init(&rng, check_seed());
    objective_init(&o, &readout);
    for (int trial = 0; trial < 20; trial++) {
        struct clip clip;
        float scores[T * CLASSES], slopes[T * CLASSES];
        struct objective_sums sums = {0};
        double best = INFINITY, along = 0.0;

        random_clip(&clip, scores, &rng);
        objective_scores(&o, &sums, slopes, scores, &clip, 2.0f);
        for (int code = 0; code < 256; code++) {
            int to[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
            if ((1 << to[0] | 1 << to[1] | 1 << to[2] | 1 << to[3]) != 15)
                continue;
            double sum = 0.0;
            for (int t = 0; t < T; t++) {
                unsigned mask = 0;
                for (int s = 0; s < 4; s++)
                    mask |= (unsigned)clip.labels[t * CLIP_MAX_SPEAKERS + s] << to[s];
                sum -= scores[t * CLASSES + o.class_of[mask]];
            }
            best = sum < best ? sum : best;
        }
        assert_true(fabs(sums.loss - best) < 1e-9 * best);
        for (int i = 0; i < T * CLASSES; i++)
            along += (double)slopes[i] * scores[i]; // the loss is linear in the scores
        assert_true(fabs(along - 2.0 * best / T) < 1e-5 * best);
        clip_release(&clip);
    }
}

enum { KIN = 3, WIDE = 6 };

/* |V V' - Y Y'|^2 / n^2 as it is written, for each clip of the group. */
static double affinity_by_pairs(const float *v, const struct clip *clips, int n_clips)
{
    double loss = 0.0;
    int n = 0;

    for (int i = 0; i < n_clips * T; i++) {
        const struct clip *a = &clips[i / T];
        int who = clip_alone(a, i % T);
        if (who < 0)
            continue;
        n++;
        for (int j = 0; j < n_clips * T; j++) {
            const struct clip *b = &clips[j / T];
            int other = clip_alone(b, j % T);
            double dot = 0.0, squares[2] = {0.0, 0.0};
            if (other < 0)
                continue;
            for (int e = 0; e < WIDE; e++) {
                dot += (double)v[i * WIDE + e] * v[j * WIDE + e];
                squares[0] += (double)v[i * WIDE + e] * v[i * WIDE + e];
                squares[1] += (double)v[j * WIDE + e] * v[j * WIDE + e];
            }
            int same = a == b ? who == other
                              : a->speaker[who] >= 0 && a->speaker[who] == b->speaker[other];
            dot = dot / sqrt(squares[0] * squares[1]) - same;
            loss += dot * dot;
        }
    }
    return n_clips * loss / ((double)n * n);
}

/* Clips of one meeting: numbers say who is whom, whatever the column; somebody without one is
 * nobody else's. The loss is the pairs', its slopes are differences'. */
static void check_affinity(int n_clips)
{
    static const int32_t numbers[KIN][4] = {{7, 3, -1, 12}, {3, 12, 5, -1}, {1, -1, 7, 3}};
    struct random rng;
    struct clip clips[KIN];
    float scores[T * CLASSES], v[KIN * T * WIDE], slopes[KIN * T * WIDE], unused[KIN * T * WIDE];
    float *scratch = calloc(objective_scratch_floats(n_clips, T, WIDE), sizeof(float));

    random_init(&rng, check_seed());
    for (int i = 0; i < n_clips; i++) {
        random_clip(&clips[i], scores, &rng);
        memcpy(clips[i].speaker, numbers[i], sizeof(numbers[i]));
    }
    check_fill(v, (size_t)(n_clips * T * WIDE), &rng);
    struct objective_sums at = {0};
    objective_affinity(&at, slopes, v, clips, n_clips, WIDE, 1.0f, scratch);
    double want = affinity_by_pairs(v, clips, n_clips);
    if (fabs(at.affinity - want) > 1e-5 * want)
        check_fail("affinity of %d clips: %g, by pairs %g", n_clips, at.affinity, want);
    for (int i = 0; i < n_clips * T * WIDE; i += 7) {
        float kept = v[i], step = 1e-2f;
        struct objective_sums up = {0}, down = {0};
        v[i] = kept + step;
        objective_affinity(&up, unused, v, clips, n_clips, WIDE, 1.0f, scratch);
        v[i] = kept - step;
        objective_affinity(&down, unused, v, clips, n_clips, WIDE, 1.0f, scratch);
        v[i] = kept;
        double slope = (up.affinity - down.affinity) / (2.0 * step);
        if (fabs(slope - slopes[i]) > 0.02 * fabs(slope) + 2e-5)
            check_fail("affinity: slope %g, gradient %g", slope, slopes[i]);
    }
    free(scratch);
    for (int i = 0; i < n_clips; i++)
        clip_release(&clips[i]);
}

static void test_affinity(void **state)
{
    check_affinity(1);
    check_affinity(2);
    check_affinity(KIN);
}

/* Two clips of three solo stretches each, and one with next to none. */
static void voice_clips(struct clip clips[3])
{
    struct error err;

    for (int c = 0; c < 3; c++) {
        struct clip *clip = &clips[c];
        assert_int_equal(clip_init(clip, 320 * 100 + 80, &err), 0);
        clip->n_speakers = 3;
        for (int s = 0; s < 3; s++) {
            clip->speaker[s] = c == 1 && s == 2 ? -1 : (3 * c + 5 * s) % 7;
            for (int t = c == 2 ? 30 * s + 15 : 30 * s; t < 30 * s + 32 && t < 100; t++)
                clip->labels[t * CLIP_MAX_SPEAKERS + s] = 1;
        }
    }
}

static void test_voice_loss(void **state)
{
    enum { E = 5, K = 7, ROWS = 300 };
    static float v[ROWS * E], slopes[ROWS * E], w[K * E], class_slopes[K * E];
    const struct voice_loss l = {K, E, 0.3f, 4.0f, 25};
    float *scratch = calloc(voice_loss_scratch_floats(&l, 3), sizeof(float));
    struct objective_sums at = {0};
    struct clip clips[3];
    struct random rng;
    static float unused[ROWS * E], unused_class[K * E];

    voice_clips(clips);
    random_init(&rng, check_seed());
    check_fill(v, ROWS * E, &rng);
    check_fill(w, K * E, &rng);
    for (int i = 0; i < 30 * E; i++) // one speaker is right where it should be
        v[i] = w[clips[0].speaker[0] * E + i % E] + 0.3f * v[i];
    for (int i = 32 * E; i < 60 * E; i++) // another as far from it as can be
        v[i] = -w[clips[0].speaker[1] * E + i % E] + 0.3f * v[i];
    voice_loss(&l, &at, slopes, class_slopes, v, w, clips, 3, 0.7f, scratch);
    assert_true(at.vectors == 5.0 && at.vector_clips == 2.0 && at.vectors_right >= 1.0);
    for (int i = 200 * E; i < ROWS * E; i++)
        assert_true(slopes[i] == 0.0f);
    for (int i = 0; i < ROWS * E + K * E; i++) {
        float *x = i < ROWS * E ? &v[i] : &w[i - ROWS * E], kept = *x, step = 2e-3f;
        double got = i < ROWS * E ? slopes[i] : class_slopes[i - ROWS * E];
        struct objective_sums up = {0}, down = {0};
        if (i < ROWS * E && i % 3)
            continue;
        *x = kept + step;
        voice_loss(&l, &up, unused, unused_class, v, w, clips, 3, 0.7f, scratch);
        *x = kept - step;
        voice_loss(&l, &down, unused, unused_class, v, w, clips, 3, 0.7f, scratch);
        *x = kept;
        double slope = 0.7 * (up.vector - down.vector) / (2.0 * step);
        if (fabs(slope - got) > 0.02 * fabs(slope) + 2e-4)
            check_fail("number %d: slope %g, gradient %g", i, slope, got);
    }
    for (int c = 0; c < 3; c++)
        clip_release(&clips[c]);
    free(scratch);
}

/* By the formula, for one vector and two classes at right angles. */
static void test_voice_margin(void **state)
{
    const struct voice_loss l = {2, 2, 0.2f, 30.0f, 100};
    float *scratch = calloc(voice_loss_scratch_floats(&l, 1), sizeof(float));
    float w[4] = {2.0f, 0.0f, 0.0f, 0.5f}, v[200], d[200] = {0.0f}, dw[4] = {0.0f};
    struct clip clip;
    struct error err;

    assert_int_equal(clip_init(&clip, 320 * 100 + 80, &err), 0);
    clip.n_speakers = 1;
    for (int i = 0; i < 4; i++) {
        double angle = 0.3 + i; // the last is beyond pi - margin
        struct objective_sums sums = {0};
        angle = i == 3 ? 3.1 : angle;
        for (int t = 0; t < 100; t++) {
            clip.labels[t * CLIP_MAX_SPEAKERS] = 1;
            v[2 * t] = 3.0f * (float)cos(angle);
            v[2 * t + 1] = 3.0f * (float)sin(angle);
        }
        voice_loss(&l, &sums, d, dw, v, w, &clip, 1, 1.0f, scratch);
        double own = i == 3 ? cos(angle) - 0.2 * sin(0.2) : cos(angle + 0.2);
        double want = log1p(exp(30.0 * (sin(angle) - own)));
        assert_true(fabs(sums.vector - want) < 1e-4 * (1.0 + want));
        assert_true(sums.vectors_right == (cos(angle) > sin(angle)));
    }
    clip_release(&clip);
    free(scratch);
}

/* Slopes by what is regressed from, and by both parameters. */
static void test_mels_loss(void **state)
{
    enum { ROWS = 9, C = 5, N = ROWS * C + MELS * C + MELS };
    static float x[N], slopes[N], unused[N], targets[ROWS * MELS], guess[ROWS * MELS];
    float *w = x + ROWS * C, *b = w + MELS * C;
    float *dw = slopes + ROWS * C, *db = dw + MELS * C;
    struct objective_sums at = {0};
    struct random rng;

    random_init(&rng, check_seed());
    check_fill(x, N, &rng);
    check_fill(targets, ROWS * MELS, &rng);
    memset(slopes, 0, sizeof(slopes));
    mels_loss(&at, slopes, dw, db, guess, x, targets, w, b, ROWS, C, 300.0f);
    assert_true(at.mels > 0.0);
    for (int i = 0; i < N; i += i < ROWS * C ? 1 : 7) {
        float kept = x[i], step = 1e-2f;
        struct objective_sums up = {0}, down = {0};
        x[i] = kept + step;
        mels_loss(&up, unused, unused + ROWS * C, unused + ROWS * C + MELS * C, guess, x, targets, w,
                  b, ROWS, C, 1.0f);
        x[i] = kept - step;
        mels_loss(&down, unused, unused + ROWS * C, unused + ROWS * C + MELS * C, guess, x, targets,
                  w, b, ROWS, C, 1.0f);
        x[i] = kept;
        double slope = 300.0 * (up.mels - down.mels) / (2.0 * step);
        if (fabs(slope - slopes[i]) > 0.01 * fabs(slope) + 5e-3)
            check_fail("number %d: slope %g, gradient %g", i, slope, slopes[i]);
    }
}

/* AdamW's first two steps by hand, and the schedules' corners. */
static void test_optimizer(void **state)
{
    struct adamw a = adamw_defaults();
    float w = 1.0f, m = 0.0f, v = 0.0f, g = 0.5f;
    double history[4] = {4.0, 1.0, 3.0, 2.0}, scratch[4];

    a.decay = 0.1;
    adamw_step(&w, &m, &v, &g, 1, &a, 0.01, 1.0, 1);
    assert_true(fabs(w - (1.0 * (1.0 - 0.001) - 0.01)) < 1e-6); // m/sqrt(v) is 1 at first
    g = -1.0f;
    adamw_step(&w, &m, &v, &g, 1, &a, 0.01, 0.5, 2); // scaled to -0.5
    double m2 = 0.9 * 0.05 - 0.05, v2 = 0.999 * 0.00025 + 0.001 * 0.25;
    double want = 0.989 * 0.999 - 0.01 * (m2 / (1.0 - 0.81)) /
                  (sqrt(v2 / (1.0 - 0.998001)) + 1e-8);
    assert_true(fabs(w - want) < 1e-6);

    assert_true(norm_quantile(history, 4, 0.9, scratch) == 3.7);
    assert_true(norm_quantile(history, 1, 0.9, scratch) == 4.0);
    assert_true(norm_quantile(history, 4, 1.0, scratch) == 4.0);
    assert_true(schedule_factor(SCHEDULE_CONSTANT, 0, 100, 4, 0.0) == 0.25);
    assert_true(schedule_factor(SCHEDULE_CONSTANT, 50, 100, 4, 0.0) == 1.0);
    assert_true(fabs(schedule_factor(SCHEDULE_COSINE, 52, 100, 4, 0.2) - 0.6) < 1e-12);
    assert_true(fabs(schedule_factor(SCHEDULE_COSINE, 100, 100, 4, 0.2) - 0.2) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upstream),
        cmocka_unit_test(test_exact),    cmocka_unit_test(test_affinity),
        cmocka_unit_test(test_voice_loss), cmocka_unit_test(test_voice_margin),
        cmocka_unit_test(test_mels_loss),
        cmocka_unit_test(test_optimizer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
