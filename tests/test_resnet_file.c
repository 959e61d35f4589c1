// SPDX-License-Identifier: MIT
/* test_resnet_file.c - a speaker network's tensors on their way in and out: what is
 * refused and why, and that nothing is lost. */
#include "check.h"
#include "starve.h"

#include "model/model.h"
#include "model/op.h"
#include "model/resnet_params.h"
#include "stream/speaker_vectors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A small network in memory, in which a test makes one thing wrong. */
struct network {
    struct resnet_param list[RESNET_MAX_PARAMS];
    struct tensor tensors[RESNET_MAX_PARAMS + 1];
    float *values[RESNET_MAX_PARAMS];
    struct checkpoint c;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct tensor *)a)->name, ((const struct tensor *)b)->name);
}

static void sort(struct network *n)
{
    qsort(n->tensors, (size_t)n->c.n_tensors, sizeof(struct tensor), compare_names);
}

static void network_open(struct network *n)
{
    struct resnet_shape shape = {3, 16, 5};
    struct random rng;

    *n = (struct network){.c.tensors = n->tensors};
    random_init(&rng, 1);
    n->c.n_tensors = resnet_params_list(n->list, &shape);
    for (int i = 0; i < n->c.n_tensors; i++) {
        struct tensor *t = &n->tensors[i];
        *t = (struct tensor){.name = n->list[i].name, .n_axes = n->list[i].n_axes};
        memcpy(t->size, n->list[i].size, sizeof(n->list[i].size));
        n->values[i] = calloc(tensor_count(t), sizeof(float));
        check_fill(n->values[i], tensor_count(t), &rng);
        for (size_t k = 0; strstr(t->name, "running_var") && k < tensor_count(t); k++)
            n->values[i][k] = 1.0f + 0.5f * n->values[i][k];
        t->data = n->values[i];
    }
    sort(n);
}

static void network_close(struct network *n)
{
    for (int i = 0; i < RESNET_MAX_PARAMS; i++)
        free(n->values[i]);
}

static struct tensor *find(struct network *n, const char *name)
{
    struct tensor *t = (struct tensor *)(uintptr_t)checkpoint_find(&n->c, name);

    assert_non_null(t);
    return t;
}

static void assert_refused(const struct network *n, const char *words)
{
    struct error err = {""};
    struct resnet r;

    if (resnet_open(&r, &n->c, &err) == 0)
        check_fail("accepted, but should say '%s'", words);
    if (!strstr(err.text, words) || strchr(err.text, '\n'))
        check_fail("says '%s', but should say '%s'", err.text, words);
    assert_null(r.arena.base);
    assert_null(r.fbank);
}

/* A size on an axis of a tensor that makes no sense, or none of this network. */
static const struct {
    const char *tensor;
    int axis;
    int64_t size;
    const char *words;
} shapes[] = {
    {"resnet.conv1.weight", 0, 0, "expected shape [1 to 256,1,3,3]"},
    {"resnet.conv1.weight", 0, 257, "expected shape [1 to 256,1,3,3]"},
    {"resnet.conv1.weight", 0, INT64_MAX, "expected shape [1 to 256,1,3,3]"},
    {"resnet.conv1.weight", 0, -1, "expected shape [1 to 256,1,3,3]"},
    {"resnet.conv1.weight", 0, 4, "multiple of 8"},
    {"resnet.conv1.weight", 1, 3, "expected shape [1 to 256,1,3,3]"}, // an image network
    {"resnet.conv1.weight", 2, 7, "expected shape [1 to 256,1,3,3]"},
    {"resnet.conv1.weight", 3, 1, "expected shape [1 to 256,1,3,3]"},
    {"resnet.seg_1.weight", 0, 0, "tensor resnet.seg_1.weight: expected shape [1 to 4096,6 times"},
    {"resnet.seg_1.weight", 0, 4097, "expected shape"},
    {"resnet.seg_1.weight", 1, 0, "multiple of 8"},
    {"resnet.seg_1.weight", 1, 97, "multiple of 8"},
    {"resnet.seg_1.weight", 1, 6 * 12, "multiple of 8"},
    {"resnet.seg_1.weight", 1, 6 * 520, "multiple of 8"},
    {"resnet.seg_1.weight", 1, INT64_MAX - 15, "multiple of 8"},
    {"resnet.seg_1.bias", 0, 6, "tensor resnet.seg_1.bias: its shape should be [5]"},
    {"resnet.bn1.weight", 0, 2, "tensor resnet.bn1.weight: its shape should be [3]"},
    {"resnet.layer1.2.conv2.weight", 1, 1, "should be [3,3,3,3]"},
    {"resnet.layer2.0.conv1.weight", 0, 3, "should be [6,3,3,3]"},
    {"resnet.layer2.0.shortcut.0.weight", 2, 3, "should be [6,3,1,1]"},
    {"resnet.layer4.2.conv2.weight", 3, 5, "should be [24,24,3,3]"},
    {"resnet.layer3.5.bn2.running_var", 0, 24, "should be [12]"},
};

