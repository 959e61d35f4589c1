// SPDX-License-Identifier: MIT
/* test_gates.c - hard-concrete gates, expected sizes, and three steps of pruning
 * under distillation, against upstream's. */
#include "check.h"
#include "gated.h"

#include "model/model.h"
#include "prune/distill_loss.h"
#include "prune/distiller.h"
#include "prune/expected_size.h"
#include "prune/gates.h"
#include "prune/optimizer.h"
#include "prune/walk.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A gate on its own, of n inner units. */
static void check_vector(const struct checkpoint *golden, const char *name, int n)
{
    struct model_config c = {.wavlm = {.n_layers = 1, .embed = 8}};
    struct gates g;
    struct error err;
    char in[40], out[40];

    c.wavlm.layer[0] = (struct layer_shape){.has_feed_forward = 1, .ff = n, .total_heads = 1};
    assert_int_equal(gates_open(&g, &c, 1u << GATE_INTERM, 1, &err), 0);
    struct gate *gate = &g.list[0];
    snprintf(in, sizeof(in), "%s.in.", name);
    snprintf(out, sizeof(out), "%s.out64.", name);
    size_t bytes = (size_t)n * sizeof(float);
    memcpy(gate->log_alpha, floats(golden, in, "log_alpha"), bytes);
    memcpy(gate->u, floats(golden, in, "u"), bytes);
    gates_sample(&g, 0, -1);
    const float *want = floats(golden, out, "mask_train");
    for (int i = 0; i < n; i++)
        assert_true(fabsf(gate->value[i] - want[i]) < 2e-6f);

    struct masks slopes = {0};
    slopes.act[0] = (float *)(uintptr_t)floats(golden, in, "w");
    gates_backward(&g, &slopes);
    want = floats(golden, out, "grad_train");
    for (int i = 0; i < n; i++)
        assert_true(fabsf(gate->slope[i] - want[i]) < 1e-5f * (1.0f + fabsf(want[i])));
    assert_true(fabs(gate_open_count(gate) - *floats(golden, out, "l0")) < 1e-5 * n);
    want = floats(golden, out, "grad_l0");
    for (int i = 0; i < n; i++)
        assert_true(fabs(gate_open_slope(gate, i) - want[i]) < 1e-6);
    gates_settle(&g);
    want = floats(golden, out, "mask_eval");
    for (int i = 0; i < n; i++)
        assert_true(fabsf(gate->value[i] - want[i]) < 2e-6f);
    gates_close(&g);
}

static void test_hard_concrete(void **state)
{
    struct checkpoint golden;
    int checked = 0;

    check_open(&golden, check_path("golden/hard_concrete/hard_concrete.safetensors"));
    for (int i = 0; i < golden.n_tensors; i++) {
        const struct tensor *t = &golden.tensors[i];
        char name[40];
        const char *end = strstr(t->name, ".in.log_alpha");
        if (!end)
            continue;
        snprintf(name, sizeof(name), "%.*s", (int)(end - t->name), t->name);
        check_vector(&golden, name, (int)t->size[0]);
        checked++;
    }
    assert_int_equal(checked, 8);
    checkpoint_close(&golden);
}

static void compare_expected(const char *name)
{
    struct checkpoint golden, student;
    struct model_config c;
    struct gates g;
    struct error err;
    char *config = read_config(name);

    check_open(&golden, check_path("golden/%s/expected_size.safetensors", name));
    check_open(&student, check_path("golden/%s/student.safetensors", name));
    if (config_parse(&c, config, &err) || gates_open(&g, &c, 7, 1, &err))
        check_fail("%s", err.text);
    take_log_alpha(&g, &student);
    for (int target = TARGET_PARAMS; target <= TARGET_MACS; target++) {
        const char *what = target == TARGET_PARAMS ? "num_params" : "num_macs";
        char key[40];
        gates_clear_slopes(&g);
        double got = expected_size(&g, (enum size_target)target, NULL, 1.0).size;
        double want = *floats(&golden, "out.", what);
        if (fabs(got - want) > 2e-7 * want)
            check_fail("%s %s: %.3f, upstream %.3f", name, what, got, want);
        snprintf(key, sizeof(key), "grad_%s.", what);
        for (int k = 0; k < g.n; k++) {
            char tensor[200];
            snprintf(tensor, sizeof(tensor), "%s.log_alpha", g.list[k].name);
            check_close(tensor, g.list[k].slope, floats(&golden, key, tensor),
                        (size_t)g.list[k].n, 5e-6);
        }
    }
    gates_close(&g);
    checkpoint_close(&golden);
    checkpoint_close(&student);
    free(config);
}

