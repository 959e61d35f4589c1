// SPDX-License-Identifier: MIT
/* test_diart.c - the port of diart's clustering against the original's answers. */
#include "check.h"
#include "diart.h"

#include <math.h>
#include <stdio.h>

static const struct {
    const char *name;
    struct diart settings;
} sets[] = {
    {"default", {.tau = 0.6, .rho = 0.3, .delta = 1.0, .max_speakers = 20}},
    {"tight", {.tau = 0.5, .rho = 0.2, .delta = 0.5, .max_speakers = 20}},
    {"few", {.tau = 0.55, .rho = 0.1, .delta = 0.6, .max_speakers = 4}},
    {"loose", {.tau = 0.6, .rho = 0.422, .delta = 1.517, .max_speakers = 20}},
    {"euclidean", {.tau = 0.6, .rho = 0.3, .delta = 2.5, .max_speakers = 20, .euclidean = 1}},
};

static const struct tensor *find(const struct checkpoint *c, const char *set, const char *what)
{
    char name[80];

    snprintf(name, sizeof(name), set ? "out.%s.%s" : "%s%s", set ? set : "", what);
    const struct tensor *t = checkpoint_find(c, name);
    if (!t)
        check_fail("no %s", name);
    return t;
}

static void test_golden(void **state)
{
    (void)state;
    struct checkpoint io;
    static struct diart d;

    check_open(&io, check_path("golden/diart/io.safetensors"));
    const struct tensor *seg = find(&io, NULL, "in.activations");
    const struct tensor *emb = find(&io, NULL, "in.embeddings");
    int steps = (int)seg->size[0], frames = (int)seg->size[1], n = (int)seg->size[2];
    int width = (int)emb->size[2];
    for (size_t s = 0; s < sizeof(sets) / sizeof(*sets); s++) {
        const int64_t *want = find(&io, sets[s].name, "assignment")->data;
        const int64_t *known = find(&io, sets[s].name, "num_known")->data;
        const struct tensor *norms = find(&io, sets[s].name, "center_norms");
        d = sets[s].settings;
        d.width = width;
        d.n_local = n;
        for (int t = 0; t < steps; t++) {
            int map[DIART_MAX_LOCAL];
            diart_step(&d, map, (const float *)seg->data + (size_t)t * (size_t)(frames * n),
                       frames, (const float *)emb->data + (size_t)t * (size_t)(n * width));
            for (int i = 0; i < n; i++)
                assert_int_equal(map[i], want[t * n + i]);
            assert_int_equal(d.n_known, known[t]);
            for (int k = 0; k < d.n_known; k++) {
                double norm = 0.0, there = ((const double *)norms->data)[t * norms->size[1] + k];
                for (int e = 0; e < width; e++)
                    norm += d.centre[k][e] * d.centre[k][e];
                assert_true(fabs(sqrt(norm) - there) < 1e-5 * (1.0 + there));
            }
        }
    }
    checkpoint_close(&io);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
