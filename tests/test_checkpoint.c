// SPDX-License-Identifier: MIT
/* test_checkpoint.c - upstream's files give upstream's tensors, bit by bit;
 * damaged and hostile ones are refused. */
#include "files.h"

#include <cjson/cJSON.h>
#include <sys/stat.h>
#include <zip.h>

#define S(key, count) "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" key \
    "X\3\0\0\0cpuK" count "tQ"
#define T(key, count, size, stride) "ctorch._utils\n_rebuild_tensor_v2\n(" S(key, count) \
    "K\0" size stride "\x89" "ccollections\nOrderedDict\n)RtR"
#define VECTOR(name, key) "X\1\0\0\0" name T(key, "\2", "K\2\x85", "K\1\x85")
#define STATE "X\12\0\0\0state_dict"
#define CONFIG "X\6\0\0\0config"

/* --- goldens ---------------------------------------------------------- */

static void assert_equal_tensors(const struct tensor *a, const struct tensor *b)
{
    size_t n = tensor_count(a);
    float *x = malloc((n + 1) * sizeof(*x)), *y = malloc((n + 1) * sizeof(*y));

    assert_string_equal(a->name, b->name);
    assert_int_equal(a->n_axes, b->n_axes);
    for (int i = 0; i < a->n_axes; i++)
        assert_int_equal(a->size[i], b->size[i]);
    tensor_to_floats(x, a);
    tensor_to_floats(y, b);
    assert_memory_equal(x, y, n * sizeof(*x));
    if (a->dtype == b->dtype)
        assert_memory_equal(a->data, b->data, n * dtype_bytes(a->dtype));
    free(x);
    free(y);
}

static void assert_equal_config(const char *config, const char *path)
{
    struct bytes b = bytes_read(path);
    cJSON *expected = cJSON_Parse((char *)b.at), *found = cJSON_Parse(config);

    assert_non_null(expected);
    assert_true(cJSON_Compare(expected, cJSON_GetObjectItem(found, "wavlm"), 1));
    cJSON_Delete(expected);
    cJSON_Delete(found);
    free(b.at);
}

/* 1 if both files are there, and then they are equal. */
static int compare_pair(const char *folder, const char *torch, const char *safe, const char *json)
{
    char path[3][4096];
    const char *names[3] = {torch, safe, json};
    struct checkpoint a, b;
    struct error err;

    for (int i = 0; i < 3; i++)
        assert_true(snprintf(path[i], 4096, "%s/%s", folder, names[i]) < 4096);
    if (access(path[0], R_OK) || access(path[1], R_OK))
        return 0;
    if (checkpoint_open(&a, path[0], &err) || checkpoint_open(&b, path[1], &err))
        fail_msg("%s", err.text);
    assert_int_equal(a.n_tensors, b.n_tensors);
    for (int i = 0; i < a.n_tensors; i++) {
        assert_equal_tensors(&a.tensors[i], &b.tensors[i]);
        assert_ptr_equal(checkpoint_find(&a, b.tensors[i].name), &a.tensors[i]);
    }
    if (!access(path[2], R_OK)) {
        assert_non_null(a.config);
        assert_equal_config(a.config, path[2]);
    }
    checkpoint_close(&a);
    checkpoint_close(&b);
    return 1;
}

/* All folders of goldens there are, so that a new one is checked too. */
static void test_goldens(void **state)
{
    char path[4096], folder[8192];
    DIR *d = opendir(test_path(path, "golden"));
    int n_pairs = 0;

    (void)state;
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(folder, sizeof(folder), "%s/%s", path, e->d_name);
        n_pairs += compare_pair(folder, "model.pt", "model.safetensors", "model.config.json");
        n_pairs += compare_pair(folder, "pytorch_model.bin", "model.safetensors", "none");
        n_pairs += compare_pair(folder, "edge.pt", "edge.safetensors", "edge.config.json");
        n_pairs += compare_pair(folder, "edge_legacy_nonzip.pt", "edge.safetensors",
                                "edge.config.json");
    }
    closedir(d);
    assert_true(n_pairs >= 6);
}

static struct bytes edge(void)
{
    char path[4096];

    return bytes_read(test_path(path, "golden/pickle/edge.pt"));
}

static int is_inside(const struct checkpoint *c, const char *name)
{
    const struct tensor *t = checkpoint_find(c, name);

    assert_non_null(t);
    assert_int_equal((uintptr_t)t->data % dtype_bytes(t->dtype), 0);
    const unsigned char *data = t->data;
    return data >= c->storage->bytes && data < c->storage->bytes + c->storage->n_bytes;
}

