// SPDX-License-Identifier: MIT
/* test_open_peak.c - a model is opened in place: beside the file, which is mapped, never as
 * much memory as a second copy of its weights would take, whatever the layout. */
#include "check.h"

#include "model/checkpoint_read.h"
#include "model/export.h"
#include "model/model.h"
#include "model/op.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_llong held, most; // bytes

static void *count_in(void *p)
{
    long long now = p ? atomic_fetch_add(&held, (long long)malloc_usable_size(p)) +
                        (long long)malloc_usable_size(p) : 0;

    if (now > atomic_load(&most))
        atomic_store(&most, now);
    return p;
}

static void count_out(void *p)
{
    if (p)
        atomic_fetch_sub(&held, (long long)malloc_usable_size(p));
}

#pragma GCC visibility push(default) // the libraries should find them
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);

void *malloc(size_t n)
{
    return count_in(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
    return count_in(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
    count_out(p);
    return count_in(__libc_realloc(p, n));
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return count_in(__libc_memalign(alignment, n));
}

void free(void *p)
{
    count_out(p);
    __libc_free(p);
}
#pragma GCC visibility pop

enum layout { ANTIPHON, TORCH, HF };

/* An architecture with random weights, as a file in that folder. */
static void write_model(const char *path, const char *arch)
{
    const struct reach reach = reach_defaults();
    struct checkpoint no_file = {0};
    struct export e;
    struct error err;
    struct model m;
    char *json = config_arch_json(arch, &err);

    assert_non_null(json);
    if (model_open_arch(&m, arch, 1, &reach, &err) ||
        export_open(&e, &m, &no_file, DTYPE_F32, &err) ||
        export_antiphon(&e, path, json, "a test", &err))
        check_fail("%s", err.text);
    export_close(&e);
    model_close(&m);
    free(json);
}

/* The model of that file in other layouts. */
static void convert(const char *path, const char *from, enum layout layout)
{
    const struct reach reach = reach_defaults();
    const char *left_out;
    struct checkpoint c;
    struct export e;
    struct error err;
    struct model m;

    check_open(&c, from);
    if (model_open(&m, &c, &reach, &err) || export_open(&e, &m, &c, DTYPE_F32, &err) ||
        (layout == TORCH ? export_torch(&e, path, &left_out, &err)
                         : export_hf(&e, path, &left_out, &err)))
        check_fail("%s", err.text);
    export_close(&e);
    model_close(&m);
    checkpoint_close(&c);
}

static long long weight_bytes(const struct checkpoint *c)
{
    size_t n = 0;

    for (int i = 0; i < c->n_tensors; i++)
        n += tensor_count(&c->tensors[i]) * dtype_bytes(c->tensors[i].dtype);
    return (long long)n;
}

static void assert_in_place(const char *path)
{
    const struct reach reach = reach_defaults();
    long long before = atomic_load(&held), weights, peak;
    struct checkpoint c;
    struct error err;
    struct model m;

    atomic_store(&most, before);
    check_open(&c, path);
    if (model_open(&m, &c, &reach, &err))
        check_fail("%s", err.text);
    peak = atomic_load(&most) - before;
    weights = weight_bytes(&c);
    assert_true(peak >= (long long)m.arena.size); // it is seen
    if (peak > (long long)m.arena.size + weights / 4)
        check_fail("%s: opening takes %lld bytes beside %lld of weights", path, peak, weights);
    model_close(&m);
    checkpoint_close(&c);
    assert_true(atomic_load(&held) - before < 1 << 16); // what libraries keep
}

static void test_in_place(void **state)
{
    char folder[] = "/tmp/antiphon-peak-XXXXXX", path[3][64], command[80];

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path[ANTIPHON], sizeof(path[0]), "%s/m.safetensors", folder);
    snprintf(path[TORCH], sizeof(path[0]), "%s/torch/", folder);
    snprintf(path[HF], sizeof(path[0]), "%s/hf/", folder);
    write_model(path[ANTIPHON], "nano-conv");
    convert(path[TORCH], path[ANTIPHON], TORCH);
    convert(path[HF], path[ANTIPHON], HF);
    for (int i = 0; i < 3; i++)
        assert_in_place(path[i]);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_place),
    };

    op_set_threads(1);
    op_warm_up();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
