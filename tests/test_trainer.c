// SPDX-License-Identifier: MIT
/* test_trainer.c - runs of a tiny model: the same bits twice, resumed, and
 * computed again; the same step however it is shared; and it learns. */
#include "check.h"

#include "model/gemm.h"

#include "tiny_trainer.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_same_bits_twice(void **state)
{
    struct trainer_settings s = settings();
    struct trainer *a = open_trainer(&s), *b = open_trainer(&s);

    steps(a, 5);
    steps(b, 5);
    assert_same_bits(a, b);
    close_trainer(a);
    close_trainer(b);
}

static void test_resumed(void **state)
{
    struct trainer_settings s = settings();
    struct trainer *a = open_trainer(&s), *b = open_trainer(&s), *c = open_trainer(&s);
    char path[] = "/tmp/antiphon-trainer-XXXXXX";
    struct error err;

    close(mkstemp(path));
    steps(a, 7);
    steps(b, 3);
    assert_int_equal(trainer_save(b, path, &err), 0);
    close_trainer(b);
    steps(c, 2); // whatever it held is forgotten
    assert_int_equal(trainer_resume(c, path, &err), 0);
    assert_int_equal(c->step, 3);
    steps(c, 4);
    assert_same_bits(a, c);
    close_trainer(c);

    s.seed = 9;
    c = open_trainer(&s);
    assert_int_equal(trainer_resume(c, path, &err), -1);
    assert_non_null(strstr(err.text, "seed"));
    close_trainer(c);
    close_trainer(a);
    unlink(path);
}

static void test_recompute(void **state)
{
    struct trainer_settings s = settings();
    struct trainer *a = open_trainer(&s);
    s.recompute = 1;
    struct trainer *b = open_trainer(&s);

    steps(a, 4);
    steps(b, 4);
    assert_same_bits(a, b);
    close_trainer(a);
    close_trainer(b);
}

/* One step of the same clips, shared differently: the same loss and gradient. */
static void test_shared(void **state)
{
    struct trainer_settings s = settings();
    struct step_report want, got;

    s.dropout = 0.0;
    s.threads = 1;
    struct trainer *t = open_trainer(&s);
    want = steps(t, 1);
    assert_true(want.vector > 0.5 && t->heads.n_floats == 6 * 8 + MELS * (16 + 1));
    assert_true(want.mels > 0.1 && want.mels < 2.0);
    close_trainer(t);
    for (int threads = 2; threads <= 6; threads++) {
        s.threads = threads;
        t = open_trainer(&s);
        got = steps(t, 1);
        close_trainer(t);
        assert_true(fabs(got.loss - want.loss) < 1e-6 * want.loss);
        assert_true(fabs(got.affinity - want.affinity) < 1e-5 * want.affinity);
        assert_true(fabs(got.vector - want.vector) < 1e-5 * want.vector);
        assert_true(got.vector_right == want.vector_right);
        assert_true(fabs(got.mels - want.mels) < 1e-5 * want.mels);
        assert_true(fabs(got.norm - want.norm) < 1e-4 * want.norm);
        assert_true(got.der == want.der);
    }
    /* With BatchNorm's running statistics a batch falls apart into clips. */
    s.frozen_batch_norm = 1;
    t = open_trainer(&s);
    want = steps(t, 1);
    close_trainer(t);
    s.batch = 2;
    s.accumulate = 3;
    t = open_trainer(&s);
    got = steps(t, 1);
    close_trainer(t);
    assert_true(fabs(got.loss - want.loss) < 1e-6 * want.loss);
    assert_true(fabs(got.vector - want.vector) < 1e-5 * want.vector);
    assert_true(fabs(got.norm - want.norm) < 1e-4 * want.norm);
}

/* Rounded factors: about the same loss, the same bits each time, and nothing of it left. */
static void test_bf16(void **state)
{
    struct trainer_settings s = settings();
    struct step_report want, got;

    struct trainer *t = open_trainer(&s);
    want = steps(t, 1);
    close_trainer(t);
    s.bf16 = 1;
    struct trainer *a = open_trainer(&s), *b = open_trainer(&s);
    got = steps(a, 1);
    assert_true(got.loss != want.loss && fabs(got.loss - want.loss) < 0.01 * want.loss);
    assert_true(got.norm != want.norm && fabs(got.norm - want.norm) < 0.05 * want.norm);
    steps(a, 2);
    steps(b, 3);
    assert_same_bits(a, b);
    assert_int_equal(gemm_set_precision(GEMM_F32), GEMM_F32);
    close_trainer(a);
    close_trainer(b);
}

