// SPDX-License-Identifier: MIT
/* test_checkpoint.c - safetensors and torch files in, safetensors out, and what
 * damaged ones are told. */
#include "check.h"

#include "model/model.h"
#include "model/storage.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void same_tensors(const struct checkpoint *a, const struct checkpoint *b)
{
    assert_int_equal(a->n_tensors, b->n_tensors);
    for (int i = 0; i < a->n_tensors; i++) {
        const struct tensor *x = &a->tensors[i], *y = &b->tensors[i];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->n_axes, y->n_axes);
        assert_memory_equal(x->size, y->size, (size_t)x->n_axes * sizeof(*x->size));
        size_t n = tensor_count(x);
        if (x->dtype == y->dtype) {
            if (memcmp(x->data, y->data, n * dtype_bytes(x->dtype)))
                check_fail("%s differs", x->name);
            continue;
        }
        float *p = malloc((n + 1) * sizeof(float)), *q = malloc((n + 1) * sizeof(float));
        tensor_to_floats(p, x); // the golden keeps small types as float32
        tensor_to_floats(q, y);
        if (memcmp(p, q, n * sizeof(float)))
            check_fail("%s differs", x->name);
        free(p);
        free(q);
    }
}

/* Views, strides, offsets, shared storages and every dtype (golden notes 32). */
static void test_torch_edge_cases(void **state)
{
    (void)state;
    struct checkpoint torch, plain;

    check_open(&torch, check_path("golden/pickle/edge.pt"));
    check_open(&plain, check_path("golden/pickle/edge.safetensors"));
    same_tensors(&torch, &plain);

    char *text = check_read(check_path("golden/pickle/edge.config.json"));
    cJSON *want = cJSON_Parse(text), *got = cJSON_Parse(torch.config);
    assert_true(cJSON_Compare(cJSON_GetObjectItem(got, "wavlm"), want, 1));
    cJSON_Delete(want);
    cJSON_Delete(got);
    free(text);
    checkpoint_close(&torch);
    checkpoint_close(&plain);
}

static void test_torch_model(void **state)
{
    (void)state;
    struct checkpoint torch, plain;

    check_open(&torch, check_path("golden/wavlm_pruned_tiny/model.pt"));
    check_open(&plain, check_path("golden/wavlm_pruned_tiny/model.safetensors"));
    same_tensors(&torch, &plain);
    checkpoint_close(&torch);
    checkpoint_close(&plain);
}

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

static void test_in_place(void **state)
{
    (void)state;
    struct checkpoint c;

    check_open(&c, check_path("golden/wavlm_pruned_tiny/model.safetensors"));
    const unsigned char *map = c.storage->map;
    for (int i = 0; i < c.n_tensors; i++) {
        const unsigned char *data = c.tensors[i].data;
        assert_true(data >= map && data <= map + c.storage->map_bytes);
    }
    checkpoint_close(&c);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct checkpoint a, b;
    struct error err;
    char path[] = "/tmp/antiphon_test_XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    check_open(&a, check_path("golden/pickle/edge.safetensors"));
    if (checkpoint_write(path, a.tensors, a.n_tensors, "{\"x\":\"\\u00e9\"}", "made here", &err))
        check_fail("%s", err.text);
    check_open(&b, path);
    same_tensors(&a, &b);
    assert_string_equal(b.config, "{\"x\":\"\\u00e9\"}");
    assert_string_equal(b.provenance, "made here");
    for (int i = 0; i < b.n_tensors; i++)
        assert_int_equal((uintptr_t)b.tensors[i].data % dtype_bytes(b.tensors[i].dtype), 0);
    checkpoint_close(&a);
    checkpoint_close(&b);
    unlink(path);
}

/* A write that fails says why, and leaves neither the file nor a piece of it. */
static void test_write_failures(void **state)
{
    (void)state;
    static const float one = 1.0f;
    static float many[65536];
    const struct tensor t = {"x", DTYPE_F32, 0, {0}, &one};
    const struct tensor big = {"x", DTYPE_F32, 1, {65536}, many};
    struct error err = {""};

    assert_int_equal(safetensors_write("/nonexistent/x.safetensors", &t, 1, &err), -1);
    assert_non_null(strstr(err.text, "/nonexistent/x.safetensors: cannot write"));
    assert_int_equal(safetensors_write("/tmp", &t, 1, &err), -1);
    assert_non_null(strstr(err.text, "cannot write"));
    assert_int_equal(safetensors_write("/dev/full", &big, 1, &err), -1);
    assert_non_null(strstr(err.text, "No space left"));
    struct stat st;
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
}

#define ONE(shape, offsets) "{\"a\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

