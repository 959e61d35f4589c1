// SPDX-License-Identifier: MIT
/* test_model_file.c - from tensors to a model: what a file is told that opens but
 * is no model, and the small types. */
#include "check.h"

#include "model/builtin.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_half_precision(void **state)
{
    (void)state;
    static const uint16_t half[] = {0x3c00, 0xc000, 0x0001, 0x7c00, 0x3555, 0x8000, 0x03ff};
    static const float want[] = {1.0f, -2.0f, 0x1p-24f, INFINITY, 0x1.554p-2f, -0.0f,
                                 1023 * 0x1p-24f};
    static const uint16_t bfloat[] = {0x3f80, 0xc000, 0x4049};
    static const float want_bfloat[] = {1.0f, -2.0f, 0x1.92p1f};
    float got[7];

    tensor_to_floats(got, &(struct tensor){.dtype = DTYPE_F16, .n_axes = 1, .size = {7},
                                           .data = half});
    assert_memory_equal(got, want, sizeof(want));
    tensor_to_floats(got, &(struct tensor){.dtype = DTYPE_BF16, .n_axes = 1, .size = {3},
                                           .data = bfloat});
    assert_memory_equal(got, want_bfloat, sizeof(want_bfloat));
}

/* A model with one wrong thing, and what is said of it. */
static void refuse_model(struct checkpoint *c, const char *words)
{
    struct reach reach = reach_defaults();
    struct error err = {""};
    struct model m;

    if (model_open(&m, c, &reach, &err) == 0 || !strstr(err.text, words))
        check_fail("\"%s\" instead of \"%s\"", err.text, words);
}

/* Finite, and still none: all directions of the weight norm are of length 0. */
static void test_bad_derived(struct checkpoint *c)
{
    const char *name = "encoder.transformer.pos_conv_embed.conv.";

    for (int i = 0; i < c->n_tensors; i++) {
        struct tensor *t = &c->tensors[i], saved = *t;
        if (strncmp(t->name, name, strlen(name)) || t->n_axes != 3 || t->size[0] == 1)
            continue;
        float *zeros = calloc(tensor_count(t), sizeof(float));
        assert_non_null(zeros);
        t->data = zeros;
        refuse_model(c, "weight norm");
        *t = saved;
        free(zeros);
        return;
    }
    check_fail("no direction of a weight norm");
}

static void test_bad_models(void **state)
{
    (void)state;
    struct checkpoint c;
    static float poisoned[13 * 10];

    check_open(&c, check_path("golden/wavlm_pruned_tiny/model.pt"));
    struct tensor *t = (struct tensor *)checkpoint_find(
        &c, "feature_extractor.conv_layers.0.conv.weight");
    struct tensor saved = *t;
    t->size[0] = 12;
    refuse_model(&c, "shape [12,1,10], but its config asks for [13,1,10]");
    *t = saved;
    t->name = "feature_extractor.conv_layers.0.conv.zeight"; // still in order
    refuse_model(&c, "conv_layers.0.conv.weight is missing");
    *t = saved;
    memcpy(poisoned, t->data, sizeof(poisoned));
    poisoned[77] = NAN;
    t->data = poisoned;
    refuse_model(&c, "element 77 is NaN");
    *t = saved;
    poisoned[77] = -INFINITY;
    t->data = poisoned;
    refuse_model(&c, "element 77 is infinite");
    static double huge[13 * 10];
    huge[3] = 1e300; // finite, but no float
    *t = saved;
    t->dtype = DTYPE_F64;
    t->data = huge;
    refuse_model(&c, "element 3 is infinite");
    *t = saved;
    test_bad_derived(&c);
    const char *config = c.config;
    c.config = NULL;
    refuse_model(&c, "no config");
    c.config = "{\"wavlm\":{\"extractor_mode\":\"batch_norm\"}}";
    refuse_model(&c, "batch_norm");
    c.config = "{\"wavlm\":{}}";
    refuse_model(&c, "extractor_mode");
    c.config = "[";
    refuse_model(&c, "JSON");
    c.config = config;
    checkpoint_close(&c);
}