static void test_learns(void **state)
{
    struct trainer_settings s = settings();
    struct objective_sums sums;
    struct error err;

    s.dropout = 0.0;
    s.ema = 0.9;
    struct trainer *t = open_trainer(&s);
    double first = steps(t, 1).loss;
    steps(t, 149);
    assert_int_equal(trainer_validate(t, source(), 100000, 12, 8, 0, &sums, &err), 0);
    double der = 100.0 * (sums.missed + sums.false_alarm + sums.confusion) / sums.speech;
    if (!(sums.loss / sums.frames < 0.25 * first) || !(der < 25.0))
        check_fail("loss %g at first, %g later, DER %g", first, sums.loss / sums.frames, der);
    close_trainer(t);
}

static void test_frozen(void **state)
{
    struct trainer_settings s = settings();

    s.freeze[0] = "encoder.*";
    s.freeze[1] = "*mha*";
    s.n_freeze = 2;
    struct trainer *a = open_trainer(&s), *b = open_trainer(&s);
    int moved = 0;

    steps(a, 3);
    for (int i = 0; i < a->n_params; i++) {
        const struct param *p = &a->list[i];
        int same = !memcmp(param_values(&a->model.params, p), param_values(&b->model.params, p),
                           param_count(p) * sizeof(float));
        int frozen = p->encoder || strstr(p->name, "mha"); // there is no extractor
        if (frozen && !same)
            check_fail("%s moved", p->name);
        moved += !same;
    }
    assert_true(moved > 10);
    close_trainer(a);
    close_trainer(b);
}

/* A model of the tones tells tones apart: the class of most vectors is their own.
 * What it learned of them can be begun with. */
static void test_voices(void **state)
{
    struct trainer_settings s = settings();
    char path[] = "/tmp/antiphon-voices-XXXXXX";
    struct checkpoint c;
    struct error err;

    s.dropout = 0.0;
    s.affinity = 0.0;
    s.vector = 1.0;
    s.batch = 12;
    struct trainer *t = open_trainer(&s), *u = calloc(1, sizeof(*u));
    double first = steps(t, 1).vector;
    steps(t, 98);
    struct step_report last = steps(t, 1);
    print_message("vectors: loss %.3f, then %.3f, %.0f %% right\n", first, last.vector,
                  last.vector_right);
    assert_true(last.vector < 0.5 * first && last.vector_right > 80.0);
    close(mkstemp(path));
    assert_int_equal(trainer_save(t, path, &err), 0);
    check_open(&c, path);
    assert_non_null(u);
    assert_int_equal(trainer_open(u, tiny_config, &c, source(), &s, NULL, &err), 0);
    assert_memory_equal(u->heads.values, t->heads.values, t->heads.n_floats * sizeof(float));
    checkpoint_close(&c);
    close_trainer(t);
    close_trainer(u);

    /* Another number of speakers is another run. */
    struct clip_source more = tiny_source();
    more.n_known = 7;
    u = calloc(1, sizeof(*u));
    assert_int_equal(trainer_open(u, tiny_config, NULL, &more, &s, NULL, &err), 0);
    assert_int_equal(trainer_resume(u, path, &err), -1);
    assert_non_null(strstr(err.text, "train.heads.voices of 7 x 8"));
    close_trainer(u);
    more.n_known = 0;
    u = calloc(1, sizeof(*u));
    assert_int_equal(trainer_open(u, tiny_config, NULL, &more, &s, NULL, &err), -1);
    assert_non_null(strstr(err.text, "knows 0 speakers"));
    free(u);
    char *mute = strdup(tiny_config), *key = strstr(mute, "embedding_dim\":8");
    key[15] = '0';
    u = calloc(1, sizeof(*u));
    assert_int_equal(trainer_open(u, mute, NULL, source(), &s, NULL, &err), -1);
    assert_non_null(strstr(err.text, "no embedding readout"));
    free(u);
    free(mute);
    unlink(path);
}