/* Headers with 24 bytes of data behind them, and what is said of them. */
static const struct {
    const char *header, *words;
} bad_headers[] = {
    {ONE("[2,3]", "[0,24]"), NULL},
    {ONE("[]", "[0,4]"), NULL},
    {ONE("[0]", "[0,0]"), NULL},
    {ONE("[2,3]", "[80,104]"), "outside the file"},
    {ONE("[2,3]", "[24,0]"), "outside the file"},
    {ONE("[2,2]", "[0,24]"), "needs 16 bytes"},
    {ONE("[9007199254740992,3]", "[0,24]"), "needs 108086391056891904 bytes"},
    {ONE("[9007199254740992,9007199254740992]", "[0,24]"), "impossible size"},
    {ONE("[-1]", "[0,4]"), "impossible size"},
    {ONE("[1.5]", "[0,4]"), "impossible size"},
    {ONE("[1,1,1,1,1,1,1,1,1]", "[0,4]"), "at most 8"},
    {ONE("7", "[0,4]"), "list"},
    {ONE("[1]", "[0]"), "two sizes"},
    {ONE("[1]", "[0,1e99]"), "two sizes"},
    {"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", "unknown dtype"},
    {"{\"a\":7}", "not described"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "overlap"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "stands twice"},
    {"{\"__metadata__\":{\"version\":\"9\"}}", "version"},
    {"{\"a\":", "not JSON"},
    {"{", "not JSON"},
};

static void test_bad_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_headers) / sizeof(*bad_headers); i++) {
        size_t length = strlen(bad_headers[i].header), n = 8 + length + 24;
        unsigned char *bytes = calloc(1, n);
        struct error err = {""};
        struct checkpoint c;

        bytes[0] = (unsigned char)length;
        bytes[1] = (unsigned char)(length >> 8);
        memcpy(bytes + 8, bad_headers[i].header, length);
        int status = checkpoint_open_memory(&c, bytes, n, "file", &err);
        if (!bad_headers[i].words)
            assert_int_equal(status, 0);
        else if (status == 0 || !strstr(err.text, bad_headers[i].words))
            check_fail("%s: \"%s\" instead of \"%s\"", bad_headers[i].header, err.text,
                       bad_headers[i].words);
        checkpoint_close(&c);
        free(bytes);
    }
}

static unsigned char *read_bytes(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    unsigned char *bytes = malloc(1 << 22);

    assert_non_null(f);
    *n = fread(bytes, 1, 1 << 22, f);
    fclose(f);
    return realloc(bytes, *n ? *n : 1); // the exact size, so that ASan sees a step too far
}

/* Cut at every length and with bytes changed at random: an error or a model,
 * never a crash (the sanitizers watch). */
static void damage(const char *path, struct random *rng, int trials)
{
    size_t n;
    unsigned char *bytes = read_bytes(path, &n);
    struct checkpoint c;
    struct error err;

    for (int i = 0; i < trials; i++) {
        size_t cut = random_bits(rng) % n;
        unsigned char *copy = malloc(cut ? cut : 1);
        memcpy(copy, bytes, cut);
        checkpoint_open_memory(&c, copy, cut, "cut", &err);
        checkpoint_close(&c);
        free(copy);

        copy = malloc(n);
        memcpy(copy, bytes, n);
        for (int k = 0; k < 1 + i % 4; k++)
            copy[random_bits(rng) % n] = (unsigned char)random_bits(rng);
        checkpoint_open_memory(&c, copy, n, "changed", &err);
        checkpoint_close(&c);
        free(copy);
    }
    free(bytes);
}

static void test_damaged_files(void **state)
{
    (void)state;
    struct random rng;

    random_init(&rng, check_seed());
    damage(check_path("golden/pickle/edge.pt"), &rng, 400);
    damage(check_path("golden/pickle/edge.safetensors"), &rng, 400);
}

static void expect_refusal(const char *path, const char *words)
{
    struct checkpoint c;
    struct error err = {""};

    if (checkpoint_open(&c, path, &err) == 0 || !strstr(err.text, words) ||
        !strstr(err.text, path))
        check_fail("%s: \"%s\" instead of \"%s\"", path, err.text, words);
}

static void test_foreign_files(void **state)
{
    (void)state;
    expect_refusal("/nonexistent", "No such file");
    expect_refusal("/tmp", "a folder");
    expect_refusal("/dev/null", "not a regular file");
    expect_refusal(check_path("golden/pickle/edge_legacy_nonzip.pt"), "old torch file");
    expect_refusal(check_path("golden/README.md"), "neither");
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
        cmocka_unit_test(test_torch_edge_cases), cmocka_unit_test(test_torch_model),
        cmocka_unit_test(test_half_precision),   cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_write_failures),
        cmocka_unit_test(test_bad_headers),      cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_foreign_files),    cmocka_unit_test(test_bad_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