static void test_expected_size(void **state)
{
    compare_expected("train_step_base_tiny");
    compare_expected("train_step_large_tiny");
}

/* However far from its target a run ended, the cut meets it, within half of the largest unit;
 * what is open is counted on the masks themselves. */
static void check_target(const char *name, enum size_target target, double sparsity, double off)
{
    struct distiller d = {.settings = {.target = target, .sparsity = sparsity}};
    struct checkpoint student;
    struct model_config c;
    struct error err;
    char *config = read_config(name);

    check_open(&student, check_path("golden/%s/student.safetensors", name));
    if (config_parse(&c, config, &err) || gates_open(&d.gates, &c, 7, 1, &err))
        check_fail("%s", err.text);
    take_log_alpha(&d.gates, &student);
    for (int k = 0; k < d.gates.n; k++) {
        for (int i = 0; i < d.gates.list[k].n; i++)
            d.gates.list[k].log_alpha[i] += (float)(off + 0.3 * sin(7.0 * k + i));
    }
    d.unpruned = expected_size(&d.gates, target, NULL, 0.0).unpruned;
    double want = (1.0 - sparsity) * d.unpruned, largest = 0.0;
    distiller_meet_target(&d);
    double left = settled_size(&d.gates, target, NULL);
    for (int k = 0; k < d.gates.n; k++) {
        for (int i = 0; i < d.gates.list[k].n; i++) {
            float *value = &d.gates.list[k].value[i], was = *value;
            *value = was != 0.0f ? 0.0f : 1.0f;
            largest = fmax(largest, fabs(settled_size(&d.gates, target, NULL) - left));
            *value = was;
        }
    }
    if (fabs(left - want) > largest / 2.0)
        check_fail("%s, %s: %.0f left instead of %.0f; the largest unit is %.0f", name,
                   target == TARGET_PARAMS ? "parameters" : "MACs", left, want, largest);
    gates_close(&d.gates);
    checkpoint_close(&student);
    free(config);
}

static void test_meet_target(void **state)
{
    static const char *const names[] = {"train_step_base_tiny", "train_step_large_tiny"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 5; k++) {
            double sparsity = 0.3 + 0.1 * k;
            check_target(names[i], TARGET_PARAMS, sparsity, 2.0 - k);
            check_target(names[i], TARGET_MACS, sparsity, k - 2.0);
        }
    }
}

/* Teacher and student, with what a step needs. */
struct lesson {
    const char *name; // of the golden
    cJSON *meta;      // its meta.json
    struct checkpoint teacher_file, student_file, inputs;
    struct model teacher, student;
    struct model_state teacher_state, state;
    struct model_acts teacher_acts, acts;
    struct gradients gradients;
    struct gates gates;
    struct model_params m, v;
    struct arena moments;
    struct lagrangian lagrangian;
    double history[8];
    int n_history;
};

