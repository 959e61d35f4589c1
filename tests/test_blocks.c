// SPDX-License-Identifier: MIT
/* test_blocks.c - frames fall into blocks as the rule says, however they come. */
#include "check.h"

#include "model/blocks.h"

#include <string.h>

static void test_counts(void **state)
{
    (void)state;
    assert_int_equal(blocks_frames(399), 0);
    assert_int_equal(blocks_frames(400), 1);
    assert_int_equal(blocks_frames(16000), 49);
    assert_int_equal(blocks_frames(128000), 399);
    assert_int_equal(blocks_cover(0), 0);
    assert_int_equal(blocks_cover(16), 320 * 16 + 80);
}

static void test_last_block_covers_what_is_left(void **state)
{
    (void)state;
    struct position at = {0};
    struct block b;

    assert_int_equal(block_next(&b, &at, 16000, 1, 16, 0), 1); // 49 frames: 16 16 16 1
    assert_int_equal(b.own_samples, 320 * 16 + 80);
    for (int i = 0; i < 3; i++) {
        position_advance(&at, &b);
        assert_int_equal(block_next(&b, &at, 16000 - at.samples, 1, 16, 0), 1);
    }
    assert_int_equal(b.own, 1);
    position_advance(&at, &b);
    assert_int_equal(at.samples, 16000);
    assert_int_equal(block_next(&b, &at, 0, 1, 16, 0), 0);
}

/* The blocks of a stream do not depend on how many samples are known when. */
static void test_any_arrival_gives_the_same_blocks(void **state)
{
    (void)state;
    struct random rng;

    random_init(&rng, check_seed());
    for (int trial = 0; trial < 300; trial++) {
        int B = 1 + (int)(random_bits(&rng) % 40), R = (int)(random_bits(&rng) % 3) * 4;
        int64_t n = (int64_t)(random_bits(&rng) % 60000), known = 0;
        struct position whole = {0}, piece = {0};
        struct block a, b;

        while (block_next(&a, &whole, n - whole.samples, 1, B, R)) {
            while (!block_next(&b, &piece, known - piece.samples, known == n, B, R)) {
                known += (int64_t)(random_bits(&rng) % 5000);
                known = known > n ? n : known;
            }
            assert_memory_equal(&a, &b, sizeof(a));
            position_advance(&whole, &a);
            position_advance(&piece, &b);
        }
        assert_int_equal(whole.frames, blocks_frames(n));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_last_block_covers_what_is_left),
        cmocka_unit_test(test_any_arrival_gives_the_same_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
