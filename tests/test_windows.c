// SPDX-License-Identifier: MIT
/* test_windows.c - cutting, median, overlap-add and count of speakers, binarisation
 * and RTTM text: against upstream's, and at their edges. */
#include "check.h"

#include "stream/aggregate.h"
#include "stream/binarize.h"
#include "stream/rttm_write.h"
#include "stream/windows.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct tensor *find(const struct checkpoint *c, const char *format, const char *a)
{
    char key[100];

    snprintf(key, sizeof(key), "%s%s", format, a);
    const struct tensor *t = checkpoint_find(c, key);
    if (!t)
        check_fail("no %s", key);
    return t;
}

/* Upstream's own windows, of any length and step. */
static struct windows cut(double seconds, double step)
{
    struct windows w;
    struct error err;

    if (windows_init(&w, seconds, step < 0.02 ? 0.02 : step, &err))
        check_fail("%s", err.text);
    w.step = step;
    return w;
}

static void test_number_of_windows(void **state)
{
    char *text = check_read(check_path("golden/offline/aggregate/chunking.json"));
    cJSON *json = cJSON_Parse(text);
    struct windows w = cut(16.0, 1.6);
    const cJSON *pair;
    int n = 0;

    (void)state;
    assert_int_equal(w.n_samples, 256000);
    assert_int_equal(w.n_step, 25600);
    assert_int_equal(w.n_frames, 799);
    cJSON_ArrayForEach(pair, cJSON_GetObjectItem(json, "samples_to_chunks")) {
        assert_int_equal(windows_count(&w, cJSON_GetArrayItem(pair, 0)->valueint),
                         cJSON_GetArrayItem(pair, 1)->valueint);
        n++;
    }
    assert_int_equal(n, 13);
    cJSON_Delete(json);
    free(text);
}

static void test_refused_windows(void **state)
{
    const double bad[][2] = {{0.0, 0.1}, {61.0, 1.0}, {10.0, 0.0}, {10.0, 11.0}, {NAN, 1.0},
                             {10.0, NAN}, {-5.0, 1.0}};
    struct windows w;
    struct error err;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(windows_init(&w, bad[i][0], bad[i][1], &err), -1);
}

static void test_first_frames(void **state)
{
    const double steps[] = {0.25, 0.4, 0.5, 0.333, 0.8, 1.0, 1.6, 0.05, 0.01, 0.03};
    struct checkpoint golden;

    (void)state;
    check_open(&golden, check_path("golden/offline/aggregate/io.safetensors"));
    for (size_t k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
        char name[20];
        snprintf(name, sizeof(name), steps[k] == 1.0 ? "%.1f" : "%g", steps[k]);
        const struct tensor *want = find(&golden, "start_frames.step_", name);
        struct windows w = cut(16.0, steps[k]);
        for (int c = 0; c < 500; c++)
            assert_int_equal(windows_frame(&w, c), ((const int32_t *)want->data)[c]);
    }
    checkpoint_close(&golden);
}

struct geometry {
    const char *name;
    double seconds, step;
};

static const struct geometry geometries[] = {{"a", 4.0, 0.4}, {"b", 5.0, 0.25}, {"c", 5.0, 0.333}};

enum { WEIGHT_ONE, WEIGHT_HAMMING, WEIGHT_WARM };

static void check_aggregate(const struct checkpoint *golden, const struct geometry *g,
                            const char *what, int weight, int is_sum, float missing)
{
    char key[60];
    struct windows w = cut(g->seconds, g->step);
    struct aggregate a;
    struct error err;
    double weights[400];

    snprintf(key, sizeof(key), "%s.scores", g->name);
    const struct tensor *in = find(golden, "in.", key);
    snprintf(key, sizeof(key), "%s.%s", g->name, what);
    const struct tensor *out = find(golden, "out.", key);
    int n = (int)in->size[1], columns = (int)in->size[2], warm = (int)rint(0.1 * n);
    assert_int_equal(n, w.n_frames);
    for (int t = 0; t < n; t++) {
        weights[t] = 1.0;
        if (weight == WEIGHT_HAMMING)
            weights[t] = 0.54 - 0.46 * cos(2.0 * M_PI * t / (n - 1));
        if (weight == WEIGHT_WARM && (t < warm || t >= n - warm))
            weights[t] = 1e-12;
    }
    assert_int_equal(aggregate_open(&a, &w, in->size[0], columns, weights, &err), 0);
    assert_int_equal(a.n_frames, out->size[0]);
    for (int c = 0; c < in->size[0]; c++)
        aggregate_add(&a, c, (const float *)in->data + (int64_t)c * n * columns);
    if (is_sum)
        aggregate_sum(&a, missing);
    else
        aggregate_mean(&a, missing);
    for (int64_t i = 0; i < a.n_frames * columns; i++) {
        float want = ((const float *)out->data)[i];
        if (isnan(want) ? !isnan(a.sum[i]) : !(fabsf(want - a.sum[i]) <= 2e-6f))
            check_fail("%s.%s[%lld] is %g, not %g", g->name, what, (long long)i, (double)a.sum[i],
                       (double)want);
    }
    aggregate_close(&a);
}