/* Targets are standardised; what the extractor hears of them is learned, alone. */
static void test_mels(void **state)
{
    struct trainer_settings s = settings();
    double sum = 0.0, squares = 0.0;
    float targets[TINY_FRAMES * MELS];
    float *scratch = aligned_alloc(64, mels_scratch_floats() * sizeof(float) / 64 * 64 + 64);
    struct clip clip;
    struct error err;

    s.dropout = s.affinity = s.vector = s.scores = 0.0;
    s.mels = 1.0;
    s.lr = 1e-2;
    struct trainer *t = open_trainer(&s);
    assert_int_equal(clip_init(&clip, source()->n_samples, &err), 0);
    for (int i = 0; i < 32; i++) {
        assert_int_equal(tiny_get(&clip, source(), (uint64_t)i, &err), 0);
        mels_targets(targets, &t->mels, &clip, scratch);
        for (int k = 0; k < TINY_FRAMES * MELS; k++) {
            sum += targets[k];
            squares += (double)targets[k] * targets[k];
        }
    }
    double n = 32.0 * TINY_FRAMES * MELS;
    assert_true(fabs(sum / n) < 1e-3 && squares / n > 0.9 && squares / n < 1.01);
    double kept = t->model.params.classifier.weight[0], first;
    float norm[16];
    memcpy(norm, t->model.params.readout_norm.weight, sizeof(norm));
    first = steps(t, 1).mels;
    steps(t, 98);
    double last = steps(t, 1).mels;
    print_message("log-mels: %.3f, then %.3f\n", first, last);
    assert_true(last < 0.5 * first);
    /* What has no slope decays if it is a matrix, and else stays. */
    double want = kept * pow(1.0 - 1e-2 * s.adamw.decay, 100.0);
    assert_true(fabs(t->model.params.classifier.weight[0] - want) < 1e-5 * fabs(kept));
    assert_memory_equal(t->model.params.readout_norm.weight, norm, sizeof(norm));
    clip_release(&clip);
    free(scratch);
    close_trainer(t);
}

/* Two learning rates: an encoder of rate 0 stays to the bit, the readout moves. */
static void test_rates(void **state)
{
    struct trainer_settings s = settings();
    int moved = 0;

    s.lr_encoder = 0.0;
    struct trainer *a = open_trainer(&s), *b = open_trainer(&s);
    steps(a, 2);
    for (int i = 0; i < a->n_params; i++) {
        const struct param *p = &a->list[i];
        int same = !memcmp(param_values(&a->model.params, p), param_values(&b->model.params, p),
                           param_count(p) * sizeof(float));
        if (p->encoder && !same)
            check_fail("%s moved", p->name);
        moved += !p->encoder && !same;
    }
    assert_true(moved > 20);
    close_trainer(a);
    close_trainer(b);
}

static int bad_get(struct clip *clip, const struct clip_source *s, uint64_t index,
                   struct error *err)
{
    if (index >= 1000)
        return fail(err, "clip %d cannot be read", (int)index);
    return tiny_get(clip, s, index, err);
}

/* A step that goes wrong says whose clips it were, and leaves the weights. */
static void test_bad_steps(void **state)
{
    struct trainer_settings s = settings();
    struct clip_source bad = tiny_source();
    struct step_report report;
    struct trainer *t = calloc(1, sizeof(*t));
    struct error err;

    bad.get = bad_get;
    assert_int_equal(trainer_open(t, tiny_config, NULL, &bad, &s, NULL, &err), 0);
    assert_int_equal(trainer_step(t, &report, &err), 0);
    assert_int_equal(trainer_step(t, &report, &err), 0);
    float kept = t->model.params.classifier.bias[0];
    t->model.params.classifier.bias[0] = NAN;
    assert_int_equal(trainer_step(t, &report, &err), -1);
    if (!strstr(err.text, "step 3") || !strstr(err.text, "tiny clip 1"))
        check_fail("%s", err.text);
    t->model.params.classifier.bias[0] = kept;
    for (int i = 0; i < t->n_params; i++) {
        const float *x = param_values(&t->model.params, &t->list[i]);
        for (size_t k = 0; k < param_count(&t->list[i]); k++)
            assert_true(isfinite(x[k]));
    }
    assert_int_equal(trainer_step(t, &report, &err), 0); // nothing of the bad step is left
    t->next_clip = 998;
    assert_int_equal(trainer_step(t, &report, &err), -1);
    assert_non_null(strstr(err.text, "cannot be read"));
    close_trainer(t);
}

/* A step that fails in its second batch has moved BatchNorm in its first: back. */
static void test_failed_accumulation(void **state)
{
    struct trainer_settings s = settings();
    struct clip_source poisoned = tiny_source();
    struct trainer *t = calloc(1, sizeof(*t));
    struct step_report report;
    struct error err;
    float kept[64];

    poisoned.get = poisoned_get;
    s.batch = 3;
    s.accumulate = 10; // clip 27 is in the last
    assert_int_equal(trainer_open(t, tiny_config, NULL, &poisoned, &s, NULL, &err), 0);
    const float *mean = t->model.params.conformer[0].conv.running_mean;
    memcpy(kept, mean, 16 * sizeof(float));
    assert_int_equal(trainer_step(t, &report, &err), -1);
    assert_memory_equal(kept, mean, 16 * sizeof(float));
    close_trainer(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_twice), cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_recompute),       cmocka_unit_test(test_shared),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_learns),          cmocka_unit_test(test_voices),
        cmocka_unit_test(test_mels),           cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_bad_steps),
        cmocka_unit_test(test_failed_accumulation), cmocka_unit_test(test_rates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
