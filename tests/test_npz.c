// SPDX-License-Identifier: MIT
/* test_npz.c - numpy's arrays: all kinds that are read, a table of those that are
 * not, and a PLDA in every one of the forms its files may have. */
#include "check.h"

#include "model/npz.h"
#include "stream/plda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

/* A .npy of version 1 with this header and n bytes of numbers. */
static size_t make_npy(unsigned char *to, const char *header, const void *data, size_t n)
{
    size_t length = strlen(header);

    memcpy(to, "\x93NUMPY\x01\x00", 8);
    to[8] = (unsigned char)(length & 255);
    to[9] = (unsigned char)(length >> 8);
    memcpy(to + 10, header, length);
    if (n)
        memcpy(to + 10 + length, data, n);
    return 10 + length + n;
}

static void test_orders_and_types(void **state)
{
    const double c[] = {1, 2, 3, 4, 5, 6}, fortran[] = {1, 4, 2, 5, 3, 6};
    const float single[] = {1, 2, 3, 4, 5, 6};
    unsigned char bytes[400];
    double got[6];
    struct npy a;
    struct error err;
    size_t n;

    (void)state;
    n = make_npy(bytes, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }     \n", c, 48);
    assert_int_equal(npy_parse(&a, bytes, n, &err), 0);
    npy_to_doubles(got, &a);
    assert_memory_equal(got, c, sizeof(c));
    n = make_npy(bytes, "{'shape': (2,3), 'fortran_order': True, 'descr': '<f8'}\n", fortran, 48);
    assert_int_equal(npy_parse(&a, bytes, n, &err), 0);
    npy_to_doubles(got, &a);
    assert_memory_equal(got, c, sizeof(c));
    n = make_npy(bytes, "{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }\n", single, 24);
    assert_int_equal(npy_parse(&a, bytes, n, &err), 0);
    assert_int_equal(a.n_axes, 1);
    npy_to_doubles(got, &a);
    assert_memory_equal(got, c, sizeof(c));
    n = make_npy(bytes, "{'descr': '<f8', 'fortran_order': False, 'shape': (), }\n", c, 8);
    assert_int_equal(npy_parse(&a, bytes, n, &err), 0);
    assert_int_equal(a.n_axes, 0);
}

struct bad {
    const char *header;
    size_t n; // bytes of numbers
    const char *words;
};

#define F8 "{'descr': '<f8', 'fortran_order': False, 'shape': "

static void test_bad_headers(void **state)
{
    static const struct bad list[] = {
        {F8 "(2, 3), }", 47, "not what its shape says"},
        {F8 "(2, 3), }", 49, "not what its shape says"},
        {F8 "(0,), }", 0, "no size from 1"},
        {F8 "(-1,), }", 8, "no size from 1"},
        {F8 "(65537,), }", 8, "no size from 1"},
        {F8 "(99999999999999999999999,), }", 8, "no size from 1"},
        {F8 "(65536, 65536, 65536, 65536), }", 0, "not what its shape says"},
        {F8 "(1, 1, 1, 1, 1), }", 8, "more than 4 axes"},
        {F8 "(1", 8, "damaged shape"},
        {F8 "(1 1), }", 8, "damaged shape"},
        {F8 "1, }", 8, "no shape"},
        {F8 "(1,)", 8, "damaged header"},
        {F8 "(1,), 'shape': (1,), }", 8, "unknown or repeated"},
        {F8 "(1,), 'more': 1, }", 8, "unknown or repeated"},
        {"{'descr': '<f8', 'shape': (1,), }", 8, "lacks type, order or shape"},
        {"{'descr': '>f8', 'fortran_order': False, 'shape': (1,), }", 8, "another type"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8, "another type"},
        {"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }", 8, "another type"},
        {"{'descr': '<f8', 'fortran_order': 1, 'shape': (1,), }", 8, "neither True nor False"},
        {"", 8, "no header"},
        {"[1]", 8, "no header"},
    };
    static const unsigned char zeros[64];
    unsigned char bytes[400];

    (void)state;
    for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++) {
        struct npy a;
        struct error err = {""};
        size_t n = make_npy(bytes, list[i].header, zeros, list[i].n);
        if (npy_parse(&a, bytes, n, &err) == 0)
            check_fail("accepted: %s", list[i].header);
        if (!strstr(err.text, list[i].words))
            check_fail("%s: says \"%s\"", list[i].header, err.text);
    }
}

