// SPDX-License-Identifier: MIT
/* test_checkpoint_memory.c - memory may end at every allocation of reading
 * and writing a model: one clear line, nothing lost, nothing left behind. */
#include "files.h"
#include "starve.h"

static int open_checkpoint(void *path, struct error *err)
{
    struct checkpoint c;

    if (checkpoint_open(&c, path, err)) {
        assert_null(c.storage);
        if (strncmp(err->text, path, strlen(path)) || !strstr(err->text, "memory"))
            fail_msg("says '%s'", err->text);
        return -1;
    }
    checkpoint_close(&c);
    return 0;
}

static void test_open_without_memory(void **state)
{
    static const char *const names[] = {"golden/pickle/edge.safetensors", "golden/pickle/edge.pt",
                                        "golden/pickle/edge_legacy_nonzip.pt",
                                        "golden/hf-wavlm-base-tiny/hf-wavlm-base-tiny",
                                        "seeds/diarizen"};
    char path[4096];

    (void)state;
    starve_json(1);
    for (int i = 0; i < 5; i++)
        assert_true(starve(names[i], open_checkpoint, (void *)test_path(path, names[i])) >= 3);
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
            starve_at(at, 1);
            result = write_model(path, &t, &err);
            starve_at(-1, 0);
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
    (void)state;
    assert_write_survives(write_safetensors);
    assert_write_survives(write_torch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_without_memory),
        cmocka_unit_test(test_write_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
