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

int calibration_open(struct calibration *k, int width, int stretch, struct error *err)
{
    size_t n = (size_t)width;

    *k = (struct calibration){.width = width, .stretch = stretch};
    k->square = calloc(n * n, sizeof(double));
    k->row = calloc(n, sizeof(double));
    if (k->square && k->row)
        return 0;
    calibration_close(k);
    return fail(err, "out of memory");
}

void calibration_close(struct calibration *k)
{
    free(k->square);
    free(k->sums);
    free(k->stretches);
    free(k->row);
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

/* People 0 .. n - 1 are there, those who were not with nothing said. */
static int make_room(struct calibration *k, int n, struct error *err)
{
    size_t C = (size_t)k->width;

    if (n > k->room) {
        int room = n > 2 * k->room ? n : 2 * k->room;
        double *sums = realloc(k->sums, (size_t)room * C * sizeof(*sums));
        k->sums = sums ? sums : k->sums;
        int *stretches = realloc(k->stretches, (size_t)room * sizeof(*stretches));
        k->stretches = stretches ? stretches : k->stretches;
        if (!sums || !stretches)
            return fail(err, "out of memory");
        k->room = room;
    }
    for (; k->n_people < n; k->n_people++) {
        memset(k->sums + (size_t)k->n_people * C, 0, C * sizeof(*k->sums));
        k->stretches[k->n_people] = 0;
    }
    return 0;
}

int calibration_add(struct calibration *k, int who, const float *frames, int stride, int n,
                    struct error *err)
{
    int C = k->width, L = k->stretch;
    double *x = k->row, *sum;

    if (n < L)
        return 0;
    who = who == CALIBRATE_SOMEBODY_NEW ? k->n_people : who;
    if (make_room(k, who < k->n_people ? k->n_people : who + 1, err))
        return -1;
    sum = k->sums + (size_t)who * (size_t)C;
    for (int t = 0; t + L <= n; t += L) {
        memset(x, 0, (size_t)C * sizeof(*x));
        for (int i = t; i < t + L; i++) {
            for (int c = 0; c < C; c++)
                x[c] += (double)frames[(size_t)i * (size_t)stride + (size_t)c] / L;
        }
        add_square(k->square, x, 1.0, C);
        for (int c = 0; c < C; c++)
            sum[c] += x[c];
        k->stretches[who]++;
    }
    return 0;
}

int calibration_people(const struct calibration *k)
{
    int people = 0;

    for (int i = 0; i < k->n_people; i++)
        people += k->stretches[i] > 1;
    return people;
}

/* W with its ridge and B, of both the lower half; the mean of the people. Who said one stretch
 * adds nothing to either: its square is its person's. */
static void covariances(double *w, double *b, double *mean, const struct calibration *k, double ridge)
{
    int C = k->width, people = calibration_people(k);
    size_t square = (size_t)C * (size_t)C;
    double trace = 0.0, free_stretches = 0.0, share = 0.0; // of one stretch in its person's mean

    memcpy(w, k->square, square * sizeof(*w));
    memset(b, 0, square * sizeof(*b));
    memset(mean, 0, (size_t)C * sizeof(*mean));
    for (int i = 0; i < k->n_people; i++) {
        double *own = k->row, n = k->stretches[i];
        for (int c = 0; c < C && n > 0.0; c++)
            own[c] = k->sums[(size_t)i * (size_t)C + (size_t)c] / n;
        if (n > 0.0)
            add_square(w, own, -n, C);
        if (n < 2.0)
            continue;
        add_square(b, own, 1.0 / people, C);
        for (int c = 0; c < C; c++)
            mean[c] += own[c] / people;
        free_stretches += n - 1.0;
        share += 1.0 / (n * people);
    }
    for (size_t i = 0; i < square; i++)
        w[i] /= free_stretches;
    add_square(b, mean, -1.0, C);
    for (int i = 0; i < C; i++)
        trace += w[(size_t)i * (size_t)C + (size_t)i];
    for (size_t i = 0; i < square; i++)
        b[i] -= share * w[i];
    for (int i = 0; i < C; i++)
        w[(size_t)i * (size_t)C + (size_t)i] += ridge * trace / C + 1e-30;
}

/* A's rows, which are those of b from the last on, with their scales; values rise. */
static void put_rows(float *weight, int stride, float *bias, const double *b, const double *values,
                     const double *mean, int n_vector, int C, double scale)
{
    double sum = 0.0;

    for (int e = 0; e < n_vector; e++)
        sum += fmax(values[C - 1 - e], 0.0) / n_vector;
    for (int e = 0; e < n_vector; e++) {
        const double *x = b + (size_t)(C - 1 - e) * (size_t)C;
        double by = scale > 0.0 ? scale * sqrt(fmax(values[C - 1 - e], 0.0) / (sum + 1e-30)) : 1.0;
        double shift = 0.0;
        for (int c = 0; c < C; c++) {
            weight[(size_t)e * (size_t)stride + (size_t)c] = (float)(by * x[c]);
            shift += by * x[c] * mean[c];
        }
        bias[e] = (float)-shift;
    }
}

int calibration_fit(float *weight, int stride, float *bias, const struct calibration *k, int n_vector,
                    const struct calibration_settings *s, struct error *err)
{
    int C = k->width, type = 1, n_work = 34 * C, info = -1, people = calibration_people(k);
    size_t square = (size_t)C * (size_t)C;
    double *w = NULL, *b = NULL, *values = NULL, *work = NULL, *mean = NULL;

    if (n_vector > C)
        return fail(err, "vectors of %d numbers from a sum of %d: no more than that were expected",
                    n_vector, C);
    if (people < 2 * n_vector)
        return fail(err, "%d people who said two stretches of %g s alone: for vectors of %d numbers "
                         "at least %d are needed; take more clips", people, 0.02 * k->stretch,
                    n_vector, 2 * n_vector);
    w = malloc(square * sizeof(*w));
    b = malloc(square * sizeof(*b));
    values = malloc((size_t)C * sizeof(*values));
    work = malloc((size_t)n_work * sizeof(*work));
    mean = malloc((size_t)C * sizeof(*mean));
    if (w && b && values && work && mean) {
        covariances(w, b, mean, k, s->ridge);
        dsygv_(&type, "V", "U", &C, b, &C, w, &C, values, work, &n_work, &info);
        if (info)
            fail(err, "the scatter of the layer sum has no inverse: is it the same for all frames?");
        else
            put_rows(weight, stride, bias, b, values, mean, n_vector, C, s->scale);
    } else {
        fail(err, "out of memory");
    }
    free(w);
    free(b);
    free(values);
    free(work);
    free(mean);
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