/* Every cut of a good one, and every version of the format. */
static void test_cut_short(void **state)
{
    const double x[] = {1.5, 2.5};
    unsigned char bytes[400];
    struct npy a;
    struct error err;
    size_t n = make_npy(bytes, F8 "(2,), }\n", x, sizeof(x));

    (void)state;
    for (size_t k = 0; k < n; k++) {
        unsigned char *part = malloc(k + 1); // its own, so that a sanitizer sees its end
        assert_non_null(part);
        memcpy(part, bytes, k);
        assert_int_equal(npy_parse(&a, part, k, &err), -1);
        free(part);
    }
    assert_int_equal(npy_parse(&a, bytes, n, &err), 0);
    bytes[6] = 4;
    assert_int_equal(npy_parse(&a, bytes, n, &err), -1);
    assert_non_null(strstr(err.text, "version 4"));
    memmove(bytes + 12, bytes + 10, n - 10);
    bytes[10] = bytes[11] = 0;
    for (int version = 2; version <= 3; version++) {
        bytes[6] = (unsigned char)version;
        assert_int_equal(npy_parse(&a, bytes, n + 2, &err), 0);
    }
    bytes[11] = 255; // a header of 4 GB
    assert_int_equal(npy_parse(&a, bytes, n + 2, &err), -1);
}

/* --- archives -------------------------------------------------------------- */

enum { W = 3, D = 2 };

struct form {
    int single, fortran, deflated;
};

struct array {
    const char *name;
    int rows, columns; // columns 0: one axis
    double x[6];
};

static const struct array transform_arrays[] = {
    {"mean1", W, 0, {0.1, -0.2, 0.3}},
    {"mean2", D, 0, {0.05, -0.05}},
    {"lda", W, D, {1, 2, 3, 4, 5, 6}},
};
static const struct array plda_arrays[] = {
    {"mu", D, 0, {0.5, 0.25}}, {"tr", D, D, {1, 2, 3, 4}}, {"psi", D, 0, {0.5, 2.0}},
};

static void add_array(zip_t *zip, const struct array *a, struct form f)
{
    int n = a->rows * (a->columns ? a->columns : 1);
    unsigned char *bytes = malloc(300), data[48];
    char header[150], shape[30], name[40];

    for (int i = 0; i < n; i++) {
        int from = f.fortran && a->columns ? i % a->rows * a->columns + i / a->rows : i;
        float single = (float)a->x[from];
        if (f.single)
            memcpy(data + 4 * i, &single, 4);
        else
            memcpy(data + 8 * i, &a->x[from], 8);
    }
    snprintf(shape, sizeof(shape), a->columns ? "(%d, %d)" : "(%d,)", a->rows, a->columns);
    snprintf(header, sizeof(header), "{'descr': '<f%d', 'fortran_order': %s, 'shape': %s, }\n",
             f.single ? 4 : 8, f.fortran ? "True" : "False", shape);
    size_t size = make_npy(bytes, header, data, (size_t)(n * (f.single ? 4 : 8)));
    snprintf(name, sizeof(name), "%s.npy", a->name);
    zip_int64_t at = zip_file_add(zip, name, zip_source_buffer(zip, bytes, size, 1), 0);
    assert_true(at >= 0);
    assert_int_equal(zip_set_file_compression(zip, (zip_uint64_t)at,
                                              f.deflated ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0), 0);
}

static void write_archive(const char *path, const struct array *list, int n, struct form f)
{
    int code;
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);

    assert_non_null(zip);
    for (int i = 0; i < n; i++)
        add_array(zip, &list[i], f);
    assert_int_equal(zip_close(zip), 0);
}

struct folder {
    char path[40], transform[70], plda[70];
};

