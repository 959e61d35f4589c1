// SPDX-License-Identifier: MIT
/* test_model_file.c - from tensors to a model: what a file is told that opens but
 * is no model, and the small types. */
#include "check.h"

#include "model/model.h"

#include <math.h>
#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_precision),
        cmocka_unit_test(test_bad_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