static void test_aggregate(void **state)
{
    struct checkpoint golden;

    (void)state;
    check_open(&golden, check_path("golden/offline/aggregate/io.safetensors"));
    for (int k = 0; k < 3; k++) {
        check_aggregate(&golden, &geometries[k], "mean", WEIGHT_ONE, 0, 0.0f);
        check_aggregate(&golden, &geometries[k], "sum", WEIGHT_ONE, 1, 0.0f);
        check_aggregate(&golden, &geometries[k], "hamming", WEIGHT_HAMMING, 0, 0.0f);
        check_aggregate(&golden, &geometries[k], "warm", WEIGHT_WARM, 0, 0.0f);
        check_aggregate(&golden, &geometries[k], "missing_nan", WEIGHT_ONE, 0, NAN);
    }
    checkpoint_close(&golden);
}

/* 0/1 of each slot to sets, to be freed. */
static uint8_t *sets_of(const struct tensor *t)
{
    size_t n = (size_t)(t->size[0] * t->size[1]), slots = (size_t)t->size[2];
    uint8_t *sets = calloc(n, 1);

    assert_non_null(sets);
    for (size_t i = 0; i < n * slots; i++)
        sets[i / slots] = (uint8_t)(sets[i / slots] | ((const uint8_t *)t->data)[i] << i % slots);
    return sets;
}

static void test_count(void **state)
{
    struct checkpoint golden;
    struct error err;

    (void)state;
    check_open(&golden, check_path("golden/offline/aggregate/io.safetensors"));
    for (int k = 0; k < 3; k++) {
        char key[60];
        snprintf(key, sizeof(key), "%s.binary", geometries[k].name);
        const struct tensor *in = find(&golden, "in.", key);
        struct windows w = cut(geometries[k].seconds, geometries[k].step);
        struct heard h = {.n_windows = (int)in->size[0], .n_frames = (int)in->size[1],
                          .n_slots = (int)in->size[2], .sets = sets_of(in)};
        for (int warm = 0; warm < 2; warm++) {
            uint8_t *count;
            int64_t n;
            snprintf(key, sizeof(key), "%s.count.warm_up_0.%d", geometries[k].name, warm);
            const struct tensor *out = find(&golden, "out.", key);
            assert_int_equal(aggregate_count(&count, &n, &h, &w, 0.1 * warm, NULL, &err), 0);
            assert_int_equal(n, out->size[0]);
            assert_memory_equal(count, out->data, (size_t)n);
            free(count);
        }
        free(h.sets);
    }
    checkpoint_close(&golden);
}

/* What the middle of a window says outweighs the end of another. */
static void test_count_weighted(void **state)
{
    enum { FRAMES = 49 };
    uint8_t sets[2 * FRAMES] = {0}, *count;
    double weights[FRAMES];
    struct heard h = {.n_windows = 2, .n_frames = FRAMES, .n_slots = 2, .sets = sets};
    struct windows w = cut(1.0, 0.5);
    struct error err;
    int64_t n;

    (void)state;
    memset(sets + FRAMES, 3, FRAMES); // two in the second window, nobody in the first
    for (int t = 0; t < FRAMES; t++)
        weights[t] = t < 10 || t >= 39 ? 1.0 : 3.0;
    assert_int_equal(aggregate_count(&count, &n, &h, &w, 0.0, NULL, &err), 0);
    assert_int_equal(count[24], 0);
    assert_int_equal(count[30], 1); // half of two
    assert_int_equal(count[45], 1);
    assert_int_equal(count[50], 2);
    free(count);
    assert_int_equal(aggregate_count(&count, &n, &h, &w, 0.0, weights, &err), 0);
    assert_int_equal(count[24], 0);
    assert_int_equal(count[30], 0); // a quarter of two, half to even
    assert_int_equal(count[45], 2); // three quarters, likewise
    assert_int_equal(count[50], 2);
    free(count);
}

