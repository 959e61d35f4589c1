// SPDX-License-Identifier: MIT
/* npz.c - the header of a .npy is a Python dictionary of three entries:
 *
 *   {'descr': '<f8', 'fortran_order': False, 'shape': (256, 128), }
 *
 * read here by its own small grammar: these keys in any order, once each. */
#include "model/npz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum { MAX_SIZE = 65536, MAX_HEADER = 65536, MAX_BYTES = 256 << 20 };

struct text {
    const char *at, *end;
};

static void skip_blanks(struct text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' || *t->at == '\t'))
        t->at++;
}

/* Takes that text if it is next. */
static int take(struct text *t, const char *wanted)
{
    size_t n = strlen(wanted);

    skip_blanks(t);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, wanted, n))
        return 0;
    t->at += n;
    return 1;
}

static int take_size(struct text *t, int64_t *size)
{
    const char *begin;

    skip_blanks(t);
    begin = t->at;
    *size = 0;
    while (t->at < t->end && *t->at >= '0' && *t->at <= '9' && *size <= MAX_SIZE)
        *size = *size * 10 + (*t->at++ - '0');
    return t->at > begin && *size >= 1 && *size <= MAX_SIZE;
}

static int parse_shape(struct npy *a, struct text *t, struct error *err)
{
    a->n_axes = 0;
    if (!take(t, "("))
        return fail(err, "has no shape in its header; the file is damaged");
    while (!take(t, ")")) {
        if (a->n_axes == NPY_MAX_AXES)
            return fail(err, "has more than %d axes", NPY_MAX_AXES);
        if (!take_size(t, &a->size[a->n_axes]))
            return fail(err, "axis %d is no size from 1 to %d", a->n_axes, MAX_SIZE);
        a->n_axes++;
        if (!take(t, ",") && (t->at == t->end || *t->at != ')'))
            return fail(err, "has a damaged shape in its header");
    }
    return 0;
}

static int parse_type(struct npy *a, struct text *t, struct error *err)
{
    if (take(t, "'<f8'"))
        a->bytes = 8;
    else if (take(t, "'<f4'"))
        a->bytes = 4;
    else
        return fail(err, "is of another type than <f4 and <f8; save it as float32 or float64");
    return 0;
}

static int parse_header(struct npy *a, struct text t, struct error *err)
{
    int seen = 0, key;

    if (!take(&t, "{"))
        return fail(err, "has no header of numpy's; the file is damaged");
    while (!take(&t, "}")) {
        int status = 0;
        key = take(&t, "'descr'") ? 1 : take(&t, "'fortran_order'") ? 2
            : take(&t, "'shape'") ? 4 : 0;
        if (!key || (seen & key) || !take(&t, ":"))
            return fail(err, "has an unknown or repeated entry in its header");
        if (key == 1)
            status = parse_type(a, &t, err);
        else if (key == 4)
            status = parse_shape(a, &t, err);
        else if (take(&t, "True"))
            a->fortran = 1;
        else if (!take(&t, "False"))
            return fail(err, "fortran_order is neither True nor False");
        if (status)
            return -1;
        seen |= key;
        skip_blanks(&t);
        if (!take(&t, ",") && (t.at == t.end || *t.at != '}'))
            return fail(err, "has a damaged header");
    }
    return seen == 7 ? 0 : fail(err, "lacks type, order or shape in its header");
}

int npy_parse(struct npy *a, const unsigned char *bytes, size_t n_bytes, struct error *err)
{
    size_t n_header, begin = 10;

    *a = (struct npy){0};
    if (n_bytes < 12 || memcmp(bytes, "\x93NUMPY", 6))
        return fail(err, "is no .npy of numpy");
    n_header = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] == 2 || bytes[6] == 3) {
        n_header |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
        begin = 12;
    } else if (bytes[6] != 1) {
        return fail(err, "is of version %d of numpy's format; 1 to 3 are known", bytes[6]);
    }
    if (n_header > MAX_HEADER || n_header > n_bytes - begin)
        return fail(err, "is cut short, or its header's length is wrong");
    const char *header = (const char *)bytes + begin;
    if (parse_header(a, (struct text){header, header + n_header}, err))
        return -1;
    size_t n = n_bytes - begin - n_header, wanted = (size_t)a->bytes;
    for (int i = 0; i < a->n_axes; i++)
        wanted = wanted > MAX_BYTES ? wanted : wanted * (size_t)a->size[i];
    if (wanted != n)
        return fail(err, "has %zu bytes of numbers, which is not what its shape says", n);
    a->data = bytes + begin + n_header;
    return 0;
}

