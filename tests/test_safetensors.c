// SPDX-License-Identifier: MIT
/* test_safetensors.c - what is written is read back bit by bit, in place;
 * what is damaged is refused in plain words; what fails leaves nothing. */
#include "files.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* --- round trip ------------------------------------------------------- */

enum { N_RANDOM = 40, N_ELEMENTS = 600 };

static void fill_random(struct tensor *t, char *name, uint64_t *data, int number, uint64_t *random)
{
    static const char *const ends[] = {"weight", "\"quoted\\\"", "\xc3\xa9", "a.b c/\x01"};
    size_t most = N_ELEMENTS;

    sprintf(name, "%d.%s", number, ends[random_next(random) % 4]);
    *t = (struct tensor){.name = name, .data = data};
    t->dtype = (enum dtype)(random_next(random) % (DTYPE_BOOL + 1));
    t->n_axes = (int)(random_next(random) % (CHECKPOINT_MAX_AXES + 1));
    for (int i = 0; i < t->n_axes; i++) {
        t->size[i] = (int64_t)(random_next(random) % (most > 8 ? 8 : most + 1));
        most /= t->size[i] ? (size_t)t->size[i] : 1;
    }
    for (int i = 0; i < N_ELEMENTS; i++)
        data[i] = random_next(random);
}

static void assert_same(const struct tensor *a, const struct tensor *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->n_axes, b->n_axes);
    for (int i = 0; i < a->n_axes; i++)
        assert_int_equal(a->size[i], b->size[i]);
    assert_memory_equal(a->data, b->data, tensor_count(a) * dtype_bytes(a->dtype));
}

/* In place, and at the multiple that the writer promises. */
static void assert_in_place(const struct checkpoint *c, const struct tensor *t)
{
    const unsigned char *data = t->data, *file = c->storage->mapping;
    size_t n = tensor_count(t) * dtype_bytes(t->dtype);

    assert_non_null(file);
    assert_true(data >= file && data + n <= file + c->storage->n_bytes);
    assert_int_equal((size_t)(data - file) % dtype_bytes(t->dtype), 0);
    if (n % 64 == 0)
        assert_int_equal((size_t)(data - file) % 64, 0);
}

static void test_round_trip(void **state)
{
    static uint64_t data[N_RANDOM][N_ELEMENTS];
    static char names[N_RANDOM][64];
    struct tensor tensors[N_RANDOM];
    uint64_t random = random_seed();
    char folder[64], path[128];
    struct checkpoint c;
    struct error err;

    (void)state;
    folder_make(folder);
    sprintf(path, "%s/m.safetensors", folder);
    for (int round = 0; round < 50; round++) {
        int n = (int)(random_next(&random) % (N_RANDOM + 1));
        for (int i = 0; i < n; i++)
            fill_random(&tensors[i], names[i], data[i], i, &random);
        assert_int_equal(checkpoint_write(path, tensors, n, "{\"wavlm\":\"\xc3\xa9\\n\"}",
                                          "by hand\n", &err), 0);
        assert_int_equal(checkpoint_open(&c, path, &err), 0);
        assert_int_equal(c.n_tensors, n);
        assert_string_equal(c.config, "{\"wavlm\":\"\xc3\xa9\\n\"}");
        assert_string_equal(c.provenance, "by hand\n");
        for (int i = 0; i < n; i++) {
            const struct tensor *found = checkpoint_find(&c, tensors[i].name);
            assert_non_null(found);
            assert_same(found, &tensors[i]);
            assert_in_place(&c, found);
        }
        assert_null(checkpoint_find(&c, "none of these"));
        checkpoint_close(&c);
        assert_int_equal(folder_count(folder), 1);
    }
    folder_remove(folder);
}

