// SPDX-License-Identifier: MIT
/* Clips read ahead: order, end, errors and an early close, whatever the threads do. */
#include "tests/check.h"

#include "prune/reader.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { N_SAMPLES = 1600 };

/* Sample 0 is the index; some clips take longer than others; index 50 fails. */
static int get(struct clip *clip, const struct clip_source *source, uint64_t index,
               struct error *err)
{
    (void)source;
    usleep((useconds_t)(index * 7919 % 5) * 300);
    if (index == 50)
        return fail(err, "the disk is gone");
    clip->samples[0] = (float)index;
    snprintf(clip->origin, sizeof(clip->origin), "clip %llu", (unsigned long long)index);
    return 0;
}

static const struct clip_source source = {.n_samples = N_SAMPLES, .get = get};

static void read_all(const struct clip_order *order, int n_threads, int ahead, int n,
                     const uint64_t *want)
{
    struct clip_reader *r;
    struct clip clip;
    struct error err;

    assert_int_equal(clip_init(&clip, N_SAMPLES, &err), 0);
    assert_int_equal(clip_reader_open(&r, &source, order, n_threads, ahead, &err), 0);
    for (int i = 0; i < n; i++) {
        if (clip_reader_next(r, &clip, &err) != 1)
            check_fail("%s", err.text);
        assert_int_equal((uint64_t)clip.samples[0], want[i]);
        assert_int_equal(clip.n_samples, N_SAMPLES);
    }
    if (order->n) {
        assert_int_equal(clip_reader_next(r, &clip, &err), 0);
        assert_int_equal(clip_reader_next(r, &clip, &err), 0);
    }
    clip_reader_close(&r);
    assert_null(r);
    clip_release(&clip);
}

static uint64_t backwards(void *context, uint64_t k)
{
    return *(uint64_t *)context - k;
}

static void test_order(void **state)
{
    uint64_t want[40], top = 40;

    for (int threads = 1; threads <= 8; threads *= 2) {
        for (int ahead = 1; ahead <= 9; ahead += 4) {
            for (int i = 0; i < 40; i++)
                want[i] = 60 + 3 * (uint64_t)i;
            read_all(&(struct clip_order){.first = 60, .stride = 3}, threads, ahead, 40, want);
            read_all(&(struct clip_order){.first = 60, .stride = 3, .n = 25}, threads, ahead, 25,
                     want);
            for (int i = 0; i < 40; i++)
                want[i] = 40 - (uint64_t)i;
            read_all(&(struct clip_order){.index = backwards, .context = &top, .n = 40}, threads,
                     ahead, 40, want);
        }
    }
}

/* Clips before the bad one come; it and all later calls say which it was. */
static void test_error(void **state)
{
    const struct clip_order order = {.first = 44, .stride = 2};
    struct clip_reader *r;
    struct clip clip;
    struct error err;

    assert_int_equal(clip_init(&clip, N_SAMPLES, &err), 0);
    for (int threads = 1; threads <= 8; threads++) {
        assert_int_equal(clip_reader_open(&r, &source, &order, threads, 8, &err), 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(clip_reader_next(r, &clip, &err), 1);
            assert_int_equal((int)clip.samples[0], 44 + 2 * i);
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(clip_reader_next(r, &clip, &err), -1);
            assert_non_null(strstr(err.text, "clip 50 of the data: the disk is gone"));
        }
        clip_reader_close(&r);
    }
    clip_release(&clip);
    clip_reader_close(&r); // nothing
}

static void test_early_close(void **state)
{
    const struct clip_order order = {.first = 100, .stride = 1};
    struct clip_reader *r;
    struct error err;

    for (int i = 0; i < 50; i++) {
        assert_int_equal(clip_reader_open(&r, &source, &order, 4, 3, &err), 0);
        clip_reader_close(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order), cmocka_unit_test(test_error),
        cmocka_unit_test(test_early_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
