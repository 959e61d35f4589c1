// SPDX-License-Identifier: MIT
/* test_clustering.c - linkage against the plain way, and what is right where
 * upstream is not: both behaviours of every difference. */
#include "check.h"

#include "stream/aggregate.h"
#include "stream/ahc.h"
#include "stream/assign.h"
#include "stream/linkage.h"
#include "stream/offline.h"
#include "stream/reconstruct.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 99, WIDTH = 4 }; // windows of 2 s

/* All centroids' distances, every time. */
static void plain_linkage(struct merge *merges, const double *points, int n, int d)
{
    double x[64][8];
    int id[64], size[64], left = n;

    for (int i = 0; i < n; i++) {
        id[i] = i;
        size[i] = 1;
        memcpy(x[i], points + i * d, (size_t)d * sizeof(double));
    }
    for (int step = 0; step < n - 1; step++) {
        int a = 0, b = 1;
        double least = INFINITY;
        for (int i = 0; i < left; i++) {
            for (int j = i + 1; j < left; j++) {
                double sum = 0.0;
                for (int k = 0; k < d; k++)
                    sum += (x[i][k] - x[j][k]) * (x[i][k] - x[j][k]);
                if (sum < least) {
                    least = sum;
                    a = i;
                    b = j;
                }
            }
        }
        merges[step].a = id[a] < id[b] ? id[a] : id[b];
        merges[step].b = id[a] < id[b] ? id[b] : id[a];
        merges[step].height = sqrt(least);
        merges[step].size = size[a] + size[b];
        for (int k = 0; k < d; k++)
            x[a][k] = (size[a] * x[a][k] + size[b] * x[b][k]) / merges[step].size;
        size[a] = merges[step].size;
        id[a] = n + step;
        left--;
        memcpy(x[b], x[left], sizeof(x[b]));
        id[b] = id[left];
        size[b] = size[left];
    }
}

static void test_linkage(void **state)
{
    struct random rng;
    struct error err;
    struct merge got[64], want[64];
    double x[64 * 8];
    int inversions = 0;

    (void)state;
    random_init(&rng, check_seed());
    for (int round = 0; round < 100; round++) {
        int n = 1 + (int)(random_bits(&rng) % 60), d = 1 + (int)(random_bits(&rng) % 8);
        for (int i = 0; i < n * d; i++)
            x[i] = (double)random_uniform(&rng);
        assert_int_equal(linkage_centroid(got, x, n, d, &err), 0);
        plain_linkage(want, x, n, d);
        for (int i = 0; i < n - 1; i++) {
            assert_int_equal(got[i].a, want[i].a);
            assert_int_equal(got[i].b, want[i].b);
            assert_int_equal(got[i].size, want[i].size);
            assert_true(fabs(got[i].height - want[i].height) < 1e-12);
            inversions += i > 0 && got[i].height < got[i - 1].height;
        }
    }
    assert_true(inversions > 0); // else the test is of nothing
}

/* All the same: heights of zero, and every cut is one cluster. */
static void test_equal_points(void **state)
{
    double x[20 * 3];
    struct merge merges[20];
    struct error err;
    int label[20];

    (void)state;
    for (int i = 0; i < 60; i++)
        x[i] = 0.5;
    assert_int_equal(linkage_centroid(merges, x, 20, 3, &err), 0);
    assert_int_equal(merges[18].size, 20);
    assert_true(merges[18].height == 0.0);
    assert_int_equal(linkage_cut(label, merges, NULL, 20, 0.0, &err), 1);
    assert_int_equal(linkage_cut_most(label, merges, 20, 1, &err), 1);
    assert_int_equal(linkage_cut(label, NULL, NULL, 1, 0.5, &err), 1);
    assert_int_equal(linkage_cut_most(label, merges, 2, 1, &err), 1);
    const struct ahc_settings s = {0.6, 13, 1, 20};
    assert_int_equal(ahc(label, x, 20, 3, &s, &err), 1);
}

/* Clusters on the axes, of the sizes given. */
static int axes(double *x, const int *size, int n_clusters, int d, struct random *rng)
{
    int n = 0;

    for (int k = 0; k < n_clusters; k++) {
        for (int i = 0; i < size[k]; i++, n++) {
            double squares = 0.0;
            for (int j = 0; j < d; j++) {
                x[n * d + j] = (j == k) + 0.05 * (double)random_uniform(rng);
                squares += x[n * d + j] * x[n * d + j];
            }
            for (int j = 0; j < d; j++)
                x[n * d + j] /= sqrt(squares);
        }
    }
    return n;
}