static void test_order_does_not_matter(void **state)
{
    float a[16] = {1}, b[3] = {2}, s[1] = {3};
    struct tensor up[] = {{"a", DTYPE_F32, 1, {16}, a}, {"b", DTYPE_F32, 1, {3}, b},
                          {"s", DTYPE_F32, 0, {0}, s}};
    struct tensor down[] = {up[2], up[1], up[0]};
    char folder[64], first[128], second[128];
    struct error err;

    (void)state;
    folder_make(folder);
    sprintf(first, "%s/1", folder);
    sprintf(second, "%s/2", folder);
    assert_int_equal(safetensors_write(first, up, 3, &err), 0);
    assert_int_equal(safetensors_write(second, down, 3, &err), 0);
    struct bytes x = bytes_read(first), y = bytes_read(second);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.at, y.at, x.n);
    assert_null(strstr((char *)x.at + 8, "__metadata__"));
    free(x.at);
    free(y.at);
    folder_remove(folder);
}

static void test_plain_file_has_no_config(void **state)
{
    float a[1] = {1};
    struct tensor t = {"a", DTYPE_F32, 1, {1}, a};
    char folder[64], path[128];
    struct checkpoint c;
    struct error err;

    (void)state;
    folder_make(folder);
    sprintf(path, "%s/plain", folder);
    assert_int_equal(safetensors_write(path, &t, 1, &err), 0);
    assert_int_equal(checkpoint_open(&c, path, &err), 0);
    assert_null(c.config);
    assert_null(c.provenance);
    checkpoint_close(&c);
    checkpoint_close(&c); // a zeroed checkpoint may be closed
    folder_remove(folder);

    struct bytes b = bytes_safetensors(
        "{\"__metadata__\":{\"format\":\"pt\",\"config\":\"no\"}}", 0);
    assert_int_equal(checkpoint_open_bytes(&c, b.at, b.n, "foreign", &err), 0);
    assert_null(c.config);
    checkpoint_close(&c);
    free(b.at);
}

/* Other tools may place a float anywhere. */
static void test_unaligned_is_copied(void **state)
{
    struct bytes b = bytes_safetensors(
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[1,9]}}   ", 9);
    unsigned char *shifted = aligned_alloc(64, 256);
    struct checkpoint c;
    struct error err;

    (void)state;
    for (size_t shift = 0; shift < 8; shift++) {
        memcpy(shifted + shift, b.at, b.n);
        assert_int_equal(checkpoint_open_memory(&c, shifted + shift, b.n, "odd", &err), 0);
        const struct tensor *t = checkpoint_find(&c, "b");
        assert_non_null(t);
        assert_int_equal((uintptr_t)t->data % 4, 0);
        assert_memory_equal(t->data, b.at + b.n - 8, 8);
        assert_int_equal(tensor_count(t), 2);
        checkpoint_close(&c);
    }
    free(shifted);
    free(b.at);
}

/* --- conversion ------------------------------------------------------- */

static void test_every_half(void **state)
{
    static uint16_t halves[65536];
    static float floats[65536];
    struct tensor t = {"h", DTYPE_F16, 1, {65536}, halves};

    (void)state;
    for (int i = 0; i < 65536; i++)
        halves[i] = (uint16_t)i;
    tensor_to_floats(floats, &t);
    for (int i = 0; i < 65536; i++) {
        int exponent = i >> 10 & 31, mantissa = i & 1023;
        float expected = exponent == 31 ? (mantissa ? NAN : INFINITY) :
            ldexpf((float)(exponent ? mantissa + 1024 : mantissa), (exponent ? exponent : 1) - 25);
        if (isnan(expected))
            assert_true(isnan(floats[i]));
        else
            assert_true(floats[i] == (i & 0x8000 ? -expected : expected));
        assert_int_equal(signbit(floats[i]) != 0, i >> 15);
    }
}

