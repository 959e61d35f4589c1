// SPDX-License-Identifier: MIT
/* test_speaker_vectors.c - which frames speak for a speaker, and the vectors of them,
 * against upstream's get_embeddings; no allocation once open. */
#include "check.h"
#include "counting.h"

#include "model/op.h"
#include "stream/speaker_vectors.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNKS = 4, FRAMES = 799, SPEAKERS = 4, E = 64, WINDOW = 256000 };

struct subject {
    struct checkpoint io;
    struct resnet net;
    struct speaker_vectors vectors;
    float *wave;
    size_t n;
};

static void subject_open(struct subject *s)
{
    struct checkpoint c;
    struct error err;

    check_open(&c, check_path("golden/resnet34_tiny/pytorch_model.bin"));
    check_open(&s->io, check_path("golden/get_embeddings/io.safetensors"));
    if (resnet_open(&s->net, &c, &err) ||
        speaker_vectors_open(&s->vectors, &s->net, WINDOW, FRAMES, SPEAKERS, &err))
        check_fail("%s", err.text);
    checkpoint_close(&c);
    s->wave = check_wave(checkpoint_find(&s->io, "in.wave"));
    s->n = tensor_count(checkpoint_find(&s->io, "in.wave"));
}

static void subject_close(struct subject *s)
{
    free(s->wave);
    speaker_vectors_close(&s->vectors);
    resnet_close(&s->net);
    checkpoint_close(&s->io);
}

static const unsigned char *segmentation(const struct subject *s, int chunk)
{
    const unsigned char *all = checkpoint_find(&s->io, "in.segmentations")->data;

    return all + (size_t)chunk * FRAMES * SPEAKERS;
}

static void test_masks(void **state)
{
    (void)state;
    struct subject s;
    static float masks[SPEAKERS * FRAMES];

    subject_open(&s);
    const unsigned char *want = checkpoint_find(&s.io, "out.used_masks")->data;
    for (int c = 0; c < CHUNKS; c++) {
        speaker_vectors_masks(masks, segmentation(&s, c), FRAMES, SPEAKERS, WINDOW);
        for (int i = 0; i < SPEAKERS * FRAMES; i++)
            assert_true(masks[i] == (float)want[c * SPEAKERS * FRAMES + i]);
    }
    subject_close(&s);
}

/* The last chunk reaches beyond the recording. */
static void test_vectors(void **state)
{
    (void)state;
    struct subject s;
    float got[SPEAKERS * E];

    subject_open(&s);
    const float *want = checkpoint_find(&s.io, "out.embeddings")->data;
    const int64_t *start = checkpoint_find(&s.io, "out.chunk_start_samples")->data;
    for (int c = 0; c < CHUNKS; c += 3) {
        is_watched = c > 0; // the first product gives the library its buffers
        speaker_vectors_compute(got, &s.vectors, s.wave, s.n, (size_t)start[c], WINDOW,
                                segmentation(&s, c), FRAMES, SPEAKERS);
        is_watched = 0;
        check_close("vectors", got, want + (size_t)c * SPEAKERS * E, SPEAKERS * E, 1e-4);
    }
#ifdef COUNTING
    assert_int_equal(atomic_load(&watched_allocations), 0);
    is_watched = 1; // the counter counts
    void *volatile p = malloc(10);
    free(p);
    is_watched = 0;
    assert_true(atomic_load(&watched_allocations) >= 1);
#endif
    subject_close(&s);
}

/* Nobody: the network's bias without the network; the same bits as with it. */
static void test_nobody(void **state)
{
    (void)state;
    struct subject s;
    static unsigned char active[50 * SPEAKERS];
    float none[SPEAKERS * E], one[SPEAKERS * E];

    subject_open(&s);
    speaker_vectors_compute(none, &s.vectors, s.wave, s.n, s.n + 5, 16000, active, 50, SPEAKERS);
    for (int t = 20; t < 30; t++)
        active[t * SPEAKERS + 2] = 1;
    speaker_vectors_compute(one, &s.vectors, s.wave, s.n, 0, 16000, active, 50, SPEAKERS);
    for (int k = 0; k < SPEAKERS; k++) {
        assert_memory_equal(none + k * E, s.net.bias, E * sizeof(float));
        if (k != 2)
            assert_memory_equal(one + k * E, s.net.bias, E * sizeof(float));
    }
    assert_true(memcmp(one + 2 * E, s.net.bias, E * sizeof(float)) != 0);
    subject_close(&s);
}

/* Of 49 frames a second of sound needs more than two clean ones, else all count. */
static void test_fewest(void **state)
{
    (void)state;
    unsigned char active[49 * 2] = {0};
    float masks[2 * 49];

    for (int clean = 0; clean <= 4; clean++) {
        float sum = 0.0f;
        for (int t = 0; t < 10; t++) {
            active[2 * t] = 1;
            active[2 * t + 1] = t >= clean;
        }
        speaker_vectors_masks(masks, active, 49, 2, 16000);
        for (int t = 0; t < 49; t++)
            sum += masks[t];
        assert_true(sum == (clean > 2 ? (float)clean : 10.0f)); // ceil(49 * 400 / 16000) = 2
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_fewest),
    };

    op_set_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