static void test_as_many_as_asked_for(void **state)
{
    const int size[] = {20, 15, 10, 2};
    struct random rng;
    struct error err;
    double x[50 * 8];
    int label[50];

    (void)state;
    random_init(&rng, check_seed());
    int n = axes(x, size, 4, 8, &rng);
    /* Nearer to the heights between the clusters (from 1.1) than to those within (below
     * 0.2): of all cuts into so many, that nearest to the threshold is taken. */
    struct ahc_settings s = {1.0, 5, 1, n};
    assert_int_equal(ahc(label, x, n, 8, &s, &err), 3); // the fourth is too small
    s.min_size = 2;
    assert_int_equal(ahc(label, x, n, 8, &s, &err), 4);
    s.max_clusters = 2;
    assert_int_equal(ahc(label, x, n, 8, &s, &err), 2);
    s.min_clusters = s.max_clusters = 3;
    assert_int_equal(ahc(label, x, n, 8, &s, &err), 3);
    for (int i = 1; i < 20; i++)
        assert_int_equal(label[i], label[0]);
}

/* --- a small recording ----------------------------------------------------- */

struct small {
    struct heard heard;
    struct windows windows;
    uint8_t sets[6 * FRAMES];
    float vectors[6 * 2 * WIDTH];
};

/* Six windows of 2 s, one a second; slots speak from and to, each with the vector of a
 * person; nobody: -1. */
static void small_open(struct small *m, int n_windows)
{
    struct error err;

    memset(m, 0, sizeof(*m));
    m->heard = (struct heard){n_windows, FRAMES, 2, WIDTH, m->sets, m->vectors};
    assert_int_equal(windows_init(&m->windows, 2.0, 1.0, &err), 0);
}

static void say(struct small *m, int window, int slot, int person, int from, int to)
{
    for (int t = from; t < to; t++)
        m->sets[window * FRAMES + t] = (uint8_t)(m->sets[window * FRAMES + t] | 1 << slot);
    for (int k = 0; k < WIDTH; k++)
        m->vectors[(window * 2 + slot) * WIDTH + k] = person < 0 ? 0.1f : k == person;
}

static struct regions run(struct small *m, struct offline_settings *s, int *n_speakers,
                          double seconds)
{
    struct regions r;
    struct error err;

    if (offline_run(&r, n_speakers, NULL, &m->heard, &m->windows, s, seconds, &err))
        check_fail("%s", err.text);
    return r;
}

static void test_silence(void **state)
{
    struct small m;
    struct regions r;
    struct error err = {""};
    int n;

    (void)state;
    small_open(&m, 3);
    for (int i = 0; i < 6; i++)
        say(&m, i / 2, i % 2, -1, 0, 0);
    struct offline_settings s = offline_defaults(CLUSTERING_AHC, 0);
    r = run(&m, &s, &n, 4.0);
    assert_int_equal(r.n, 0);
    s = offline_defaults(CLUSTERING_AHC, 1);
    assert_int_equal(offline_run(&r, &n, NULL, &m.heard, &m.windows, &s, 4.0, &err), -1);
    assert_non_null(strstr(err.text, "nobody speaks: DiariZen stops"));
}

/* Speech to the very end of the last window, of a recording that is shorter. */
static void test_end_of_the_recording(void **state)
{
    struct small m;
    int n;

    (void)state;
    small_open(&m, 2);
    for (int c = 0; c < 2; c++)
        say(&m, c, 0, 0, 0, FRAMES);
    for (int compat = 0; compat < 2; compat++) {
        struct offline_settings s = offline_defaults(CLUSTERING_AHC, compat);
        struct regions r = run(&m, &s, &n, 2.5);
        assert_int_equal(r.n, 1);
        assert_true(fabs(r.list[0].end - (compat ? 2.9925 : 2.5)) < 0.02);
        assert_true(fabs(r.list[0].start - (compat ? 0.0125 : 0.0025)) < 1e-9);
        regions_release(&r);
    }
}

/* The higher cluster speaks first: numbers are by first appearance, upstream's by cluster. */
static void test_numbers(void **state)
{
    struct small m;
    int n;

    (void)state;
    small_open(&m, 6);
    for (int c = 0; c < 6; c++) {
        say(&m, c, 0, c < 3 ? 1 : 0, 5, 90);
        say(&m, c, 1, -1, 0, 0);
    }
    for (int compat = 0; compat < 2; compat++) {
        struct offline_settings s = offline_defaults(CLUSTERING_AHC, compat);
        struct regions r = run(&m, &s, &n, 7.0);
        int first = r.list[0].speaker;
        double start = r.list[0].start;
        for (size_t i = 1; i < r.n; i++) {
            first = r.list[i].start < start ? r.list[i].speaker : first;
            start = r.list[i].start < start ? r.list[i].start : start;
        }
        if (!compat)
            assert_int_equal(first, 0);
        assert_int_equal(n, 2);
        regions_release(&r);
    }
}