static void test_other_types(void **state)
{
    double f64[] = {1.0 / 3, -1e300, 16777217.0};
    uint16_t bf16[] = {0x3f80, 0xc040, 0x7f80};
    int64_t i64[] = {-1, 16777217, INT64_MIN};
    int32_t i32[] = {-7, 2147483647, 0};
    int16_t i16[] = {-32768, 5, 32767};
    unsigned char i8[] = {0, 200, 127}, flags[] = {0, 1, 7};
    static const float expected[7][3] = {
        {(float)(1.0 / 3), -INFINITY, 16777216}, {1, -3, INFINITY}, {-1, 16777216, -0x1p63f},
        {-7, 2147483648.0f, 0}, {-32768, 5, 32767}, {0, -56, 127}, {0, 1, 1},
    };
    struct tensor t[] = {{"", DTYPE_F64, 1, {3}, f64}, {"", DTYPE_BF16, 1, {3}, bf16},
                         {"", DTYPE_I64, 1, {3}, i64}, {"", DTYPE_I32, 1, {3}, i32},
                         {"", DTYPE_I16, 1, {3}, i16}, {"", DTYPE_I8, 1, {3}, i8},
                         {"", DTYPE_BOOL, 1, {3}, flags}};
    float floats[3];

    (void)state;
    for (int i = 0; i < 7; i++) {
        tensor_to_floats(floats, &t[i]);
        for (int k = 0; k < 3; k++)
            assert_true(floats[k] == expected[i][k]);
    }
    t[5].dtype = DTYPE_U8;
    tensor_to_floats(floats, &t[5]);
    assert_true(floats[1] == 200);
}

/* --- bad files -------------------------------------------------------- */

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define ENTRY(dtype, shape, offsets) \
    "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define META(fields) "{\"__metadata__\":" fields "," A "}"

static const struct {
    const char *header;
    size_t n_data;
    const char *words;
} bad[] = {
    {"{" A "}", 7, "tensor 'a': data at 0 to 8 do not fit the 7 bytes there are"},
    {"{" A "}", 9, "tensors end at 8, but the data at 9"},
    {"{" A "}", 0, "do not fit the 0 bytes"},
    {"{" A "", 8, "header is not JSON"},
    {"{" A "} x", 8, "something after its JSON"},
    {"{\"a\":1}", 0, "tensor 'a': entry is not an object"},
    {"{\"a\":[]}", 0, "tensor 'a': entry is not an object"},
    {"{\"a\":{}}", 0, "tensor 'a': dtype is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}", 0, "data_offsets is missing"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F64\"}}", 0, "dtype stands there twice"},
    {ENTRY("\"F8_E4M3\"", "[8]", "[0,8]"), 8, "dtype F8_E4M3 is not known; save it as F32"},
    {ENTRY("7", "[8]", "[0,8]"), 8, "dtype is not a string"},
    {ENTRY("\"F32\"", "2", "[0,8]"), 8, "shape is not a list"},
    {ENTRY("\"F32\"", "[-2]", "[0,8]"), 8, "size of axis 0 is not a whole number"},
    {ENTRY("\"F32\"", "[2.5]", "[0,8]"), 8, "size of axis 0 is not a whole number"},
    {ENTRY("\"F32\"", "[1,\"2\"]", "[0,8]"), 8, "size of axis 1 is not a whole number"},
    {ENTRY("\"F32\"", "[1e300]", "[0,8]"), 8, "not a whole number"},
    {ENTRY("\"F32\"", "[9007199254740994]", "[0,8]"), 8, "not a whole number"}, // 2^53 + 2
    {ENTRY("\"F32\"", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8, "more than 8 axes"},
    {ENTRY("\"F32\"", "[3]", "[0,8]"), 8, "shape wants 12 bytes of F32, data_offsets give 8"},
    {ENTRY("\"F32\"", "[4294967296,4294967296,4294967296]", "[0,8]"), 8, "larger than any file"},
    {ENTRY("\"F32\"", "[2147483648,2147483648,2]", "[0,0]"), 0, "larger than any file"},
    {ENTRY("\"F32\"", "[2]", "[8,0]"), 8, "data at 8 to 0"},
    {ENTRY("\"F32\"", "[2]", "[-8,0]"), 8, "data_offsets are not two whole numbers"},
    {ENTRY("\"F32\"", "[2]", "[0]"), 8, "data_offsets are not two whole numbers"},
    {ENTRY("\"F32\"", "[2]", "[0,8,9]"), 8, "data_offsets are not two whole numbers"},
    {ENTRY("\"F32\"", "[2]", "{\"x\":0,\"y\":8}"), 8, "data_offsets are not two whole numbers"},
    {ENTRY("\"F32\"", "[2]", "[0,18446744073709551608]"), 8, "not two whole numbers"},
    {"{" A "," A "}", 8, "the one before ends at 8"},
    {"{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[6,10]}}", 10,
     "tensor 'b' begins at 6, but the one before ends at 8"},
    {"{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[9,13]}}", 13,
     "tensor 'b' begins at 9, but the one before ends at 8"},
    {"{" A ",\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[8,12]}}", 12,
     "tensor 'a' stands there twice"},
    {META("3"), 8, "__metadata__ is not an object"},
    {META("{\"x\":3}"), 8, "__metadata__: 'x' is not a string"},
    {META("{\"format\":\"antiphon\"}"), 8, "version ''"},
    {META("{\"format\":\"antiphon\",\"version\":\"2\"}"), 8, "use a newer antiphon"},
    {META("{\"config\":\"{}\",\"config\":\"{}\"}"), 8, "'config' stands there twice"},
    {META("{},\"__metadata__\":{}"), 8, "__metadata__ stands there twice"},
    {"{\"a\\u0000b\":1}", 0, "zero character"},
    {"{\"a\nb\":1}", 0, "control character"},
    {"{\"\xff\":1}", 0, "not UTF-8"},
    {"{\"\xed\xa0\x80\":1}", 0, "not UTF-8"},
    {"{\"\xc0\x80\":1}", 0, "not UTF-8"},
    {"{\"a\":[[[[[[[[[[]]]]]]]]]]}", 0, "nested deeper"},
    {"{\"a\":\"\\", 0, "not JSON"},
};

static void test_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct bytes b = bytes_safetensors(bad[i].header, bad[i].n_data);
        assert_refused(b.at, b.n, bad[i].words);
        free(b.at);
    }
}

