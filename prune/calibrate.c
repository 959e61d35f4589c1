// SPDX-License-Identifier: MIT
#include "prune/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* LAPACK's, which OpenBLAS holds: a x = w b x for symmetric a and positive b, w rising, rows
 * of a become the x (C's order), with x' b x = 1. */
void dsygv_(const int *type, const char *vectors, const char *part, const int *n, double *a,
            const int *lda, double *b, const int *ldb, double *w, double *work, const int *n_work,
            int *info);

int calibration_open(struct calibration *k, int width, int n_frames, struct error *err)
{
    size_t n = (size_t)width;

    *k = (struct calibration){.width = width, .most = n_frames / CALIBRATE_STRETCH + 1};
    k->within = calloc(n * n, sizeof(double));
    k->between = calloc(n * n, sizeof(double));
    k->mean = calloc(n, sizeof(double));
    k->row = calloc(n, sizeof(double));
    k->stretches = calloc(n * (size_t)k->most, sizeof(double));
    if (k->within && k->between && k->mean && k->row && k->stretches)
        return 0;
    calibration_close(k);
    return fail(err, "out of memory");
}

void calibration_close(struct calibration *k)
{
    free(k->within);
    free(k->between);
    free(k->mean);
    free(k->row);
    free(k->stretches);
    *k = (struct calibration){0};
}

/* The lower half of to += scale x x'. */
static void add_square(double *to, const double *x, double scale, int n)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++)
            to[(size_t)i * (size_t)n + (size_t)j] += scale * x[i] * x[j];
    }
}

void calibration_add(struct calibration *k, const float *frames, int stride, int n)
{
    int C = k->width, stretches = n / CALIBRATE_STRETCH;
    double *mean = k->row;

    stretches = stretches < k->most ? stretches : k->most;
    if (stretches < 2)
        return;
    memset(mean, 0, (size_t)C * sizeof(*mean));
    memset(k->stretches, 0, (size_t)(stretches * C) * sizeof(*mean));
    for (int s = 0; s < stretches; s++) {
        double *x = k->stretches + (size_t)s * (size_t)C;
        for (int t = s * CALIBRATE_STRETCH; t < (s + 1) * CALIBRATE_STRETCH; t++) {
            for (int c = 0; c < C; c++)
                x[c] += (double)frames[(size_t)t * (size_t)stride + (size_t)c] / CALIBRATE_STRETCH;
        }
        for (int c = 0; c < C; c++)
            mean[c] += x[c] / stretches;
    }
    for (int s = 0; s < stretches; s++) {
        double *x = k->stretches + (size_t)s * (size_t)C;
        for (int c = 0; c < C; c++)
            x[c] -= mean[c];
        add_square(k->within, x, (double)stretches / (stretches - 1), C);
    }
    add_square(k->between, mean, 1.0, C);
    for (int c = 0; c < C; c++)
        k->mean[c] += mean[c];
    k->n_stretches += stretches;
    k->n_speakers += 1.0;
    k->share += 1.0 / stretches;
}

/* W with its ridge and B, of both the half that is read. */
static void covariances(double *w, double *b, const struct calibration *k, double ridge)
{
    int C = k->width;
    double trace = 0.0;

    for (int i = 0; i < C; i++)
        trace += k->within[(size_t)i * (size_t)C + (size_t)i] / k->n_stretches;
    for (int i = 0; i < C; i++) {
        for (int j = 0; j <= i; j++) {
            size_t at = (size_t)i * (size_t)C + (size_t)j;
            double within = k->within[at] / k->n_stretches;
            b[at] = k->between[at] / k->n_speakers -
                    k->mean[i] * k->mean[j] / (k->n_speakers * k->n_speakers) -
                    within * k->share / k->n_speakers;
            w[at] = within + (i == j ? ridge * trace / C + 1e-30 : 0.0);
        }
    }
}

int calibration_fit(float *weight, int stride, float *bias, const struct calibration *k, int n_vector,
                    double ridge, struct error *err)
{
    int C = k->width, type = 1, n_work = 34 * C, info = -1;
    size_t square = (size_t)C * (size_t)C;
    double *w = NULL, *b = NULL, *values = NULL, *work = NULL;

    if (n_vector > C)
        return fail(err, "vectors of %d numbers from a sum of %d: no more than that were expected",
                    n_vector, C);
    if (k->n_speakers < 2.0 * n_vector)
        return fail(err, "%.0f speakers of clips with two seconds alone: for vectors of %d numbers "
                         "at least %d are needed; take more clips", k->n_speakers, n_vector,
                    2 * n_vector);
    w = malloc(square * sizeof(*w));
    b = malloc(square * sizeof(*b));
    values = malloc((size_t)C * sizeof(*values));
    work = malloc((size_t)n_work * sizeof(*work));
    if (w && b && values && work) {
        covariances(w, b, k, ridge);
        dsygv_(&type, "V", "U", &C, b, &C, w, &C, values, work, &n_work, &info);
        if (info)
            fail(err, "the scatter of the layer sum has no inverse: is it the same for all frames?");
    } else {
        fail(err, "out of memory");
    }
    for (int e = 0; info == 0 && e < n_vector; e++) {
        const double *x = b + (size_t)(C - 1 - e) * (size_t)C;
        double shift = 0.0;
        for (int c = 0; c < C; c++) {
            weight[(size_t)e * (size_t)stride + (size_t)c] = (float)x[c];
            shift += x[c] * k->mean[c] / k->n_speakers;
        }
        bias[e] = (float)-shift;
    }
    free(w);
    free(b);
    free(values);
    free(work);
    return info ? -1 : 0;
}

