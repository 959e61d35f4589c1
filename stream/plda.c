// SPDX-License-Identifier: MIT
#include "stream/plda.h"

#include "model/npz.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every number finite, every psi at least 0. */
static int check_numbers(const struct plda *p, const char *folder, struct error *err)
{
    const struct {
        const char *name;
        const double *x;
        size_t n;
    } list[] = {
        {"mean1", p->mean1, (size_t)p->width}, {"mean2", p->mean2, (size_t)p->dims},
        {"lda", p->lda, (size_t)p->width * (size_t)p->dims}, {"mu", p->mu, (size_t)p->dims},
        {"tr", p->tr, (size_t)p->dims * (size_t)p->dims}, {"psi", p->psi, (size_t)p->dims},
    };

    for (size_t k = 0; k < sizeof(list) / sizeof(*list); k++) {
        for (size_t i = 0; i < list[k].n; i++) {
            if (!isfinite(list[k].x[i]) || (list[k].x == p->psi && p->psi[i] < 0.0))
                return fail(err, "%s: array %s has an impossible number at %zu; fetch it again",
                            folder, list[k].name, i);
        }
    }
    return 0;
}

/* Insertion: of equal ones the earlier stays first. */
static int sort_rows(struct plda *p, struct error *err)
{
    size_t D = (size_t)p->dims;
    double *row = malloc(D * sizeof(double));

    if (!row)
        return fail(err, "out of memory");
    for (size_t i = 1; i < D; i++) {
        double psi = p->psi[i];
        size_t to = i;
        while (to > 0 && p->psi[to - 1] < psi)
            to--;
        memcpy(row, p->tr + i * D, D * sizeof(double));
        memmove(p->tr + (to + 1) * D, p->tr + to * D, (i - to) * D * sizeof(double));
        memcpy(p->tr + to * D, row, D * sizeof(double));
        memmove(p->psi + to + 1, p->psi + to, (i - to) * sizeof(double));
        p->psi[to] = psi;
    }
    free(row);
    return 0;
}

/* xvec_transform.npz tells the widths, plda.npz must agree. */
static int read_both(struct plda *p, struct npz *transform, struct npz *plda, struct error *err)
{
    int64_t lda[2] = {0, 0};

    p->lda = npz_doubles(transform, "lda", lda, 2, err);
    if (!p->lda)
        return -1;
    p->width = (int)lda[0];
    p->dims = (int)lda[1];
    int64_t square[2] = {p->dims, p->dims};
    p->mean1 = npz_doubles(transform, "mean1", &lda[0], 1, err);
    p->mean2 = p->mean1 ? npz_doubles(transform, "mean2", &lda[1], 1, err) : NULL;
    p->mu = p->mean2 ? npz_doubles(plda, "mu", &lda[1], 1, err) : NULL;
    p->tr = p->mu ? npz_doubles(plda, "tr", square, 2, err) : NULL;
    p->psi = p->tr ? npz_doubles(plda, "psi", &lda[1], 1, err) : NULL;
    return p->psi ? 0 : -1;
}

int plda_read(struct plda *p, const char *folder, struct error *err)
{
    char path[2][4096];
    struct npz transform = {0}, plda = {0};
    int status = -1;

    *p = (struct plda){0};
    snprintf(path[0], sizeof(path[0]), "%s/xvec_transform.npz", folder);
    snprintf(path[1], sizeof(path[1]), "%s/plda.npz", folder);
    if (npz_open(&transform, path[0], err) == 0 && npz_open(&plda, path[1], err) == 0 &&
        read_both(p, &transform, &plda, err) == 0 && check_numbers(p, folder, err) == 0 &&
        sort_rows(p, err) == 0)
        status = 0;
    npz_close(&transform);
    npz_close(&plda);
    if (status)
        plda_release(p);
    return status;
}

/* x becomes sqrt(n) long. */
static void to_length(double *x, int n)
{
    double squares = 0.0;

    for (int i = 0; i < n; i++)
        squares += x[i] * x[i];
    for (int i = 0; i < n && squares > 0.0; i++)
        x[i] *= sqrt((double)n / squares);
}

/* y [W] and z [D] are scratch. */
static void transform_one(double *fea, const struct plda *p, const double *x, int dims, double *y,
                          double *z)
{
    for (int i = 0; i < p->width; i++)
        y[i] = x[i] - p->mean1[i];
    to_length(y, p->width);
    for (int j = 0; j < p->dims; j++)
        z[j] = -p->mean2[j];
    for (int i = 0; i < p->width; i++) {
        for (int j = 0; j < p->dims; j++)
            z[j] += p->lda[(size_t)i * (size_t)p->dims + (size_t)j] * y[i];
    }
    to_length(z, p->dims);
    for (int d = 0; d < dims; d++) {
        const double *row = p->tr + (size_t)d * (size_t)p->dims;
        double sum = 0.0;
        for (int j = 0; j < p->dims; j++)
            sum += row[j] * (z[j] - p->mu[j]);
        fea[d] = sum;
    }
}

int plda_transform(double *fea, const struct plda *p, const double *x, int n, int dims,
                   struct error *err)
{
    double *scratch = malloc(((size_t)p->width + (size_t)p->dims) * sizeof(double));

    if (!scratch)
        return fail(err, "out of memory");
    for (int i = 0; i < n; i++)
        transform_one(fea + (size_t)i * (size_t)dims, p, x + (size_t)i * (size_t)p->width, dims,
                      scratch, scratch + p->width);
    free(scratch);
    return 0;
}

void plda_release(struct plda *p)
{
    free(p->mean1);
    free(p->mean2);
    free(p->lda);
    free(p->mu);
    free(p->tr);
    free(p->psi);
    *p = (struct plda){0};
}