static void student_weights(struct lesson *l, const char *config, const struct reach *reach)
{
    struct error err;

    if (model_open_config(&l->student, config, reach, &err))
        check_fail("%s", err.text);
    for (int i = 0; i < l->student.n_params; i++) {
        const struct param *p = &l->student.list[i];
        const struct tensor *t = checkpoint_find(&l->student_file, p->name);
        if (!t)
            check_fail("no %s", p->name);
        memcpy(*param_slot(&l->student.params, p), t->data, param_count(p) * sizeof(float));
    }
    for (int pass = 0; pass < 2; pass++) {
        params_place(&l->m, l->student.list, l->student.n_params, &l->moments);
        params_place(&l->v, l->student.list, l->student.n_params, &l->moments);
        if (pass == 0)
            assert_int_equal(arena_commit(&l->moments, &err), 0);
    }
}

static void lesson_open(struct lesson *l, const char *name, const char *teacher_name,
                        const struct reach *reach)
{
    struct error err;
    char *config = read_config(name), *teacher;
    char *plain = check_read(check_path("golden/%s/model.config.json", teacher_name));
    char *meta = check_read(check_path("golden/%s/meta.json", name));

    l->name = name;
    l->meta = cJSON_Parse(meta);
    free(meta);
    check_open(&l->inputs, check_path("golden/%s/step_inputs.safetensors", name));
    check_open(&l->student_file, check_path("golden/%s/student.safetensors", name));
    check_weights(&l->teacher_file, teacher_name);
    teacher = malloc(strlen(plain) + 32);
    sprintf(teacher, "{\"wavlm\":%s}", plain);
    l->teacher_file.config = teacher;
    struct reach look = *reach;
    look.keep = KEEP_NOTHING;
    student_weights(l, config, reach);
    if (model_open(&l->teacher, &l->teacher_file, &look, &err) ||
        model_state_open(&l->teacher_state, &l->teacher, &err) ||
        model_acts_open(&l->teacher_acts, &l->teacher, &err) ||
        model_state_open(&l->state, &l->student, &err) ||
        model_acts_open(&l->acts, &l->student, &err) ||
        gradients_open(&l->gradients, &l->student, 1, 0, &err) ||
        gates_open(&l->gates, &l->student.config, 7, 1, &err))
        check_fail("%s", err.text);
    take_log_alpha(&l->gates, &l->student_file);
    l->gradients.extractor_scale = 0.1f;
    l->lagrangian = (struct lagrangian){.l1 = 0.7, .l2 = -1.3};
    l->teacher_file.config = NULL;
    free(teacher);
    free(plain);
    free(config);
}

static void lesson_close(struct lesson *l)
{
    gates_close(&l->gates);
    gradients_close(&l->gradients);
    model_acts_close(&l->acts);
    model_state_close(&l->state);
    model_acts_close(&l->teacher_acts);
    model_state_close(&l->teacher_state);
    model_close(&l->teacher);
    model_close(&l->student);
    arena_release(&l->moments);
    checkpoint_close(&l->teacher_file);
    checkpoint_close(&l->student_file);
    checkpoint_close(&l->inputs);
    cJSON_Delete(l->meta);
}

/* meta.json's scalars_f64["stepN.what"], of upstream's run in double precision. */
static double wanted(const struct lesson *l, int step, const char *what)
{
    char key[60];

    snprintf(key, sizeof(key), "step%d.%s", step, what);
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(l->meta, "scalars_f64");
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(all, key);
    if (!cJSON_IsNumber(item))
        check_fail("%s: no %s in meta.json", l->name, key);
    return item->valuedouble;
}

static void check_scalar(const struct lesson *l, int step, const char *what, double got,
                         double tolerance)
{
    double want = wanted(l, step, what);

    if (!(fabs(got - want) <= tolerance * fmax(1.0, fabs(want))))
        check_fail("%s step %d: %s is %.9g, upstream's %.9g", l->name, step, what, got, want);
}

static int learns(const struct param *p)
{
    return p->kind == PARAM_WEIGHT;
}

static double norm_of(struct lesson *l)
{
    double squares = 0.0;

    for (int i = 0; i < l->student.n_params; i++) {
        const struct param *p = &l->student.list[i];
        if (learns(p))
            squares += squares_sum(param_values(&l->gradients.params, p), param_count(p));
    }
    for (int k = 0; k < l->gates.n; k++)
        squares += squares_sum(l->gates.list[k].slope, (size_t)l->gates.list[k].n);
    return sqrt(squares);
}