static void test_edge_types_and_places(void **state)
{
    static const struct {
        const char *name;
        enum dtype dtype;
        int in_place;
    } expected[] = {
        {"contiguous", DTYPE_F32, 1}, {"transposed_view", DTYPE_F32, 0},
        {"row_slice_view", DTYPE_F32, 1}, {"col_slice_view", DTYPE_F32, 0},
        {"half", DTYPE_F16, 1}, {"bfloat16", DTYPE_BF16, 1}, {"double", DTYPE_F64, 1},
        {"int64", DTYPE_I64, 1}, {"int32", DTYPE_I32, 1}, {"uint8", DTYPE_U8, 1},
        {"bool", DTYPE_BOOL, 1}, {"scalar", DTYPE_F32, 1}, {"parameter", DTYPE_F32, 1},
    };
    char path[4096];
    struct checkpoint c;
    struct error err;

    (void)state;
    assert_int_equal(checkpoint_open(&c, test_path(path, "golden/pickle/edge.pt"), &err), 0);
    assert_int_equal(c.n_tensors, 14);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_int_equal(checkpoint_find(&c, expected[i].name)->dtype, expected[i].dtype);
        assert_int_equal(is_inside(&c, expected[i].name), expected[i].in_place);
    }
    assert_non_null(checkpoint_find(&c, "empty")->data);
    checkpoint_close(&c);
}

/* --- zips ------------------------------------------------------------- */

struct member {
    const char *name;
    const void *at;
    size_t n;
    int compressed;
};

static struct bytes make_zip(const struct member *members, size_t n)
{
    zip_error_t error;
    zip_stat_t st;
    struct bytes b;