/* --- trials ----------------------------------------------------------- */

void vector_trials_close(struct vector_trials *v)
{
    free(v->same.list);
    free(v->different.list);
    *v = (struct vector_trials){0};
}

static int push(struct trials *t, float cosine, float expected, struct error *err)
{
    if (t->n == t->room) {
        int room = t->room ? 2 * t->room : 1024;
        struct trial *list = realloc(t->list, (size_t)room * sizeof(*list));
        if (!list)
            return fail(err, "out of memory");
        t->list = list;
        t->room = room;
    }
    t->list[t->n++] = (struct trial){cosine, expected};
    return 0;
}

/* How far stretches and voices of so many frames can be like (stream/voices.h). */
static float expected_of(int n, int of)
{
    return sqrtf((float)n / ((float)n + 40.0f) * (float)of / ((float)of + 60.0f));
}

static void sum_rows(double *sum, const float *rows, int n, int width, double sign)
{
    for (int t = 0; t < n; t++) {
        for (int e = 0; e < width; e++)
            sum[e] += sign * (double)rows[(size_t)t * (size_t)width + (size_t)e];
    }
}

static float cosine_of(const double *a, const double *b, int n)
{
    double aa = 0.0, bb = 0.0, ab = 0.0;

    for (int i = 0; i < n; i++) {
        aa += a[i] * a[i];
        bb += b[i] * b[i];
        ab += a[i] * b[i];
    }
    return aa > 0.0 && bb > 0.0 ? (float)(ab / sqrt(aa * bb)) : 0.0f;
}

/* A speaker's stretches against the sum of a speaker, the same or another. */
static int try_pair(struct vector_trials *v, const float *rows, int n, const double *sum, int of,
                    int same, int width, double *scratch, struct error *err)
{
    const int L = CALIBRATE_STRETCH;
    double *x = scratch, *rest = scratch + width;

    for (int t = 0; t + L <= n; t += L) {
        const float *stretch = rows + (size_t)t * (size_t)width;
        int left = same ? of - L : of;
        memset(x, 0, (size_t)width * sizeof(*x));
        memcpy(rest, sum, (size_t)width * sizeof(*rest));
        sum_rows(x, stretch, L, width, 1.0);
        if (same)
            sum_rows(rest, stretch, L, width, -1.0);
        if (left >= L && push(same ? &v->same : &v->different, cosine_of(x, rest, width),
                              expected_of(L, left), err))
            return -1;
    }
    return 0;
}

int vector_trials_add(struct vector_trials *v, const float *vectors, const int *n, int n_speakers,
                      int width, struct error *err)
{
    double *scratch = calloc(3 * (size_t)width + 1, sizeof(*scratch)), *sum = scratch;
    const float *of = vectors;
    int status = scratch ? 0 : fail(err, "out of memory");

    for (int b = 0; status == 0 && b < n_speakers; b++) {
        const float *rows = vectors;
        memset(sum, 0, (size_t)width * sizeof(*sum));
        sum_rows(sum, of, n[b], width, 1.0);
        for (int a = 0; status == 0 && a < n_speakers; a++) {
            status = try_pair(v, rows, n[a], sum, n[b], a == b, width, scratch + width, err);
            rows += (size_t)n[a] * (size_t)width;
        }
        of += (size_t)n[b] * (size_t)width;
    }
    free(scratch);
    return status;
}

static int by_cosine(const void *a, const void *b)
{
    float x = ((const struct trial *)a)->cosine, y = ((const struct trial *)b)->cosine;

    return (x > y) - (x < y);
}

int vector_trials_equal_error(double *percent, double *distance, struct vector_trials *v,
                              struct error *err)
{
    struct trials *s = &v->same, *d = &v->different;
    double expected = 0.0;
    int i = 0, below = 0;

    if (!s->n || !d->n)
        return fail(err, "no clip has two speakers with two seconds alone: nothing to measure "
                         "vectors by");
    qsort(s->list, (size_t)s->n, sizeof(*s->list), by_cosine);
    qsort(d->list, (size_t)d->n, sizeof(*d->list), by_cosine);
    for (; i < s->n; i++) { // refused of the same: i; taken of the different: the rest
        while (below < d->n && d->list[below].cosine < s->list[i].cosine)
            below++;
        if ((double)i / s->n >= (double)(d->n - below) / d->n)
            break;
    }
    i = i < s->n ? i : s->n - 1;
    *percent = 50.0 * ((double)i / s->n + (double)(d->n - below) / d->n);
    for (int k = 0; k < s->n; k++)
        expected += (double)s->list[k].expected / s->n;
    *distance = fmin(fmax(1.0 - (double)s->list[i].cosine / expected, 0.05), 1.95);
    return 0;
}