static void test_bad_lengths(void **state)
{
    static const struct {
        uint64_t n_header;
        const char *words;
    } lengths[] = {{UINT64_MAX, "does not fit"}, {UINT64_MAX - 7, "does not fit"},
                   {1u << 30, "does not fit"}, {1, "header does not begin"},
                   {0, "header does not"}};
    struct bytes b = bytes_safetensors("{" A "}", 8);

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        memcpy(b.at, &lengths[i].n_header, 8);
        assert_refused(b.at, b.n, lengths[i].words);
    }
    free(b.at);
    size_t n = (17 << 20) + 8;
    b.at = calloc(1, n);
    uint64_t n_header = n - 8;
    memcpy(b.at, &n_header, 8);
    b.at[8] = '{';
    assert_refused(b.at, n, "no model needs more than");
    memset(b.at + 9, ',', n - 9);
    n_header = 16 << 20;
    memcpy(b.at, &n_header, 8);
    assert_refused(b.at, n, "more than 1048576 values");
    free(b.at);
}

/* Cut anywhere, a file is refused; changed anywhere, it never does harm. */
static void test_cut_and_changed(void **state)
{
    struct bytes good = bytes_safetensors(META("{\"format\":\"antiphon\",\"version\":\"1\","
                                               "\"config\":\"{}\"}"), 8);
    uint64_t random = random_seed();
    struct checkpoint c;
    struct error err;

    (void)state;
    for (size_t n = 0; n < good.n; n++) {
        struct bytes cut = bytes_copy(good.at, n);
        assert_refused(cut.at, cut.n, "the.file");
        free(cut.at);
    }
    for (int i = 0; i < 20000; i++) {
        struct bytes b = bytes_copy(good.at, good.n);
        for (uint64_t k = random_next(&random) % 3; k < 3; k++)
            b.at[random_next(&random) % (b.n - 8)] = (unsigned char)random_next(&random);
        if (!checkpoint_open_bytes(&c, b.at, b.n, "changed", &err)) {
            float floats[8];
            for (int t = 0; t < c.n_tensors; t++) {
                assert_true(tensor_count(&c.tensors[t]) <= 8);
                tensor_to_floats(floats, &c.tensors[t]);
            }
        }
        checkpoint_close(&c);
        free(b.at);
    }
    free(good.at);
}

/* --- failures of writing ---------------------------------------------- */

static float block[4096];
static const struct tensor big = {"big", DTYPE_F32, 1, {4096}, block};