    zip_error_init(&error);
    zip_source_t *out = zip_source_buffer_create(NULL, 0, 0, &error);
    zip_t *zip = zip_open_from_source(out, ZIP_TRUNCATE, &error);
    assert_non_null(zip);
    zip_source_keep(out);
    for (size_t i = 0; i < n; i++) {
        zip_source_t *in = zip_source_buffer(zip, members[i].at, members[i].n, 0);
        zip_int64_t index = zip_file_add(zip, members[i].name, in, 0);
        assert_true(index >= 0);
        zip_set_file_compression(zip, (zip_uint64_t)index,
                                 members[i].compressed ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
    }
    assert_int_equal(zip_close(zip), 0);
    assert_int_equal(zip_source_open(out), 0);
    assert_int_equal(zip_source_stat(out, &st), 0);
    b.n = st.size;
    b.at = malloc(b.n);
    assert_int_equal(zip_source_read(out, b.at, b.n), b.n);
    zip_source_close(out);
    zip_source_free(out);
    return b;
}

static void assert_zip_refused(const struct member *members, size_t n, const char *words)
{
    struct bytes b = make_zip(members, n);

    assert_refused(b.at, b.n, words);
    free(b.at);
}

static const float two[] = {1.5f, -2.5f};

#define PICKLE(literal) "m/data.pkl", literal, sizeof(literal) - 1, 0

static void test_plain_state_dict(void **state)
{
    static const struct member members[] = {
        {PICKLE("}(" VECTOR("a", "0") VECTOR("b", "1") "u.")},
        {"m/data/0", two, 8, 0}, {"m/data/1", two, 8, 1}, {"m/byteorder", "little", 6, 0},
    };
    struct bytes b = make_zip(members, 4);
    struct checkpoint c;
    struct error err;

    (void)state;
    if (checkpoint_open_bytes(&c, b.at, b.n, "zip", &err))
        fail_msg("%s", err.text);
    assert_null(c.config);
    assert_int_equal(c.n_tensors, 2);
    assert_false(is_inside(&c, "b")); // compressed
    for (int i = 0; i < 2; i++)
        assert_memory_equal(c.tensors[i].data, two, 8);
    checkpoint_close(&c);
    free(b.at);
}

static const struct {
    struct member pickle;
    const char *words;
} bad_objects[] = {
    {{PICKLE("N.")}, "holds no tensors"},
    {{PICKLE("}.")}, "holds no tensors"},
    {{PICKLE("}" STATE "}s.")}, "holds no tensors"},
    {{PICKLE("}" STATE "]s.")}, "holds no tensors"},
    {{PICKLE("}X\1\0\0\0aK\1s.")}, "entry 'a' is not a tensor"},
    {{PICKLE("}" STATE "}X\1\0\0\0a}ss.")}, "entry 'a' is not a tensor"},
    {{PICKLE("}K\1K\2s.")}, "key that is no string"},
    {{PICKLE("}(" STATE "}(" VECTOR("a", "0") "u" CONFIG "]u.")}, "config is not a dictionary"},
    {{PICKLE("}(" STATE "}(" VECTOR("a", "0") "u" CONFIG "}NNsu.")}, "config: has a key"},
    {{PICKLE("}(" STATE "}(" VECTOR("a", "0") "u" CONFIG "}q\0K\1h\0su.")}, "config: is nested"},
    {{PICKLE("}(" VECTOR("a", "0") VECTOR("a", "0") "u.")}, "tensor 'a' stands there twice"},
    {{PICKLE("}(" VECTOR("a", "1") "u.")}, "tensor 'a': the zip lacks m/data/1"},
    {{PICKLE("}(" VECTOR("a", "/") "u.")}, "tensor 'a': the zip lacks m/data//"},
    {{PICKLE("}(X\1\0\0\0a" T("0", "\3", "K\2\x85", "K\1\x85") "u.")},
     "tensor 'a': storage '0' has 8 bytes, its tensors want 12"},
    {{PICKLE("}(X\1\0\0\0a" T("0", "\2", "J\0\0\0\7q\1K\7\x86", "K\0K\0\x86") "u.")},
     "tensor 'a': wants more than"},
    {{PICKLE("}X\1\0\0\0acos\nsystem\n)Rs.")},
     "entry 'a': not a plain checkpoint: wants os.system; save the model's state_dict only"},
    {{PICKLE("}" STATE "cos\nsystem\n)Rs.")}, "not a plain checkpoint: wants os.system;"},
    {{PICKLE("cos\nsystem\n)R.")}, "not a plain checkpoint: wants os.system;"},
    {{PICKLE("}(" STATE "}(" VECTOR("a", "0") "u" CONFIG "cx\nA\n)\x81u.")},
     "not a plain checkpoint: wants x.A;"},
    {{PICKLE("}(" STATE "}(" VECTOR("a", "0") "u" CONFIG "}X\1\0\0\0kcx\nA\n)\x81su.")},
     "config: not a plain checkpoint: wants x.A;"},
    {{PICKLE("}")}, "data.pkl: pickle ends"},
    {{PICKLE("")}, "data.pkl: pickle ends"},
    {{"m/data.txt", "", 0, 0}, "is a zip, but not of torch"},
    {{"data.pkl", "", 0, 0}, "is a zip, but not of torch"},
};

static void test_bad_objects(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_objects) / sizeof(bad_objects[0]); i++) {
        struct member members[] = {bad_objects[i].pickle, {"m/data/0", two, 8, 0}};
        assert_zip_refused(members, 2, bad_objects[i].words);
    }
}