static void test_shapes(void **state)
{
    (void)state;
    struct network n;

    network_open(&n);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        struct tensor *t = find(&n, shapes[i].tensor), saved = *t;
        t->size[shapes[i].axis] = shapes[i].size;
        assert_refused(&n, shapes[i].words);
        *t = saved;
        t->n_axes--;
        assert_refused(&n, "shape");
        *t = saved;
    }
    network_close(&n);
}

/* Every tensor but the counters must be there. */
static void test_missing(void **state)
{
    (void)state;
    struct network n;

    network_open(&n);
    for (int i = 0; i < n.c.n_tensors; i++) {
        const char *name = n.tensors[i].name;
        char other[80], words[120];
        struct resnet r;
        struct error err;
        assert_non_null(name);
        if (!name) // gcc's sanitizer build does not know that the line above ends the test
            continue;
        snprintf(other, sizeof(other), "%.*s!", (int)strlen(name) - 1, name);
        snprintf(words, sizeof(words), "tensor %s is missing", name);
        n.tensors[i].name = other; // still in order
        if (!strstr(name, "num_batches_tracked"))
            assert_refused(&n, words);
        else if (resnet_open(&r, &n.c, &err))
            check_fail("%s", err.text);
        else
            resnet_close(&r);
        n.tensors[i].name = name;
    }
    network_close(&n);
}

static const struct {
    const char *tensor;
    float value;
    const char *words;
} poison[] = {
    {"resnet.conv1.weight", NAN, "tensor resnet.conv1.weight: element 0 is NaN"},
    {"resnet.layer3.4.conv1.weight", INFINITY, "element 0 is infinite"},
    {"resnet.layer1.0.bn2.running_mean", -INFINITY, "running_mean: element 0 is infinite"},
    {"resnet.layer2.0.shortcut.1.running_var", -0.1f, "running_var: element 0 is negative"},
    {"resnet.layer2.0.shortcut.1.running_var", NAN, "running_var: element 0 is NaN"},
    {"resnet.bn1.running_mean", 3e38f, "beyond all measure"},
    {"resnet.bn1.weight", 3e38f, "beyond all measure"},
    {"resnet.seg_1.weight", NAN, "tensor resnet.seg_1.weight: element 0 is NaN"},
    {"resnet.seg_1.bias", INFINITY, "tensor resnet.seg_1.bias: element 0 is infinite"},
};

static void test_poison(void **state)
{
    (void)state;
    struct network n;

    network_open(&n);
    float *variance = (float *)(uintptr_t)find(&n, "resnet.bn1.running_var")->data;
    float *weight = (float *)(uintptr_t)find(&n, "resnet.bn1.weight")->data;
    variance[0] = 0.0f; // is none; a weight is then 316 times as much
    weight[0] = -1.0f;
    for (size_t i = 0; i < sizeof(poison) / sizeof(*poison); i++) {
        float *x = (float *)(uintptr_t)find(&n, poison[i].tensor)->data, saved = *x;
        *x = poison[i].value;
        assert_refused(&n, poison[i].words);
        *x = saved;
    }
    network_close(&n);
}

/* What a config may say, if there is one. */
static void test_config(void **state)
{
    (void)state;
    static const struct {
        const char *config, *words; // NULL: good
    } cases[] = {
        {"{\"resnet\":{\"width\":3,\"bands\":16,\"embedding\":5,\"blocks\":[3,4,6,3],"
         "\"sample_rate\":16000}}", NULL},
        {"{\"resnet\":{}}", NULL},
        {"{\"resnet\":{\"width\":4}}", "\"width\" should be 3"},
        {"{\"resnet\":{\"bands\":\"16\"}}", "\"bands\" should be 16"},
        {"{\"resnet\":{\"embedding\":5.5}}", "\"embedding\" should be 5"},
        {"{\"resnet\":{\"sample_rate\":8000}}", "\"sample_rate\" should be 16000"},
        {"{\"resnet\":{\"blocks\":[3,4,23,3]}}", "\"blocks\" should be [3,4,6,3]"},
        {"{\"resnet\":{\"blocks\":[3,4,6,3,1]}}", "\"blocks\" should be [3,4,6,3]"},
        {"{\"resnet\":{\"blocks\":[3,4,6]}}", "\"blocks\" should be [3,4,6,3]"},
        {"{\"resnet\":{\"blocks\":{}}}", "\"blocks\" should be [3,4,6,3]"},
        {"{\"resnet\":[]}", "\"resnet\" is missing"},
        {"{\"wavlm\":{}}", "is a diarization model or WavLM, not a speaker network"},
        {"{\"resnet\":{\"width\":3,\"width\":3}}", "config"}, // twice
        {"[", "convert it again"},
        {"", "convert it again"},
    };
    struct network n;

    network_open(&n);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct resnet r;
        struct error err;
        n.c.config = cases[i].config;
        if (cases[i].words)
            assert_refused(&n, cases[i].words);
        else if (resnet_open(&r, &n.c, &err))
            check_fail("%s", err.text);
        else
            resnet_close(&r);
    }
    network_close(&n);
}