static double element(const struct npy *a, size_t i)
{
    float single;
    double number;

    if (a->bytes == 4) {
        memcpy(&single, a->data + 4 * i, 4);
        return (double)single;
    }
    memcpy(&number, a->data + 8 * i, 8);
    return number;
}

void npy_to_doubles(double *dst, const struct npy *a)
{
    size_t n = 1, stride[NPY_MAX_AXES], at[NPY_MAX_AXES] = {0};

    for (int k = 0; k < a->n_axes; k++) {
        stride[k] = n; // Fortran's
        n *= (size_t)a->size[k];
    }
    for (size_t i = 0; i < n; i++) {
        size_t from = i;
        if (a->fortran) {
            from = 0;
            for (int k = 0; k < a->n_axes; k++)
                from += at[k] * stride[k];
        }
        dst[i] = element(a, from);
        for (int k = a->n_axes - 1; k >= 0 && ++at[k] == (size_t)a->size[k]; k--)
            at[k] = 0;
    }
}

int npz_open(struct npz *z, const char *path, struct error *err)
{
    int code = 0;
    zip_error_t error;

    *z = (struct npz){.path = path};
    z->zip = zip_open(path, ZIP_RDONLY, &code);
    if (z->zip)
        return 0;
    zip_error_init_with_code(&error, code);
    if (code == ZIP_ER_NOENT || code == ZIP_ER_OPEN)
        fail(err, "%s: cannot be read: %s", path, strerror(errno));
    else
        fail(err, "%s: %s; a .npz of numpy was expected", path, zip_error_strerror(&error));
    zip_error_fini(&error);
    return -1;
}

/* 1 if there are exactly n bytes; bytes has room for one more. The sum is checked
 * only behind the last. */
static int read_to_end(zip_file_t *f, unsigned char *bytes, size_t n)
{
    size_t at = 0;
    zip_int64_t got;

    while ((got = zip_fread(f, bytes + at, n + 1 - at)) > 0 && at + (size_t)got <= n)
        at += (size_t)got;
    return got == 0 && at == n;
}

/* The whole member, to be freed. */
static unsigned char *read_member(struct npz *z, const char *name, size_t *n, struct error *err)
{
    char member[80];
    zip_stat_t st;
    unsigned char *bytes = NULL;

    snprintf(member, sizeof(member), "%s.npy", name);
    zip_stat_init(&st);
    if (zip_stat(z->zip, member, 0, &st) || !(st.valid & ZIP_STAT_SIZE)) {
        fail(err, "is not in the archive");
        return NULL;
    }
    if (st.size > MAX_BYTES + MAX_HEADER) {
        fail(err, "is far too large");
        return NULL;
    }
    *n = (size_t)st.size;
    zip_file_t *f = zip_fopen(z->zip, member, 0);
    bytes = malloc(*n + 1);
    int whole = f && bytes && read_to_end(f, bytes, *n);
    if (!bytes)
        fail(err, "out of memory");
    else if (!whole)
        fail(err, "is damaged (%s); fetch the archive again",
             f ? zip_file_strerror(f) : zip_strerror(z->zip));
    if (f)
        zip_fclose(f);
    if (whole)
        return bytes;
    free(bytes);
    return NULL;
}

static int check_shape(const struct npy *a, int64_t *size, int n_axes, struct error *err)
{
    if (a->n_axes != n_axes)
        return fail(err, "has %d axes; should be %d", a->n_axes, n_axes);
    for (int k = 0; k < n_axes; k++) {
        if (size[k] && size[k] != a->size[k])
            return fail(err, "axis %d has size %lld; should be %lld", k, (long long)a->size[k],
                        (long long)size[k]);
        size[k] = a->size[k];
    }
    return 0;
}

double *npz_doubles(struct npz *z, const char *name, int64_t *size, int n_axes, struct error *err)
{
    struct npy a;
    size_t n_bytes, n = 1;
    double *numbers = NULL;
    unsigned char *bytes = read_member(z, name, &n_bytes, err);

    if (bytes && npy_parse(&a, bytes, n_bytes, err) == 0 &&
        check_shape(&a, size, n_axes, err) == 0) {
        for (int k = 0; k < n_axes; k++)
            n *= (size_t)size[k];
        numbers = malloc(n * sizeof(double));
        if (numbers)
            npy_to_doubles(numbers, &a);
        else
            fail(err, "out of memory");
    }
    free(bytes);
    if (!numbers)
        fail_prefix(err, "%s: array %s ", z->path, name);
    return numbers;
}

void npz_close(struct npz *z)
{
    if (z->zip)
        zip_discard(z->zip);
    *z = (struct npz){0};
}