static void test_bad_zips(void **state)
{
    const char pickle[] = "}(" VECTOR("a", "0") "u.";
    struct member members[] = {{PICKLE(pickle)}, {"m/data/0", two, 8, 0}, {"n/data.pkl", "", 0, 0}};
    struct member order[] = {members[0], members[1], {"m/byteorder", "big", 3, 0}};

    (void)state;
    assert_zip_refused(members, 3, "more than one data.pkl");
    assert_zip_refused(order, 3, "big-endian");
    assert_zip_refused(members, 1, "the zip lacks m/data/0");
    assert_refused("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22, "is a zip, but not of torch");
    assert_refused("PK\3\4", 4, "is not a whole zip");
}

/* A small file that unpacks to much is refused before it does. */
static void test_bombs(void **state)
{
    size_t n = 100 << 20;
    unsigned char *zeros = calloc(1, n);
    const char pickle[] = "}X\1\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storagectorch\n"
        "ByteStorage\nX\1\0\0\0000NJ\0\0\x40\6tQK\0J\0\0\x40\6\x85K\1\x85NNtRs.";
    struct member members[] = {{PICKLE(pickle)}, {"m/data/0", zeros, n, 1}};
    struct member large[] = {{"m/data.pkl", zeros, 20 << 20, 1}};

    (void)state;
    assert_zip_refused(members, 2, "tensor 'a': storages of more than 64 times");
    assert_zip_refused(large, 1, "data.pkl has 20971520 bytes; no checkpoint needs more");
    free(zeros);
}

/* --- damage ----------------------------------------------------------- */

static void assert_cuts_refused(const struct bytes *good)
{
    for (size_t n = 0; n < good->n; n++) {
        struct bytes cut = bytes_copy(good->at, n);
        assert_refused(cut.at, cut.n, "the.file: ");
        free(cut.at);
    }
}

/* Reads everything that a changed file offers. */
static void use_all(const unsigned char *at, size_t n)
{
    struct bytes b = bytes_copy(at, n);
    struct checkpoint c;
    struct error err;
    float floats[4096];

    if (!checkpoint_open_bytes(&c, b.at, b.n, "changed", &err)) {
        for (int i = 0; i < c.n_tensors; i++) {
            if (tensor_count(&c.tensors[i]) <= 4096)
                tensor_to_floats(floats, &c.tensors[i]);
        }
    } else if (strncmp(err.text, "changed: ", 9) || !err.text[9]) {
        fail_msg("says '%s'", err.text);
    }
    checkpoint_close(&c);
    free(b.at);
}

static void assert_changes_harmless(const struct bytes *good, uint64_t *random)
{
    unsigned char *changed = malloc(good->n);

    for (int i = 0; i < 3000; i++) {
        memcpy(changed, good->at, good->n);
        for (uint64_t k = random_next(random) % 4; k < 4; k++)
            changed[random_next(random) % good->n] = (unsigned char)random_next(random);
        use_all(changed, good->n);
    }
    free(changed);
}

static void test_damaged_zip(void **state)
{
    struct bytes b = edge();
    uint64_t random = random_seed();

    (void)state;
    assert_cuts_refused(&b);
    assert_changes_harmless(&b, &random);
    unsigned char *weight = memmem(b.at, b.n, "\xdb\xb6\x2d\x40", 4);
    assert_non_null(weight);
    weight[0] ^= 1;
    assert_refused(b.at, b.n, "CRC error");
    free(b.at);
}

static void test_damaged_legacy(void **state)
{
    char path[4096];
    struct bytes b = bytes_read(test_path(path, "golden/pickle/edge_legacy_nonzip.pt"));
    uint64_t random = random_seed();

    (void)state;
    assert_cuts_refused(&b);
    assert_changes_harmless(&b, &random);
    unsigned char *endian = memmem(b.at, b.n, "little_endianq\2\x88", 16);
    assert_non_null(endian);
    endian[15] = 0x89;
    assert_refused(b.at, b.n, "big-endian");
    endian[15] = 0x88;
    b.at[18]++; // protocol 1001
    assert_refused(b.at, b.n, "unknown protocol");
    free(b.at);
}

static void test_foreign(void **state)
{
    static const struct {
        const char *text, *words;
    } foreign[] = {
        {"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"},
        {"<!DOCTYPE html>", "web page"}, {"{\"a\": 1}", "is JSON"},
        {"\x80\4K\1.", "bare Python pickle"},
        {"RIFF....WAVE", "is audio"}, {"hello", "no model file: expected safetensors or a torch"},
        {"", "no model file"},
    };
    char folder[64];
    struct checkpoint c;
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        assert_refused(foreign[i].text, strlen(foreign[i].text), foreign[i].words);
    folder_make(folder);
    assert_int_equal(checkpoint_open(&c, folder, &err), -1);
    assert_non_null(strstr(err.text, "is a folder"));
    strcat(folder, "/x");
    assert_int_equal(checkpoint_open(&c, folder, &err), -1);
    assert_non_null(strstr(err.text, "No such file"));
    assert_int_equal(mkfifo(folder, 0600), 0);
    assert_int_equal(checkpoint_open(&c, folder, &err), -1); // and does not wait for a writer
    assert_non_null(strstr(err.text, "no regular file"));
    unlink(folder);
    fclose(fopen(folder, "w"));
    assert_int_equal(checkpoint_open(&c, folder, &err), -1);
    assert_non_null(strstr(err.text, "is empty"));
    assert_null(c.storage);
    *strrchr(folder, '/') = 0;
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_edge_types_and_places),
        cmocka_unit_test(test_plain_state_dict),
        cmocka_unit_test(test_bad_objects),
        cmocka_unit_test(test_bad_zips),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_damaged_zip),
        cmocka_unit_test(test_damaged_legacy),
        cmocka_unit_test(test_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