static void assert_not_written(const char *path, const char *words)
{
    struct error err = {{0}};

    assert_int_equal(checkpoint_write(path, &big, 1, "{}", "", &err), -1);
    if (strncmp(err.text, path, strlen(path)) || !strstr(err.text, words))
        fail_msg("says '%s', but should say '%s'", err.text, words);
}

static void test_unwritable(void **state)
{
    char folder[64], path[128];
    uid_t user = geteuid();

    (void)state;
    folder_make(folder);
    assert_not_written(folder, "is a folder");
    sprintf(path, "%s/none/m.safetensors", folder);
    assert_not_written(path, "No such file");
    assert_not_written("/dev/full", "No space left");
    struct stat st;
    assert_int_equal(stat("/dev/full", &st), 0);
    assert_true(S_ISCHR(st.st_mode)); // a device is never replaced
    sprintf(path, "%s/m.safetensors", folder);
    assert_int_equal(chmod(folder, 0500), 0);
    if (user == 0) // nothing is unwritable to root
        assert_int_equal(seteuid(65534), 0);
    assert_not_written(path, "Permission denied");
    if (user == 0)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(folder_count(folder), 0);
    folder_remove(folder);
}

/* A disk that fills up half way: the old file stays, nothing else does. */
static void test_full_keeps_the_old(void **state)
{
    struct rlimit before, limit = {8192, 8192};
    float one[1] = {1};
    struct tensor small = {"small", DTYPE_F32, 1, {1}, one};
    char folder[64], path[128];
    struct checkpoint c;
    struct error err;

    (void)state;
    folder_make(folder);
    sprintf(path, "%s/m.safetensors", folder);
    assert_int_equal(checkpoint_write(path, &small, 1, NULL, NULL, &err), 0);
    getrlimit(RLIMIT_FSIZE, &before);
    limit.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    int failed = checkpoint_write(path, &big, 1, NULL, NULL, &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(failed, -1);
    assert_non_null(strstr(err.text, "File too large"));
    assert_int_equal(folder_count(folder), 1);
    assert_int_equal(checkpoint_open(&c, path, &err), 0);
    assert_non_null(checkpoint_find(&c, "small"));

    assert_int_equal(checkpoint_write(path, &big, 1, NULL, NULL, &err), 0); // over the open one
    assert_true(*(const float *)checkpoint_find(&c, "small")->data == 1);
    checkpoint_close(&c);
    folder_remove(folder);
}

static void test_link_stays(void **state)
{
    char folder[64], file[128], link[128];
    struct error err;
    struct stat st;

    (void)state;
    folder_make(folder);
    sprintf(file, "%s/file", folder);
    sprintf(link, "%s/link", folder);
    assert_int_equal(safetensors_write(file, &big, 1, &err), 0);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(safetensors_write(link, &big, 1, &err), 0);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(folder_count(folder), 2);
    folder_remove(folder);
}

static void test_unfit_tensors(void **state)
{
    struct error err;
    struct tensor twice[] = {big, big}, t = big;

    (void)state;
    assert_int_equal(safetensors_write("/tmp/never", twice, 2, &err), -1);
    assert_non_null(strstr(err.text, "'big' is to be written twice"));
    t.name = "__metadata__";
    assert_int_equal(safetensors_write("/tmp/never", &t, 1, &err), -1);
    t.name = "\xff";
    assert_int_equal(safetensors_write("/tmp/never", &t, 1, &err), -1);
    t = big;
    t.size[0] = -1;
    assert_int_equal(safetensors_write("/tmp/never", &t, 1, &err), -1);
    assert_non_null(strstr(err.text, "shape of tensor 'big'"));
    assert_int_equal(checkpoint_write("/tmp/never", &big, 1, "\xff", NULL, &err), -1);
    assert_int_equal(access("/tmp/never", F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_order_does_not_matter),
        cmocka_unit_test(test_plain_file_has_no_config),
        cmocka_unit_test(test_unaligned_is_copied),
        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_other_types),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_cut_and_changed),
        cmocka_unit_test(test_unwritable),
        cmocka_unit_test(test_full_keeps_the_old),
        cmocka_unit_test(test_link_stays),
        cmocka_unit_test(test_unfit_tensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