static void test_median(void **state)
{
    struct checkpoint golden;

    (void)state;
    check_open(&golden, check_path("golden/offline/aggregate/io.safetensors"));
    for (int k = 0; k < 2; k++) {
        const struct tensor *in = find(&golden, "in.", k ? "median_short" : "median");
        const struct tensor *out = find(&golden, "out.", k ? "median_short" : "median");
        uint8_t *sets = sets_of(in), *want = sets_of(out), filtered[60];
        int n = (int)in->size[1];
        for (int c = 0; c < in->size[0]; c++) {
            heard_median(filtered, sets + c * n, n);
            assert_memory_equal(filtered, want + c * n, (size_t)n);
        }
        free(sets);
        free(want);
    }
    checkpoint_close(&golden);
}

/* --- binarisation -------------------------------------------------------- */

static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"};

static void check_binarize(const struct tensor *y, const char *file, struct binarize_settings s)
{
    char *want = check_read(check_path("golden/offline/binarize/%s.rttm", file));
    int n = (int)y->size[0], columns = (int)y->size[1];
    float *column = malloc((size_t)n * sizeof(float));
    struct regions r = {0};
    struct error err;

    assert_non_null(column);
    s.compat = 1;
    for (int k = 0; k < columns; k++) {
        for (int t = 0; t < n; t++)
            column[t] = y->dtype == DTYPE_U8 ? (float)((const uint8_t *)y->data)[t * columns + k]
                                             : ((const float *)y->data)[t * columns + k];
        assert_int_equal(binarize(&r, k, column, n, &s, &err), 0);
    }
    char *got = rttm_text(&r, "rec", digits, &err);
    assert_non_null(got);
    if (strcmp(got, want))
        check_fail("%s: RTTM is\n%s", file, got);
    regions_release(&r);
    free(column);
    free(got);
    free(want);
}

static void test_binarize(void **state)
{
    struct checkpoint golden;

    (void)state;
    check_open(&golden, check_path("golden/offline/binarize/io.safetensors"));
    const struct tensor *soft = find(&golden, "in.", "soft");
    const struct tensor *stamps = find(&golden, "", "timestamps");
    check_binarize(find(&golden, "in.", "hard"), "hard", binarize_defaults(1));
    check_binarize(soft, "soft_05", binarize_defaults(1));
    check_binarize(soft, "soft_hyst", (struct binarize_settings){.onset = 0.7, .offset = 0.3});
    check_binarize(soft, "soft_durations", (struct binarize_settings){
        .onset = 0.5, .offset = 0.5, .min_on = 0.2, .min_off = 0.15});
    check_binarize(soft, "soft_pad", (struct binarize_settings){
        .onset = 0.6, .offset = 0.4, .pad_onset = 0.05, .pad_offset = 0.03});
    for (int t = 0; t < stamps->size[0]; t++)
        assert_true(binarize_stamp(t, 1) == ((const double *)stamps->data)[t]);
    checkpoint_close(&golden);
}

static void test_stamps_where_the_speech_is(void **state)
{
    const float y[] = {0, 0, 1, 1, 1, 0, 0};
    struct binarize_settings s = binarize_defaults(0);
    struct regions r = {0};
    struct error err;

    (void)state;
    assert_int_equal(binarize(&r, 0, y, 7, &s, &err), 0);
    assert_int_equal(r.n, 1);
    assert_true(fabs(r.list[0].start - 0.0425) < 1e-12);
    assert_true(fabs(r.list[0].end - 0.1025) < 1e-12);
    regions_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_of_windows),
        cmocka_unit_test(test_refused_windows),
        cmocka_unit_test(test_first_frames),
        cmocka_unit_test(test_aggregate),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_count_weighted),
        cmocka_unit_test(test_median),
        cmocka_unit_test(test_binarize),
        cmocka_unit_test(test_stamps_where_the_speech_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