static void apply(struct lesson *l, double scale, long t)
{
    struct adamw a = adamw_defaults();

    a.decay = 0.0;
    for (int i = 0; i < l->student.n_params; i++) {
        const struct param *p = &l->student.list[i];
        if (learns(p))
            adamw_step(*param_slot(&l->student.params, p), *param_slot(&l->m, p),
                       *param_slot(&l->v, p), param_values(&l->gradients.params, p),
                       param_count(p), &a, 2e-4, scale, t);
    }
    for (int k = 0; k < l->gates.n; k++) {
        struct gate *g = &l->gates.list[k];
        adamw_step(g->log_alpha, g->m, g->v, g->slope, (size_t)g->n, &a, 0.02, scale, t);
    }
}

static void compare_params(struct lesson *l, const char *file, int gradients)
{
    struct checkpoint golden;

    check_open(&golden, check_path("golden/%s/%s.safetensors", l->name, file));
    for (int i = 0; i < l->student.n_params; i++) {
        const struct param *p = &l->student.list[i];
        const struct tensor *want = checkpoint_find(&golden, p->name);
        char what[220];
        if (!want || strstr(p->name, "k_proj.bias"))
            continue; // NOTES 21: noise that AdamW makes steps of
        snprintf(what, sizeof(what), "%s %s", file, p->name);
        check_close(what, param_values(gradients ? &l->gradients.params : &l->student.params, p),
                    want->data, param_count(p), gradients ? 5e-5 : 2e-5);
    }
    for (int k = 0; k < l->gates.n; k++) {
        const struct gate *g = &l->gates.list[k];
        check_close(g->name, gradients ? g->slope : g->log_alpha,
                    floats(&golden, g->name, ".log_alpha"), (size_t)g->n,
                    gradients ? 5e-5 : 2e-5);
    }
    if (!gradients) {
        assert_true(fabs(l->lagrangian.l1 - *floats(&golden, "lambda1", "")) < 2e-5);
        assert_true(fabs(l->lagrangian.l2 - *floats(&golden, "lambda2", "")) < 2e-5);
    }
    checkpoint_close(&golden);
}

/* Loss of distillation at layers 0, 2, 4; slopes by them. */
static double compare_layers(struct lesson *l, int step, float *slopes, const float **rep,
                             int rows, int C)
{
    struct distill_weights weights = {.l1 = 1.0, .cos = 1.0};
    struct distill_sums sums = {0};

    for (int k = 0; k < 3; k++) {
        float *d = slopes + (size_t)(k * rows * C);
        distill_loss(&weights, &sums, d, l->acts.encoder.rep[2 * k],
                     l->teacher_acts.encoder.rep[2 * k], rows, C, 3.0 * rows);
        rep[2 * k] = d;
    }
    check_scalar(l, step, "loss_l1", sums.l1 / (3.0 * rows * C), 3e-6);
    check_scalar(l, step, "loss_cos", sums.cos / (3.0 * rows), 3e-6);
    return distill_total(&weights, &sums, 3.0 * rows, C);
}

static void draw_gates(struct lesson *l, int step)
{
    char key[40];

    snprintf(key, sizeof(key), "in.u.%d.", step);
    for (int k = 0; k < l->gates.n; k++)
        memcpy(l->gates.list[k].u, floats(&l->inputs, key, l->gates.list[k].name),
               (size_t)l->gates.list[k].n * sizeof(float));
    gates_sample(&l->gates, 0, -1);
}