/* Replaces the number behind a key, of one digit by one of one digit. */
static void set_digit(char *json, const char *key, char digit)
{
    char *at = strstr(json, key);

    assert_non_null(at);
    at[strlen(key)] = digit;
}

/* Eight speakers, four at once: written, opened, computed; rows are distributions. */
static void test_many_speakers(void **state)
{
    (void)state;
    char path[] = "/tmp/antiphon_test_XXXXXX";
    int fd = mkstemp(path), n;
    struct error err;
    char *json = config_arch_json("nano", &err);
    struct model_config config;
    struct model_params params = {0};
    struct arena arena = {0};
    struct reach reach = reach_offline(8000);
    struct checkpoint c;
    struct model m;
    struct model_state s;
    struct model_acts a;
    struct block b;
    static float x[8000];
    struct random rng;

    close(fd);
    set_digit(json, "\"max_speakers_per_chunk\":", '8');
    set_digit(json, "\"max_speakers_per_frame\":", '4');
    assert_int_equal(config_parse(&config, json, &err), 0);
    struct param *list = params_list(&config, &n);
    params_place(&params, list, n, &arena);
    assert_int_equal(arena_commit(&arena, &err), 0);
    params_place(&params, list, n, &arena);
    params_randomize(&params, list, n, 5);
    struct tensor *tensors = calloc((size_t)n, sizeof(*tensors));
    for (int i = 0; i < n; i++) {
        tensors[i] = (struct tensor){.name = list[i].name, .n_axes = list[i].n_axes,
                                     .data = param_values(&params, &list[i])};
        memcpy(tensors[i].size, list[i].size, sizeof(list[i].size));
    }
    assert_int_equal(checkpoint_write(path, tensors, n, json, "a test", &err), 0);

    check_open(&c, path);
    if (model_open(&m, &c, &reach, &err) || model_state_open(&s, &m, &err) ||
        model_acts_open(&a, &m, &err))
        check_fail("%s", err.text);
    random_init(&rng, 6);
    check_fill(x, 8000, &rng);
    assert_int_equal(block_next(&b, &s.at, 8000, 1, reach.block_frames, 0), 1);
    model_forward(&a, &s, &m, x, &b, 1);
    assert_int_equal(m.config.readout.n_classes, 163);
    for (int t = 0; t < b.own; t++) {
        double sum = 0.0;
        for (int k = 0; k < 163; k++)
            sum += exp((double)a.readout.scores[t * 163 + k]);
        assert_true(fabs(sum - 1.0) < 1e-5);
    }
    model_acts_close(&a);
    model_state_close(&s);
    model_close(&m);
    checkpoint_close(&c);
    free(tensors);
    free(list);
    free(json);
    arena_release(&arena);
    unlink(path);
}

/* A variance below zero, in a model with a readout. */
static void test_bad_batch_norm(void **state)
{
    (void)state;
    struct checkpoint c;
    struct error err;
    int done = 0;

    if (checkpoint_open_memory(&c, builtin_model, builtin_model_bytes(), "built-in", &err))
        check_fail("%s", err.text);
    for (int i = 0; i < c.n_tensors && !done; i++) {
        struct tensor *t = &c.tensors[i];
        if (!strstr(t->name, "running_var"))
            continue;
        float *values = calloc(tensor_count(t), sizeof(float));
        assert_non_null(values);
        values[tensor_count(t) - 1] = -1.0f;
        t->dtype = DTYPE_F32;
        t->data = values;
        refuse_model(&c, "BatchNorm");
        free(values);
        done = 1;
    }
    assert_true(done);
    checkpoint_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_precision),
        cmocka_unit_test(test_bad_models),
        cmocka_unit_test(test_bad_batch_norm),
        cmocka_unit_test(test_many_speakers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
