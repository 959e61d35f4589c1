// SPDX-License-Identifier: MIT
/* test_pickle.c - pickles by hand: every instruction that is known, and what
 * is refused. */
#include "files.h"

#include "model/pickle.h"
#include "model/text.h"

#include <locale.h>
#include <math.h>

/* A string of bytes that may hold zeros. */
#define B(literal) (const unsigned char *)(literal), sizeof(literal) - 1

#define INT64_MOST "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"
#define ORDERED "ccollections\nOrderedDict\n)R"
#define STORAGE(key, count) "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" key \
    "X\3\0\0\0cpuK" count "tQ"
#define TENSOR(storage, offset, size, stride) "ctorch._utils\n_rebuild_tensor_v2\n(" storage \
    offset size stride "\x89" ORDERED "tR"

/* Reads a pickle whose bytes end where a sanitizer sees it. */
static int read_bytes(struct pickle *p, struct pool *pool, const unsigned char *at, size_t n,
                      struct error *err)
{
    struct bytes b = bytes_copy(at, n);

    *pool = (struct pool){.limit = 64 << 20};
    *err = (struct error){{0}};
    int result = pickle_read(p, pool, b.at, b.n, err);
    free(b.at);
    return result;
}

static void assert_json(const unsigned char *at, size_t n, const char *json)
{
    struct pickle p;
    struct pool pool;
    struct text t = {.limit = 1 << 20};
    struct error err;

    if (read_bytes(&p, &pool, at, n, &err) || pickle_to_json(&t, p.root, &err))
        fail_msg("%s: %s", json, err.text);
    assert_string_equal(t.bytes, json);
    assert_int_equal(p.n_bytes, n);
    text_release(&t);
    pool_release(&pool);
}

static void assert_wrong(const unsigned char *at, size_t n, const char *words)
{
    struct pickle p;
    struct pool pool;
    struct text t = {.limit = 1 << 16};
    struct error err;

    if (!read_bytes(&p, &pool, at, n, &err) && !pickle_to_json(&t, p.root, &err))
        fail_msg("accepted as %s, but should say '%s'", t.bytes, words);
    if (!strstr(err.text, words))
        fail_msg("says '%s', but should say '%s'", err.text, words);
    text_release(&t);
    pool_release(&pool);
}