static void folder_open(struct folder *f)
{
    strcpy(f->path, "/tmp/antiphon-npz-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    snprintf(f->transform, sizeof(f->transform), "%s/xvec_transform.npz", f->path);
    snprintf(f->plda, sizeof(f->plda), "%s/plda.npz", f->path);
}

static void folder_close(struct folder *f)
{
    unlink(f->transform);
    unlink(f->plda);
    rmdir(f->path);
}

static void test_plda_in_every_form(void **state)
{
    const double x[] = {0.7, -1.1, 0.4};
    double first[D], fea[D];
    struct folder folder;
    struct error err;
    struct plda p;

    (void)state;
    folder_open(&folder);
    for (int k = 0; k < 8; k++) {
        struct form f = {k & 1, k >> 1 & 1, k >> 2 & 1};
        write_archive(folder.transform, transform_arrays, 3, f);
        write_archive(folder.plda, plda_arrays, 3, f);
        if (plda_read(&p, folder.path, &err))
            check_fail("%s", err.text);
        assert_true(p.width == W && p.dims == D);
        assert_true(p.psi[0] == 2.0 && p.psi[1] == 0.5); // falling, the rows with them
        assert_true(p.tr[0] == 3.0 && p.tr[2] == 1.0);
        assert_int_equal(plda_transform(fea, &p, x, 1, D, &err), 0);
        for (int d = 0; d < D; d++) {
            first[d] = k ? first[d] : fea[d];
            assert_true(fea[d] - first[d] < 1e-5 && first[d] - fea[d] < 1e-5);
        }
        plda_release(&p);
    }
    folder_close(&folder);
}

static void refused(const struct folder *f, const char *words)
{
    struct plda p;
    struct error err = {""};

    if (plda_read(&p, f->path, &err) == 0)
        check_fail("accepted, but should say \"%s\"", words);
    if (!strstr(err.text, words))
        check_fail("says \"%s\", not \"%s\"", err.text, words);
    assert_null(p.lda);
}

static void test_bad_plda(void **state)
{
    struct array list[3];
    struct folder folder;
    struct form f = {0};
    FILE *out;

    (void)state;
    folder_open(&folder);
    refused(&folder, "xvec_transform.npz: cannot be read: No such file");
    write_archive(folder.transform, transform_arrays, 3, f);
    refused(&folder, "plda.npz: cannot be read");
    write_archive(folder.plda, plda_arrays, 2, f);
    refused(&folder, "plda.npz: array psi is not in the archive");
    memcpy(list, plda_arrays, sizeof(list));
    list[2].x[1] = -1.0;
    write_archive(folder.plda, list, 3, f);
    refused(&folder, "array psi has an impossible number at 1");
    memcpy(list, plda_arrays, sizeof(list));
    list[0].rows = 1;
    write_archive(folder.plda, list, 3, f);
    refused(&folder, "array mu axis 0 has size 1; should be 2");
    list[0] = (struct array){"mu", 2, 1, {0}};
    write_archive(folder.plda, list, 3, f);
    refused(&folder, "array mu has 2 axes; should be 1");
    out = fopen(folder.plda, "wb");
    assert_non_null(out);
    fputs("PK\003\004 and no more", out);
    fclose(out);
    refused(&folder, "plda.npz: ");
    folder_close(&folder);
}

/* A byte of the numbers turned: the zip's sum says so. */
static void test_damaged_archive(void **state)
{
    struct folder folder;
    struct form f = {0};
    FILE *file;

    (void)state;
    folder_open(&folder);
    write_archive(folder.transform, transform_arrays, 3, f);
    write_archive(folder.plda, plda_arrays, 3, f);
    file = fopen(folder.plda, "r+b");
    assert_non_null(file);
    fseek(file, 30 + 6 + 75, SEEK_SET); // in mu's numbers
    int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 1, file);
    fclose(file);
    refused(&folder, "plda.npz: array mu is damaged");
    folder_close(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders_and_types),   cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_cut_short),          cmocka_unit_test(test_plda_in_every_form),
        cmocka_unit_test(test_bad_plda),           cmocka_unit_test(test_damaged_archive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
