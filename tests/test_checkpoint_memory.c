// SPDX-License-Identifier: MIT
/* test_checkpoint_memory.c - memory may end at every allocation of reading
 * and writing a model: one clear line, nothing lost, nothing left behind. */
#include "files.h"

#include <cjson/cJSON.h>
#include <errno.h>

/* The linker sends the project's own allocations here (--wrap), cJSON's come
 * by its hooks; the one numbered fail_at and all after it fail. */
static long n_allocations, fail_at = -1;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
char *__real_strdup(const char *s);
char *__real_realpath(const char *path, char *resolved);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_realpath(const char *path, char *resolved);

static int fails(void)
{
    return n_allocations++ >= fail_at && fail_at >= 0 ? (errno = ENOMEM) : 0;
}

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *old, size_t n) { return fails() ? NULL : __real_realloc(old, n); }
char *__wrap_strdup(const char *s) { return fails() ? NULL : __real_strdup(s); }

char *__wrap_realpath(const char *path, char *resolved)
{
    return fails() ? NULL : __real_realpath(path, resolved);
}

static void *cjson_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }

static void assert_open_survives(const char *name)
{
    char path[4096];
    struct checkpoint c;
    int n_failures = 0;

    test_path(path, name);
    for (long at = 0;; at++) {
        struct error err = {{0}};
        n_allocations = 0;
        fail_at = at;
        int result = checkpoint_open(&c, path, &err);
        fail_at = -1;
        if (!result)
            break;
        n_failures++;
        assert_int_equal(result, -1);
        assert_null(c.storage);
        if (strncmp(err.text, path, strlen(path)) || !strstr(err.text, "memory"))
            fail_msg("allocation %ld: says '%s'", at, err.text);
    }
    assert_true(n_failures >= 3);
    checkpoint_close(&c);
}

static void test_open_without_memory(void **state)
{
    cJSON_Hooks hooks = {cjson_malloc, free};

    (void)state;
    cJSON_InitHooks(&hooks);
    assert_open_survives("golden/pickle/edge.safetensors");
    assert_open_survives("golden/pickle/edge.pt");
    assert_open_survives("golden/pickle/edge_legacy_nonzip.pt");
    assert_open_survives("golden/hf-wavlm-base-tiny/hf-wavlm-base-tiny");
    assert_open_survives("seeds/diarizen");
    cJSON_InitHooks(NULL);
}

static int write_safetensors(const char *path, const struct tensor *t, struct error *err)
{
    return checkpoint_write(path, t, 1, "{}", "", err);
}

static int write_torch(const char *path, const struct tensor *t, struct error *err)
{
    return torch_write(path, t, 1, "{\"a\":[1,[2.5]]}", err);
}

static void assert_write_survives(int (*write_model)(const char *, const struct tensor *,
                                                     struct error *))
{
    const float two[2] = {1, 2};
    struct tensor t = {"a", DTYPE_F32, 1, {2}, two};
    char folder[64], path[128];
    struct error err;
    int result, n_failures = 0;

    folder_make(folder);
    snprintf(path, sizeof(path), "%s/m", folder);
    for (int is_there = 0; is_there < 2; is_there++) {
        for (long at = 0;; at++) {
            n_allocations = 0;
            fail_at = at;
            result = write_model(path, &t, &err);
            fail_at = -1;
            if (!result)
                break;
            assert_int_equal(folder_count(folder), is_there);
            n_failures++;
        }
        assert_int_equal(folder_count(folder), 1);
    }
    assert_true(n_failures >= 6);
    folder_remove(folder);
}

static void test_write_without_memory(void **state)
{
    cJSON_Hooks hooks = {cjson_malloc, free};

    (void)state;
    cJSON_InitHooks(&hooks);
    assert_write_survives(write_safetensors);
    assert_write_survives(write_torch);
    cJSON_InitHooks(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_without_memory),
        cmocka_unit_test(test_write_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