static void test_plain_values(void **state)
{
    (void)state;
    assert_json(B("\x80\2N."), "null");
    assert_json(B("\x88."), "true");
    assert_json(B("\x89."), "false");
    assert_json(B("K\xff."), "255");
    assert_json(B("M\xff\xff."), "65535");
    assert_json(B("J\xff\xff\xff\xff."), "-1");
    assert_json(B("J\0\0\0\x80."), "-2147483648");
    assert_json(B("\x8a\0."), "0");
    assert_json(B("\x8a\1\xff."), "-1");
    assert_json(B("\x8a\2\xff\0."), "255");
    assert_json(B("\x8a\6\0\0\0\0\0\1."), "1099511627776");
    assert_json(B("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), "9223372036854775807");
    assert_json(B("\x8a\x08\0\0\0\0\0\0\0\x80."), "-9223372036854775808");
    assert_json(B("G\x3f\xb9\x99\x99\x99\x99\x99\x9a."), "0.1");
    assert_json(B("G\x40\0\0\0\0\0\0\0."), "2.0");
    assert_json(B("G\x80\0\0\0\0\0\0\0."), "-0.0");
    assert_json(B("X\3\0\0\0x\xc3\xa9."), "\"x\xc3\xa9\"");
    assert_json(B("X\5\0\0\0\"\\\n\x7f/."), "\"\\\"\\\\\\u000a\\u007f/\"");
}

static void test_containers(void **state)
{
    (void)state;
    assert_json(B(")."), "[]");
    assert_json(B("K\1\x85."), "[1]");
    assert_json(B("K\1K\2\x86."), "[1,2]");
    assert_json(B("K\1K\2K\3\x87."), "[1,2,3]");
    assert_json(B("(K\1K\2K\3K\4t."), "[1,2,3,4]");
    assert_json(B("]."), "[]");
    assert_json(B("](K\2K\3eK\1a."), "[2,3,1]");
    assert_json(B("](e."), "[]");
    assert_json(B("}."), "{}");
    assert_json(B("}(X\1\0\0\0aK\1K\7N\x85u."), "{\"a\":1,\"7\":[null]}");
    assert_json(B("}X\1\0\0\0b}s."), "{\"b\":{}}");
    assert_json(B(ORDERED "X\1\0\0\0b]s."), "{\"b\":[]}");
    assert_json(B(ORDERED "}X\1\0\0\0bK\1sb."), "{}"); // attributes are dropped
    assert_json(B("ctorch\nSize\nK\2K\3\x86\x85R."), "[2,3]");
    assert_json(B("(K\1(K\2tK\3t."), "[1,[2],3]");
}

static void test_memo_and_newer_protocols(void **state)
{
    (void)state;
    assert_json(B("]q\0K\1ah\0\x86."), "[[1],[1]]");
    assert_json(B("]r\2\0\0\0j\2\0\0\0\x86."), "[[],[]]");
    assert_json(B("K\1q\5K\2q\5h\5\x87."), "[1,2,2]");
    assert_json(B("\x80\4\x95\0\0\0\0\0\0\0\0]\x94\x8c\1x\x94h\1\x86" "a."), "[[\"x\",\"x\"]]");
    assert_json(B("\x8c\x0b" "collections\x8c\x0bOrderedDict\x93)R."), "{}");
}

/* What a trainer leaves in a checkpoint is read over, whatever it is: the entries
 * beside it are there. */
static void test_foreign_objects(void **state)
{
    struct pickle p;
    struct pool pool;
    struct error err;
    const struct pickle_value *v;

    (void)state;
    if (read_bytes(&p, &pool,
                   B("}(X\1\0\0\0ac__builtin__\ngetattr\ncx\nA\nX\1\0\0\0b\x86R" // an enum's member
                     "X\1\0\0\0bcx\nB\n)\x81}(X\1\0\0\0cK\1K\2Nub"  // an object with attributes
                     "X\1\0\0\0ccos\nsystem\nX\2\0\0\0ls\x85R(K\1K\2eNa(NNu" // added to
                     "X\1\0\0\0dK\7u."), &err))
        fail_msg("%s", err.text);
    for (const char *key = "a\0b\0c\0"; *key; key += 2)
        assert_int_equal(pickle_get(p.root, key)->kind, PICKLE_FOREIGN);
    assert_string_equal(pickle_get(p.root, "c")->string.bytes, "os.system");
    v = pickle_get(p.root, "d");
    assert_int_equal(v->kind, PICKLE_INT);
    assert_int_equal(v->integer, 7);
    pool_release(&pool);
}

/* Sharing is no cycle, but a list that contains itself has no text, and one
 * that doubles thirty times none of a sane length. */
static void test_endless_values(void **state)
{
    struct bytes b = {calloc(1, 200), 0};

    (void)state;
    assert_wrong(B("]q\0h\0a."), "nested deeper");
    assert_wrong(B("}q\0X\1\0\0\0ah\0s."), "nested deeper");
    b.at[b.n++] = ')';
    for (int i = 0; i < 30; i++, b.n += 5)
        memcpy(b.at + b.n, "q\0h\0\x86", 5);
    b.at[b.n++] = '.';
    assert_wrong(b.at, b.n, "far too long");
    free(b.at);
}

static void test_a_million_values(void **state)
{
    struct bytes b = {calloc(1, (1 << 20) + 2), 0};

    (void)state;
    memset(b.at, ')', (1 << 20) + 1);
    assert_wrong(b.at, (1 << 20) + 2, "more than 1048576 values");
    free(b.at);
}

static const struct {
    const unsigned char *at;
    size_t n;
    const char *words;
} wrong[] = {
    {B(""), "ends inside an instruction"},
    {B("\x80"), "ends inside an instruction"},
    {B("\x80\6N."), "protocol 6"},
    {B("N"), "ends inside an instruction"},
    {B("."), "ends with 0 values"},
    {B("NN."), "ends with 2 values"},
    {B("N(."), "ends with 1 values"},
    {B("K"), "ends inside"},
    {B("J\0\0\0"), "ends inside"},
    {B("G\0\0\0\0"), "ends inside"},
    {B("\x8a\5\1."), "ends inside"},
    {B("\x8a\x09\0\0\0\0\0\0\0\0\1."), "integer of 9 bytes"},
    {B("X\xff\xff\xff\xff" "a."), "ends inside"},
    {B("X\5\0\0\0abc."), "ends inside"},
    {B("X\1\0\0\0\xff."), "not UTF-8"},
    {B("X\2\0\0\0a\0."), "holds a zero"},
    {B("t."), "not begun"},
    {B("e."), "not begun"},
    {B("u."), "not begun"},
    {B("\x85."), "not there"},
    {B("N(\x85."), "not there"}, // behind a mark
    {B("Na."), "not there"},
    {B("NNa."), "no list or dictionary"},
    {B("]N(N\x86t."), "not there"},
    {B("}NNNs."), "no list or dictionary"},
    {B("}(Nu."), "no list or dictionary"},
    {B("](NNu."), "no list or dictionary"},
    {B("(e."), "not there"},
    {B("h\0."), "recalls number 0"},
    {B("Nq\5h\3."), "recalls number 3"},
    {B("Nj\xff\xff\xff\xff."), "recalls number 4294967295"},
    {B("Nr\xff\xff\xff\xff."), "remembers a value under number 4294967295"},
    {B("q\0."), "not there"},
    {B("cos\nsystem\nX\2\0\0\0ls\x85R."), "not a plain checkpoint: wants os.system;"},
    {B("\x8c\2os\x8c\6system\x93."), "wants os.system;"},
    {B("cbuiltins\neval\n."), "wants builtins.eval"},
    {B("ctorch\nFloatStorag\n."), "wants torch.FloatStorag;"},
    {B("c\n\n."), "wants .;"},
    {B("cos"), "ends inside a name"},
    {B("cos\nsystem"), "ends inside a name"},
    {B("N\x8c\1x\x93."), "by what is no string"},
    {B("N)R."), "calls what is no name"},
    {B("ccollections\nOrderedDict\nNR."), "calls what is no name"},
    {B("ccollections\nOrderedDict\nN\x85R."), "arguments that are not known"},
    {B("ctorch\nFloatStorage\n)R."), "arguments that are not known"},
    {B("ctorch._utils\n_rebuild_parameter\nN\x85R."), "arguments that are not known"},
    {B("ctorch._utils\n_rebuild_tensor_v2\n)R."), "not known"},
    {B("N}b."), "set attributes"},
    {B("ccollections\nOrderedDict\n}b."), "set attributes"},
    {B("i__main__\nX\n."), "instruction 0x69 at byte 0 is not allowed"},
    {B("oN."), "is not allowed"},
    {B("\x81."), "not there"},
    {B("ccollections\nOrderedDict\nN\x81."), "calls what is no name"},
    {B("cx\nA\nN\x81."), "calls what is no name"},
    {B("cx\nA\nNR."), "calls what is no name"},
    {B("cx\nA\n)\x81}K\1K\2sbq\0h\0\x86."), "wants x.A;"}, // an object with attributes
    {B("]cx\nA\nN\x85Ra."), "wants x.A;"},
    {B("c__builtin__\ngetattr\ncx\nA\nN\x86R."), "wants __builtin__.getattr;"},
    {B("}cx\nA\nNs."), "neither string nor integer"},
    {B("(X\7\0\0\0storagecx\nA\nX\1\0\0\0000NK\1tQ."), "wants x.A;"},
    {B("ctorch._utils\n_rebuild_parameter\ncx\nA\n\x85R."), "arguments that are not known"},
    {B("NQ."), "no tuple"},
    {B(")Q."), "not known"},
    {B("(X\7\0\0\0storageNNNNtQ."), "not known"},
    {B("(X\7\0\0\0storageccollections\nOrderedDict\nX\1\0\0\0000NK\1tQ."), "not known"},
    {B("(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000NJ\xff\xff\xff\xfftQ."),
     "has -1 elements"},
    {B("(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000N" INT64_MOST "tQ."),
     "has 9223372036854775807 elements"},
    {B("(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0000NK\1)tQ."), "part of another"},
    {B("(" STORAGE("a", "\1") STORAGE("a", "\2") "t."), "of two types or lengths"},
    {B("}(X\1\0\0\0aNX\1\0\0\0aNu."), "has a key twice"},
    {B("}(X\1\0\0\0007NK\7Nu."), "has a key twice"},
    {B("}NNs."), "neither string nor integer"},
    {B("G\x7f\xf0\0\0\0\0\0\0."), "not finite"},
    {B("G\x7f\xf8\0\0\0\0\0\0."), "not finite"},
    {B("ctorch\nSize\n."), "more than plain values"},
    {B(STORAGE("a", "\1") "."), "more than plain values"},
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_wrong(wrong[i].at, wrong[i].n, wrong[i].words);
}

#define S24 STORAGE("a", "\30") // 24 elements

static const struct {
    const unsigned char *at;
    size_t n;
    const char *words; // NULL: good
} tensors[] = {
    {B(TENSOR(S24, "K\0", "K\4K\6\x86", "K\6K\1\x86") "."), NULL},
    {B(TENSOR(S24, "K\0", "K\6K\4\x86", "K\1K\6\x86") "."), NULL},
    {B(TENSOR(S24, "K\x17", ")", ")") "."), NULL},
    {B(TENSOR(S24, "K\x18", ")", ")") "."), "beyond its storage 'a' of 24"},
    {B(TENSOR(S24, "K\x18", "K\0\x85", "K\1\x85") "."), NULL}, // empty: reaches nothing
    {B(TENSOR(S24, "K\1", "K\4K\6\x86", "K\6K\1\x86") "."), "beyond its storage"},
    {B(TENSOR(S24, "K\0", "K\4K\6\x86", "K\7K\1\x86") "."), "beyond its storage"},
    {B(TENSOR(S24, "K\0", "K\5K\6\x86", "K\0K\1\x86") "."), NULL}, // expanded
    {B(TENSOR(S24, "K\0", "K\1\x85", INT64_MOST "\x85") "."), NULL},
    {B(TENSOR(S24, "K\0", "K\2\x85", INT64_MOST "\x85") "."), "beyond"},
    {B(TENSOR(S24, "K\0", "K\2K\2\x86", "K\2\x85") "."), "not known"},
    {B(TENSOR(S24, "J\xff\xff\xff\xff", ")", ")") "."), "not known"},
    {B(TENSOR(S24, "N", ")", ")") "."), "not known"},
    {B(TENSOR("N", "K\0", ")", ")") "."), "not known"},
    {B(TENSOR(S24, "K\0", "J\xff\xff\xff\xff\x85", "K\1\x85") "."), "no whole number"},
    {B(TENSOR(S24, "K\0", "K\1\x85", "J\xff\xff\xff\xff\x85") "."), "no whole number"},
    {B(TENSOR(S24, "K\0", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t") "."),
     "has 9 axes"},
    {B(TENSOR(S24, "K\0", "\x8a\5\0\0\0\0\1q\0h\0h\0\x87", "K\0K\0K\0\x87") "."),
     "larger than any"},
};

static void test_tensors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tensors) / sizeof(tensors[0]); i++) {
        struct pickle p;
        struct pool pool;
        struct error err;
        int result = read_bytes(&p, &pool, tensors[i].at, tensors[i].n, &err);
        if (result != (tensors[i].words ? -1 : 0))
            fail_msg("tensor %zu: %d %s", i, result, err.text);
        if (tensors[i].words && !strstr(err.text, tensors[i].words))
            fail_msg("says '%s', but should say '%s'", err.text, tensors[i].words);
        if (!result) {
            assert_int_equal(p.root->kind, PICKLE_TENSOR);
            assert_int_equal(p.n_storages, 1);
            assert_string_equal(p.storages[0]->key, "a");
            assert_ptr_equal(p.root->tensor->storage->first, p.storages[0]);
        }
        pool_release(&pool);
    }
}

static void test_shared_storage_is_one(void **state)
{
    struct pickle p;
    struct pool pool;
    struct error err;

    (void)state;
    assert_int_equal(read_bytes(&p, &pool, B("(" STORAGE("b", "\1") STORAGE("a", "\2")
                                             STORAGE("b", "\1") "t."), &err), 0);
    assert_int_equal(p.n_storages, 2);
    assert_string_equal(p.storages[0]->key, "a");
    assert_ptr_equal(p.root->items.at[0]->storage->first, p.root->items.at[2]->storage->first);
    pool_release(&pool);
}

/* Every decimal reads back as the number it was, whatever the locale. */
static void test_numbers_as_text(void **state)
{
    uint64_t random = random_seed();
    const char *locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8"};

    (void)state;
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_next(&random);
        struct text t = {.limit = 100};
        double x, back;
        memcpy(&x, &bits, sizeof(x));
        if (!isfinite(x))
            continue;
        setlocale(LC_NUMERIC, locales[i % 4]);
        text_json_double(&t, x);
        setlocale(LC_NUMERIC, "C");
        back = strtod(t.bytes, NULL);
        assert_memory_equal(&back, &x, sizeof(x));
        assert_non_null(strpbrk(t.bytes, ".e"));
        assert_int_equal(strspn(t.bytes, "+-.e0123456789"), t.n);
        text_release(&t);
    }
}

