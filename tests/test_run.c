// SPDX-License-Identifier: MIT
/* test_run.c - runs of a tiny model from the first step to the finished model:
 * interrupted, poisoned, and without any progress. */
#include "check.h"

#include "prune/run.h"
#include "tiny_trainer.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* Nothing is learned, so no validation is better than the first: the plateau's
 * rate is halved at every second one, patience ends the run, and a model is made. */
static void test_no_better(void **state)
{
    char folder[] = "/tmp/antiphon-plateau-XXXXXX", run_folder[64], output[64], command[128];
    struct trainer_settings s = settings();
    struct error err;

    s.lr = 0.0;
    s.frozen_batch_norm = 1;
    s.schedule = SCHEDULE_PLATEAU;
    s.steps = 10;
    assert_non_null(mkdtemp(folder));
    snprintf(run_folder, sizeof(run_folder), "%s/run", folder);
    snprintf(output, sizeof(output), "%s/x.safetensors", folder);
    struct run_settings run = run_settings_of(run_folder, output);
    struct trainer *t = open_trainer(&s);
    assert_int_equal(run_training(t, &run, &err), RUN_DONE);
    assert_int_equal(t->step, 10);
    assert_true(t->plateau_factor == 0.25);
    close_trainer(t);
    t = open_trainer(&s); // ended: begun again it is where it was
    assert_int_equal(run_training(t, &run, &err), RUN_DONE);
    assert_true(t->step == 10 && t->plateau_factor == 0.25);
    close_trainer(t);
    snprintf(command, sizeof(command), "rm -r %s/*", folder);
    assert_int_equal(system(command), 0);
    run.patience = 2;
    t = open_trainer(&s);
    assert_int_equal(run_training(t, &run, &err), RUN_DONE);
    assert_int_equal(t->step, 6);
    close_trainer(t);
    free(check_read(output));
    snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
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
        cmocka_unit_test(test_run), cmocka_unit_test(test_poisoned),
        cmocka_unit_test(test_no_better),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
