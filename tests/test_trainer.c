// SPDX-License-Identifier: MIT
/* test_trainer.c - runs of a tiny model: the same bits twice, resumed, and
 * computed again; the same step however it is shared; and it learns. */
#include "check.h"

#include "prune/run.h"
#include "prune/trainer.h"
#include "tiny_training.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct clip_source *source(void)
{
    static struct clip_source s;

    s = tiny_source();
    return &s;
}

static struct trainer_settings settings(void)
{
    struct trainer_settings s = trainer_defaults();

    s.batch = 6;
    s.steps = 1000;
    s.lr = 3e-3;
    s.lr_encoder = -1.0;
    s.extractor_scale = 1.0;
    s.affinity = 0.5;
    s.vector = 0.3;
    s.vector_scale = 10.0;
    s.vector_frames = 5;
    s.mels = 0.2;
    s.ema = 0.9;
    s.threads = 2;
    s.block_frames[0] = 8;
    s.block_frames[1] = 0;
    s.n_blocks = 2;
    s.left_frames[0] = 10;
    s.left_frames[1] = 0;
    s.n_lefts = 2;
    return s;
}

static struct trainer *open_trainer(const struct trainer_settings *s)
{
    struct trainer *t = calloc(1, sizeof(*t));
    struct error err;

    assert_non_null(t);
    if (trainer_open(t, tiny_config, NULL, source(), s, NULL, &err))
        check_fail("%s", err.text);
    return t;
}

static void close_trainer(struct trainer *t)
{
    trainer_close(t);
    free(t);
}

static struct step_report steps(struct trainer *t, int n)
{
    struct step_report report = {0};
    struct error err;

    for (int i = 0; i < n; i++) {
        if (trainer_step(t, &report, &err))
            check_fail("%s", err.text);
    }
    return report;
}

static void assert_same_bits(const struct trainer *a, const struct trainer *b)
{
    for (int i = 0; i < a->n_params; i++) {
        const struct param *p = &a->list[i];
        size_t bytes = param_count(p) * sizeof(float);
        if (memcmp(param_values(&a->model.params, p), param_values(&b->model.params, p), bytes) ||
            memcmp(param_values(&a->ema, p), param_values(&b->ema, p), bytes))
            check_fail("%s differs", p->name);
    }
    if (memcmp(a->heads.values, b->heads.values, a->heads.n_floats * sizeof(float)))
        check_fail("what losses need differs");
}

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
        int frozen = !strncmp(p->name, "encoder.", 8) || strstr(p->name, "mha");
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
    double kept = t->model.params.classifier.weight[0], first = steps(t, 1).mels;
    steps(t, 98);
    double last = steps(t, 1).mels;
    print_message("log-mels: %.3f, then %.3f\n", first, last);
    assert_true(last < 0.5 * first);
    assert_true(fabs(t->model.params.classifier.weight[0] - kept) < 0.02 * fabs(kept)); // decay
    clip_release(&clip);
    free(scratch);
    close_trainer(t);
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

static int poisoned_get(struct clip *clip, const struct clip_source *s, uint64_t index,
                        struct error *err)
{
    int status = tiny_get(clip, s, index, err);

    if (index == 27)
        clip->samples[1234] = NAN;
    return status;
}

static struct run_settings run_settings_of(const char *folder, const char *output)
{
    return (struct run_settings){.folder = folder, .output = output, .provenance = "test",
                                 .dev = source(), .dev_first = 50000, .dev_clips = 4,
                                 .dev_blocks = {8, 0}, .n_dev_blocks = 2, .validate_every = 2,
                                 .save_every = 3, .average = 2};
}

/* A clip that is no sound stops the run in the step that meets it, with its name,
 * after the step before was saved; mended, the run ends as if nothing had been. */
static void test_poisoned(void **state)
{
    char folder[] = "/tmp/antiphon-poison-XXXXXX", run_folder[64], output[64], last[96];
    struct trainer_settings s = settings();
    struct clip_source poisoned = tiny_source();
    struct trainer *t = calloc(1, sizeof(*t));
    struct error err;

    s.mels = 0.0; // whose standardisation has heard that clip
    struct trainer *u = open_trainer(&s);
    assert_non_null(mkdtemp(folder));
    snprintf(run_folder, sizeof(run_folder), "%s/run", folder);
    snprintf(output, sizeof(output), "%s/x.safetensors", folder);
    snprintf(last, sizeof(last), "%s/last.safetensors", run_folder);
    poisoned.get = poisoned_get;
    s.steps = 7;
    struct run_settings run = run_settings_of(run_folder, output);
    run.save_every = 100;
    assert_int_equal(trainer_open(t, tiny_config, NULL, &poisoned, &s, NULL, &err), 0);
    assert_int_equal(run_training(t, &run, &err), -1);
    if (!strstr(err.text, "step 5") || !strstr(err.text, "tiny clip 27: sample 1234 is"))
        check_fail("%s", err.text);
    close_trainer(t);
    steps(u, 4);
    t = open_trainer(&s);
    assert_int_equal(trainer_resume(t, last, &err), 0);
    assert_int_equal(t->step, 4);
    assert_same_bits(t, u);
    close_trainer(t);
    close_trainer(u);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
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

static void test_run(void **state)
{
    char folder[] = "/tmp/antiphon-run-XXXXXX", one[64], two[64], output[64], output2[64];
    struct trainer_settings s = settings();
    struct error err;

    assert_non_null(mkdtemp(folder));
    snprintf(one, sizeof(one), "%s/one", folder);
    snprintf(two, sizeof(two), "%s/two", folder);
    snprintf(output, sizeof(output), "%s/one.safetensors", folder);
    snprintf(output2, sizeof(output2), "%s/two.safetensors", folder);
    s.steps = 8;
    struct trainer *t = open_trainer(&s);
    struct run_settings run = run_settings_of(one, output);
    assert_int_equal(run_training(t, &run, &err), RUN_DONE);
    close_trainer(t);

    /* Stopped by time after the first step, again and again. */
    run = run_settings_of(two, output2);
    run.max_seconds = 1e-9;
    int ends = 0;
    for (int i = 0; i < 12 && !ends; i++) {
        t = open_trainer(&s);
        volatile sig_atomic_t interrupted = 0;
        run.max_seconds = i % 3 == 1 ? 0.0 : 0.02;
        run.interrupted = &interrupted;
        int end = run_training(t, &run, &err);
        if (end < 0)
            check_fail("%s", err.text);
        ends = end == RUN_DONE;
        close_trainer(t);
    }
    assert_true(ends);
    char *a = check_read(output), *b = check_read(output2);
    struct stat sa, sb;
    assert_int_equal(stat(output, &sa) | stat(output2, &sb), 0);
    assert_int_equal(sa.st_size, sb.st_size);
    assert_memory_equal(a, b, (size_t)sa.st_size);
    free(a);
    free(b);
    char command[128];
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_twice), cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_recompute),       cmocka_unit_test(test_shared),
        cmocka_unit_test(test_learns),          cmocka_unit_test(test_voices),
        cmocka_unit_test(test_mels),
        cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_bad_steps),       cmocka_unit_test(test_poisoned),
        cmocka_unit_test(test_failed_accumulation),
        cmocka_unit_test(test_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
