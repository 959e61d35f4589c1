// SPDX-License-Identifier: MIT
/* test_speakers_file.c - files of named voices: there and back, and all that is refused. */
#include "check.h"

#include "stream/speakers_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_there_and_back(void **state)
{
    (void)state;
    char path[] = "/tmp/antiphon-speakers-XXXXXX";
    struct speakers s, back;
    struct random rng;
    struct error err;
    float x[8];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    random_init(&rng, check_seed());
    speakers_init(&s, 0x123456789abcdef0, 8);
    for (int i = 0; i < 5; i++) {
        char name[20];
        snprintf(name, sizeof(name), "\xc3\x84 \"%d\"", i);
        struct known_speaker *who = speakers_get(&s, name, &err);
        assert_non_null(who);
        for (int k = 0; k < 2 * i + 1; k++) { // more than there is room for
            check_fill(x, 8, &rng);
            speakers_add(&s, who, x, 10.0f + (float)k);
        }
    }
    assert_int_equal(speakers_write(&s, path, &err), 0);
    speakers_init(&back, 0x123456789abcdef0, 8);
    if (speakers_read(&back, path, &err))
        check_fail("%s", err.text);
    assert_int_equal(back.n, s.n);
    for (int i = 0; i < s.n; i++) {
        assert_string_equal(back.list[i].name, s.list[i].name);
        assert_int_equal(back.list[i].n, s.list[i].n);
        check_close("vectors", back.list[i].vectors, s.list[i].vectors,
                    (size_t)s.list[i].n * 8, 1e-7);
    }
    speakers_release(&back);
    speakers_release(&s);
    unlink(path);
}

#define HEAD "{\"format\":\"antiphon speakers\",\"version\":1,\"model\":\"0000000000000007\","
#define ONE(name, prototypes) \
    HEAD "\"width\":2,\"speakers\":[{\"name\":" name ",\"prototypes\":[" prototypes "]}]}"
#define GOOD "{\"frames\":9,\"vector\":[1,2]}"

static const struct {
    const char *text, *words;
} bad[] = {
    {"", "is not JSON"},
    {"{", "is not JSON"},
    {"{}x", "something after"},
    {"[[[[[[[[[]]]]]]]]]", "deeper than 8"},
    {"{\"format\":\"antiphon speakers\",\"format\":1}", "stands there twice"},
    {"[]", "no file of speakers"},
    {"{\"format\":\"antiphon\"}", "no file of speakers"},
    {"{\"format\":\"antiphon speakers\",\"version\":2}", "another version"},
    {"{\"format\":\"antiphon speakers\",\"version\":1,\"model\":\"0000000000000008\"}",
     "made by another model"},
    {HEAD "\"width\":2}", "no list"},
    {ONE("7", GOOD), "without \"name\""},
    {ONE("\"\"", GOOD), "1 to 63 bytes"},
    {ONE("\"a\\nb\"", GOOD), "control"},
    {ONE("\"a\\u0000b\"", GOOD), "zero character"},
    {ONE("\"0123456789012345678901234567890123456789012345678901234567890123\"", GOOD),
     "1 to 63 bytes"},
    {ONE("\"\xff\"", GOOD), "UTF-8"},
    {ONE("\"a\"", ""), "no prototypes"},
    {ONE("\"a\"", "7"), "\"frames\""},
    {ONE("\"a\"", "{\"frames\":0,\"vector\":[1,2]}"), "\"frames\""},
    {ONE("\"a\"", "{\"frames\":1e99,\"vector\":[1,2]}"), "\"frames\""},
    {ONE("\"a\"", "{\"frames\":9}"), "no \"vector\""},
    {ONE("\"a\"", "{\"frames\":9,\"vector\":[1]}"), "has 1 numbers"},
    {ONE("\"a\"", "{\"frames\":9,\"vector\":[1,2,3]}"), "should be 2 numbers"},
    {ONE("\"a\"", "{\"frames\":9,\"vector\":[1,1e30]}"), "should be 2 numbers"},
    {ONE("\"a\"", "{\"frames\":9,\"vector\":[1,\"2\"]}"), "should be 2 numbers"},
    {ONE("\"a\"", GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD "," GOOD),
     "more than 6"},
    {HEAD "\"speakers\":[{\"name\":\"a\",\"prototypes\":[" GOOD "]},"
          "{\"name\":\"a\",\"prototypes\":[" GOOD "]}]}", "stands there twice"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char path[] = "/tmp/antiphon-speakers-XXXXXX";
        struct speakers s;
        struct error err = {""};
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, bad[i].text, strlen(bad[i].text)), strlen(bad[i].text));
        close(fd);
        speakers_init(&s, 7, 2);
        if (speakers_read(&s, path, &err) == 0 || !strstr(err.text, bad[i].words) ||
            strchr(err.text, '\n'))
            check_fail("%s: says \"%s\" without \"%s\"", bad[i].text, err.text, bad[i].words);
        speakers_release(&s);
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
