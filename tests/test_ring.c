// SPDX-License-Identifier: MIT
/* test_ring.c - the ring keeps order and content, for one thread and for two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "stream/ring.h"

static void test_takes_only_what_fits(void **state)
{
    (void)state;
    int storage[8], in[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, out[10];
    struct ring r;

    ring_init(&r, storage, 8, sizeof(int));
    assert_int_equal(ring_write(&r, in, 10), 8);
    assert_int_equal(ring_write(&r, in, 1), 0);
    assert_int_equal(ring_writable(&r), 0);
    assert_int_equal(ring_read(&r, out, 3), 3);
    assert_int_equal(ring_write(&r, in + 8, 2), 2);
    assert_int_equal(ring_readable(&r), 7);
    assert_int_equal(ring_read(&r, out + 3, 10), 7);
    assert_memory_equal(in, out, sizeof(in));
}

enum { N_ITEMS = 200000 };

static void *writer(void *user)
{
    struct ring *r = user;
    uint64_t chunk[13];

    for (uint64_t next = 0; next < N_ITEMS;) {
        size_t n = 1 + next % 13, at = 0;
        if (n > N_ITEMS - next)
            n = N_ITEMS - next;
        for (size_t i = 0; i < n; i++)
            chunk[i] = next + i;
        while (at < n) {
            size_t moved = ring_write(r, chunk + at, n - at);
            at += moved;
            if (!moved)
                sched_yield();
        }
        next += n;
    }
    return NULL;
}

static void test_order_between_threads(void **state)
{
    (void)state;
    static uint64_t storage[64];
    struct ring r;
    pthread_t thread;
    uint64_t out[17], expected = 0;

    ring_init(&r, storage, 64, sizeof(uint64_t));
    assert_int_equal(pthread_create(&thread, NULL, writer, &r), 0);
    while (expected < N_ITEMS) {
        size_t n = ring_read(&r, out, 1 + expected % 17);
        for (size_t i = 0; i < n; i++)
            assert_true(out[i] == expected++);
        if (!n)
            sched_yield();
    }
    pthread_join(thread, NULL);
    assert_int_equal(ring_readable(&r), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_only_what_fits),
        cmocka_unit_test(test_order_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