/* Forward and back: the slopes by everything, before clipping. Returns the sparsity. */
static double one_walk(struct lesson *l, int step, double target)
{
    char key[40];
    const float *rep[8] = {0};
    struct block blocks[2] = {{.own = 49, .own_samples = 16000},
                              {.own = 49, .own_samples = 16000, .row = 49}};
    struct training training = {.masks = &l->gates.masks};
    int C = l->student.config.wavlm.embed, rows = 98;
    float *slopes = calloc((size_t)(3 * rows * C), sizeof(float));

    snprintf(key, sizeof(key), "in.wave.%d", step);
    const float *wave = floats(&l->inputs, key, "");
    model_derive(&l->student);
    model_forward(&l->teacher_acts, &l->teacher_state, &l->teacher, wave, blocks, 2);
    l->acts.training = &training;
    model_forward(&l->acts, &l->state, &l->student, wave, blocks, 2);
    double distill = compare_layers(l, step, slopes, rep, rows, C);
    struct loss_slopes by = {.rep = rep};
    gradients_clear(&l->gradients);
    gates_clear_slopes(&l->gates);
    walk_backward(&l->gradients, &l->acts, &l->state, &l->student, &by, 0, blocks, 2);
    gradients_fold(&l->gradients, &l->student);
    gates_backward(&l->gates, &l->gradients.masks);
    double original = encoder_parameters(&l->student.config);
    double sparsity = 1.0 - expected_size(&l->gates, TARGET_PARAMS, NULL, 0.0).size / original;
    double reg = lagrangian_loss(&l->lagrangian, sparsity, target);
    expected_size(&l->gates, TARGET_PARAMS, NULL,
                  -lagrangian_slope(&l->lagrangian, sparsity, target) / original);
    check_scalar(l, step, "loss_distill", distill, 3e-6);
    check_scalar(l, step, "loss_reg", reg, 1e-6);
    check_scalar(l, step, "loss", distill + reg, 3e-6);
    check_scalar(l, step, "expected_sparsity", sparsity, 1e-6);
    free(slopes);
    return sparsity;
}

static void one_step(struct lesson *l, int step)
{
    const cJSON *targets = cJSON_GetObjectItemCaseSensitive(l->meta, "cur_target_sparsity");
    double target = cJSON_GetArrayItem(targets, step)->valuedouble, scratch[8];

    draw_gates(l, step);
    double sparsity = one_walk(l, step, target), norm = norm_of(l);
    check_scalar(l, step, "grad_norm", norm, 2e-5);
    if (step == 0)
        compare_params(l, "step1_grads", 1);
    l->history[l->n_history++] = norm;
    double clip = norm_quantile(l->history, l->n_history, 0.9, scratch);
    check_scalar(l, step, "clip_value", clip, 2e-5);
    apply(l, fmin(1.0, clip / (norm + 1e-6)), step + 1);
    lagrangian_step(&l->lagrangian, sparsity, target, 0.02, step + 1);
    check_scalar(l, step, "lambda1", l->lagrangian.l1, 1e-6);
    check_scalar(l, step, "lambda2", l->lagrangian.l2, 1e-6);
}

static void train(const char *name, const char *teacher, int n_steps)
{
    struct lesson *l = calloc(1, sizeof(*l));
    struct reach reach = whole(16000, 2);

    lesson_open(l, name, teacher, &reach);
    const cJSON *original = cJSON_GetObjectItemCaseSensitive(l->meta, "original_num_params");
    assert_true(encoder_parameters(&l->student.config) == original->valuedouble);
    one_step(l, 0);
    compare_params(l, "params_after_step1", 0);
    for (int step = 1; step < n_steps; step++)
        one_step(l, step);
    if (n_steps == 3)
        compare_params(l, "params_after_step3", 0);
    lesson_close(l);
    free(l);
}

static void test_train_step(void **state)
{
    train("train_step_base_tiny", "wavlm_group_norm_tiny", 3);
    train("train_step_large_tiny", "wavlm_layer_norm_tiny", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hard_concrete),
        cmocka_unit_test(test_expected_size),
        cmocka_unit_test(test_meet_target),
        cmocka_unit_test(test_train_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
