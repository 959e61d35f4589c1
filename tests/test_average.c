// SPDX-License-Identifier: MIT
/* test_average.c - which models of a run make its result, and their mean, against
 * upstream's. */
#include "check.h"

#include "prune/run_log.h"
#include "prune/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>
#include <unistd.h>

/* A trainer of nothing but the tensors that the golden holds. */
static void open_shape(struct trainer *t, const struct checkpoint *golden)
{
    struct reach reach = reach_defaults();
    struct error err;
    char *wavlm = check_read(check_path("golden/diarizen_tiny/wavlm.config.json"));
    char *args = check_read(check_path("golden/diarizen_tiny/model.args.json"));
    char *config = malloc(strlen(wavlm) + strlen(args) + 40);

    sprintf(config, "{\"wavlm\":%s,\"readout\":%s}", wavlm, args);
    *t = (struct trainer){.config = config};
    if (model_open_config(&t->model, config, &reach, &err))
        check_fail("%s", err.text);
    t->list = t->model.list;
    for (int i = 0; i < t->model.n_params; i++) {
        struct param p = t->list[i];
        if (p.kind != PARAM_COUNTER && checkpoint_find(golden, p.name))
            t->list[t->n_params++] = p;
    }
    free(wavlm);
    free(args);
}

static void test_mean(void **state)
{
    char paths[3][600], output[] = "/tmp/test_average_XXXXXX";
    const char *list[3] = {paths[0], paths[1], paths[2]};
    struct checkpoint golden, mean;
    struct trainer t;
    struct error err;

    for (int i = 0; i < 3; i++)
        snprintf(paths[i], sizeof(paths[i]), "%s",
                 check_path("golden/average/epoch_%04d.safetensors", i + 1));
    check_open(&golden, check_path("golden/average/averaged.safetensors"));
    open_shape(&t, &golden);
    assert_int_equal(t.n_params, golden.n_tensors - 1); // but for the counter
    close(mkstemp(output));
    if (trainer_average(&t, list, 3, output, "a test", &err))
        check_fail("%s", err.text);
    check_open(&mean, output);
    for (int i = 0; i < t.n_params; i++) {
        const struct tensor *want = checkpoint_find(&golden, t.list[i].name);
        const struct tensor *got = checkpoint_find(&mean, t.list[i].name);
        assert_non_null(got);
        assert_memory_equal(got->data, want->data, param_count(&t.list[i]) * sizeof(float));
    }
    list[1] = check_path("golden/hard_concrete/hard_concrete.safetensors");
    assert_int_equal(trainer_average(&t, list, 3, output, "a test", &err), -1);
    assert_non_null(strstr(err.text, "not a run of this model"));
    checkpoint_close(&mean);
    checkpoint_close(&golden);
    unlink(output);
    free(t.config);
    model_close(&t.model);
}

/* The first number of upstream's log lines: the validation's loss. */
static int read_losses(double *losses, int most)
{
    char *text = check_read(check_path("golden/average/val_metric_summary_prune.lst")), *at = text;
    int n = 0;

    while (n < most && (at = strstr(at, " on epoch ")) != NULL) {
        at = strchr(at, ':') + 1;
        losses[n++] = strtod(at, NULL);
    }
    free(text);
    return n;
}

/* Validation k is of step 10 (k + 1). */
static void check_best(struct run_log *l, const long *want, int n_want, int n)
{
    long got[RUN_MAX_BEST];

    assert_int_equal(run_log_best(l, got, n), n_want);
    for (int i = 0; i < n_want; i++)
        assert_int_equal(got[i], 10 * want[i]);
}

static void test_after_the_peak(void **state)
{
    double losses[16];
    int n = read_losses(losses, 16);
    struct run_log l = {.key = "loss", .from_peak = 1};
    struct error err;

    assert_int_equal(n, 7);
    for (int i = 0; i < n; i++)
        assert_int_equal(run_log_note(&l, 10 * (i + 1), losses[i], &err), 0);
    check_best(&l, (long[]){7, 5, 4, 6, 3}, 5, 5); // the peak is epoch 3
    check_best(&l, (long[]){7, 5}, 2, 2);
    l.first = 50;
    check_best(&l, (long[]){7, 6}, 2, 5); // of those from 50 on the peak is epoch 6
    l.first = 0;
    l.from_peak = 0;
    check_best(&l, (long[]){1, 7, 5}, 3, 3);
    l.n = 3; // as it was when epoch 3 had just come
    l.from_peak = 1;
    check_best(&l, (long[]){3}, 1, 5);
    run_log_close(&l);
}

/* What is read from a log ranks as it did when it was written, ties too. */
static void test_read_again(void **state)
{
    static const double scores[] = {200.0 / 3.0, 200.0 / 3.0, 100.0 / 3.0, 100.0 / 3.0, 400.0 / 7.0};
    struct run_log l = {.key = "der"}, again = {.key = "der"};
    char path[] = "/tmp/antiphon_test_XXXXXX";
    struct error err;
    long steps[RUN_MAX_BEST], read[RUN_MAX_BEST];

    (void)state;
    assert_true(close(mkstemp(path)) == 0);
    assert_int_equal(run_log_lock(&l, path, &err), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(run_log_mean(&l, i + 1, scores[i], &err), 0);
    assert_int_equal(run_log_flush(&l, &err), 0);
    int n = run_log_best(&l, steps, 5);
    run_log_close(&l);
    assert_int_equal(run_log_read(&again, path, 5, &err), 0);
    for (int i = 0; i < 5; i++)
        assert_true(again.list[i].score == scores[i]);
    assert_int_equal(run_log_best(&again, read, 5), n);
    assert_memory_equal(steps, read, (size_t)n * sizeof(*steps));
    run_log_close(&again);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mean),
        cmocka_unit_test(test_after_the_peak),
        cmocka_unit_test(test_read_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