/* A silent slot that fits a cluster better takes it away in compat only. */
static void test_silent_slot(void **state)
{
    struct small m;
    struct error err;

    (void)state;
    small_open(&m, 4);
    for (int c = 0; c < 4; c++) {
        say(&m, c, 0, 0, 5, 90);
        say(&m, c, 1, 0, 0, 0);
        m.vectors[(c * 2 + 0) * WIDTH + 1] = 0.2f; // what speaks fits a little worse
    }
    for (int compat = 0; compat < 2; compat++) {
        struct clustering_settings s = clustering_defaults(CLUSTERING_AHC, compat);
        struct clustering c = {0};
        double soft[4 * 2];
        assert_int_equal(clustering_run(&c, &m.heard, &s, &err), 0);
        assert_int_equal(c.n_clusters, 1);
        clustering_compare(soft, &m.heard, c.centroids, 1);
        for (int w = 0; w < 4; w++) {
            assert_int_equal(c.label[2 * w], compat && soft[2 * w + 1] > soft[2 * w]
                                                 ? CLUSTER_NONE : 0);
            assert_int_equal(c.label[2 * w + 1], CLUSTER_NONE);
        }
        clustering_release(&c);
    }
}

/* Two speak, both windows' slots hear only one person: the second column is nobody's. */
static void test_phantoms(void **state)
{
    const int label[] = {0, 0};
    struct small m;
    struct error err;
    uint8_t *count;
    int64_t n;

    (void)state;
    small_open(&m, 1);
    say(&m, 0, 0, 0, 10, 60);
    say(&m, 0, 1, 0, 40, 90);
    assert_int_equal(aggregate_count(&count, &n, &m.heard, &m.windows, 0.0, NULL, &err), 0);
    for (int compat = 0; compat < 2; compat++) {
        struct reconstruction r;
        int both = 0;
        assert_int_equal(reconstruct(&r, &m.heard, &m.windows, label, count, NULL, compat, &err), 0);
        assert_int_equal(r.n_columns, 2);
        for (int64_t t = 0; t < r.n_frames; t++)
            both += r.speaks[2 * t + 1];
        assert_int_equal(both, compat ? 20 : 0);
        reconstruction_release(&r);
    }
    free(count);
}

/* 130 clusters, of which the last two fit best. */
static void test_labels_of_eight_bits(void **state)
{
    struct small m;
    struct error err;
    double soft[2 * 130] = {0};
    int label[2];

    (void)state;
    small_open(&m, 1);
    say(&m, 0, 0, 0, 10, 40);
    say(&m, 0, 1, 1, 50, 90);
    for (int compat = 0; compat < 2; compat++) {
        soft[0 * 130 + 128] = soft[1 * 130 + 129] = 1.0;
        assert_int_equal(assign_apart(label, soft, &m.heard, 130, compat, &err), 0);
        assert_int_equal(label[0], compat ? -128 : 128);
        assert_int_equal(label[1], compat ? -127 : 129);
    }
}

static void test_renumber(void **state)
{
    int some[] = {2, CLUSTER_NONE, 0, 5}, all[] = {1, 0, 1, 0};
    const int some_after[] = {2, 0, 1, 3}, all_after[] = {1, 0, 1, 0};
    struct error err;

    (void)state;
    assert_int_equal(assign_renumber(some, 4, &err), 0);
    assert_memory_equal(some, some_after, sizeof(some));
    assert_int_equal(assign_renumber(all, 4, &err), 0);
    assert_memory_equal(all, all_after, sizeof(all));
}

/* Upstream's labels are 8 bits wide: 128 comes back as -128, a column from behind. */
static void test_many_clusters(void **state)
{
    const int wrapped[] = {127, -128}, right[] = {127, 128}, refused[] = {0, -128};
    struct small m;
    struct reconstruction r;
    struct error err = {""};
    uint8_t *count;
    int64_t n;

    (void)state;
    small_open(&m, 1);
    say(&m, 0, 0, 0, 10, 40);
    say(&m, 0, 1, 1, 50, 90);
    assert_int_equal(aggregate_count(&count, &n, &m.heard, &m.windows, 0.0, NULL, &err), 0);
    assert_int_equal(reconstruct(&r, &m.heard, &m.windows, wrapped, count, NULL, 1, &err), 0);
    assert_int_equal(r.n_columns, 128);
    assert_int_equal(r.speaks[20 * 128 + 127], 1);
    assert_int_equal(r.speaks[60 * 128 + 0], 1);
    reconstruction_release(&r);
    assert_int_equal(reconstruct(&r, &m.heard, &m.windows, right, count, NULL, 0, &err), 0);
    assert_int_equal(r.n_columns, 129);
    assert_int_equal(r.speaks[60 * 129 + 128], 1);
    reconstruction_release(&r);
    assert_int_equal(reconstruct(&r, &m.heard, &m.windows, refused, count, NULL, 1, &err), -1);
    assert_non_null(strstr(err.text, "127"));
    free(count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linkage),
        cmocka_unit_test(test_equal_points),
        cmocka_unit_test(test_as_many_as_asked_for),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_end_of_the_recording),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_silent_slot),
        cmocka_unit_test(test_phantoms),
        cmocka_unit_test(test_many_clusters),
        cmocka_unit_test(test_labels_of_eight_bits),
        cmocka_unit_test(test_renumber),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