/* The other networks of the family, and other models. */
static void test_others(void **state)
{
    (void)state;
    static const struct {
        const char *extra, *words;
    } cases[] = {
        {"resnet.layer1.0.conv3.weight", "bottleneck"},
        {"resnet.layer1.3.conv1.weight", "more than 3 blocks in layer1"},
        {"resnet.layer3.6.conv1.weight", "more than 6 blocks in layer3"},
    };
    struct reach reach = reach_defaults();
    struct network n;
    struct checkpoint wavlm;
    struct model m;
    struct resnet r;
    struct error err;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        network_open(&n);
        n.tensors[n.c.n_tensors++] = (struct tensor){.name = cases[i].extra};
        sort(&n);
        assert_refused(&n, cases[i].words);
        network_close(&n);
    }
    network_open(&n);
    n.tensors[n.c.n_tensors++] = (struct tensor){.name = "loss.weight"}; // none of its own
    sort(&n);
    if (resnet_open(&r, &n.c, &err))
        check_fail("%s", err.text);
    resnet_close(&r);
    assert_int_equal(model_open(&m, &n.c, &reach, &err), -1);
    assert_non_null(strstr(err.text, "is a speaker network (ResNet34), not a diarization model"));
    network_close(&n);

    check_open(&wavlm, check_path("golden/wavlm_pruned_tiny/model.pt"));
    assert_int_equal(resnet_open(&r, &wavlm, &err), -1);
    assert_non_null(strstr(err.text, "is a diarization model or WavLM, not a speaker network"));
    checkpoint_close(&wavlm);
    assert_int_equal(resnet_open(&r, &(struct checkpoint){0}, &err), -1);
    assert_non_null(strstr(err.text, "resnet.conv1.weight is missing"));
}

static void compute(float vector[5], const struct checkpoint *c)
{
    struct resnet r;
    struct resnet_acts a;
    struct error err;
    struct random rng;
    static float x[4000];

    if (resnet_open(&r, c, &err) || resnet_acts_open(&a, &r, 4000, &err))
        check_fail("%s", err.text);
    random_init(&rng, 2);
    check_fill(x, 4000, &rng);
    resnet_vectors(vector, &a, &r, x, 4000, NULL, 1, 0);
    resnet_acts_close(&a);
    resnet_close(&r);
}

/* Written and read again: the same bits; with float64 and without the prefix (as
 * WeSpeaker's own files) as well; unknown tensors are left behind. */
static void test_round_trip(void **state)
{
    (void)state;
    char path[] = "/tmp/antiphon_test_XXXXXX";
    struct network n;
    struct checkpoint back;
    struct error err;
    float want[5], got[5];
    double wide[3 * 9];

    close(mkstemp(path));
    network_open(&n);
    compute(want, &n.c);
    n.tensors[n.c.n_tensors++] = (struct tensor){.name = "loss.weight", .data = ""};
    for (int i = 0; i < n.c.n_tensors - 1; i++)
        n.tensors[i].name += strlen("resnet.");
    sort(&n);
    struct tensor *first = find(&n, "conv1.weight");
    for (int i = 0; i < 3 * 9; i++)
        wide[i] = (double)((const float *)first->data)[i];
    first->dtype = DTYPE_F64;
    first->data = wide;
    compute(got, &n.c);
    assert_memory_equal(got, want, sizeof(got));
    if (resnet_write(path, &n.c, "a test", &err))
        check_fail("%s", err.text);
    check_open(&back, path);
    assert_int_equal(back.n_tensors, 218);
    assert_string_equal(back.provenance, "a test");
    assert_non_null(checkpoint_find(&back, "resnet.conv1.weight"));
    compute(got, &back);
    assert_memory_equal(got, want, sizeof(got));
    checkpoint_close(&back);
    unlink(path);
    network_close(&n);
}

/* --- memory that ends ------------------------------------------------- */

/* context: a checkpoint, or NULL for random weights. */
static int open_all(void *context, struct error *err)
{
    struct resnet_shape shape = {3, 16, 5};
    struct speaker_vectors v = {0};
    struct resnet r;
    int status = context ? resnet_open(&r, context, err) : resnet_open_random(&r, &shape, 1, err);

    if (status == 0) {
        status = speaker_vectors_open(&v, &r, 16000, 50, 4, err);
        speaker_vectors_close(&v);
    }
    resnet_close(&r);
    return status;
}

static int write_network(void *context, struct error *err)
{
    return resnet_write("/tmp/antiphon_test_network", context, "a test", err);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct network n;

    network_open(&n);
    n.c.config = "{\"resnet\":{\"width\":3}}";
    starve_json(1);
    assert_true(starve("a checkpoint", open_all, &n.c) >= 6);
    assert_true(starve("random weights", open_all, NULL) >= 6);
    find(&n, "resnet.bn1.bias")->dtype = DTYPE_BF16; // to be converted
    assert_true(starve("writing", write_network, &n.c) >= 2);
    starve_json(0);
    unlink("/tmp/antiphon_test_network");
    network_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_missing),
        cmocka_unit_test(test_poison), cmocka_unit_test(test_config),
        cmocka_unit_test(test_others), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_without_memory),
    };

    op_set_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