static void test_utf8(void **state)
{
    static const char *const good[] = {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80",
        "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41",
        "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xe2\x82",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff",
        "\xf0\x90\x80", "a\xf0"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(utf8_valid(bad[i], strlen(bad[i])));
}

/* A pool never gives more than its limit, always aligned and zeroed. */
static void test_pool(void **state)
{
    uint64_t random = random_seed();
    struct error err;

    (void)state;
    for (int round = 0; round < 50; round++) {
        struct pool pool = {.limit = 300000};
        size_t sum = 0;
        for (;;) {
            size_t n = random_next(&random) % (round % 2 ? 100 : 40000);
            size_t alignment = (size_t)1 << random_next(&random) % 7;
            unsigned char *at = pool_alloc(&pool, n, alignment, &err);
            if (!at)
                break;
            sum += n;
            assert_true(sum <= pool.limit);
            assert_int_equal((uintptr_t)at % alignment, 0);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(at[i], 0);
            memset(at, 0xaa, n);
        }
        assert_true(sum > 250000);
        pool_release(&pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_values),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_memo_and_newer_protocols),
        cmocka_unit_test(test_foreign_objects),
        cmocka_unit_test(test_endless_values),
        cmocka_unit_test(test_a_million_values),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_shared_storage_is_one),
        cmocka_unit_test(test_numbers_as_text),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
