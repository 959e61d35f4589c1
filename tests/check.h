// SPDX-License-Identifier: MIT
/* check.h - what the tests of the model share: cmocka, files, comparisons. */
#ifndef CHECK_H
#define CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail // model/error.h has the name, and so fail_msg cannot be used

#include "model/checkpoint.h"
#include "model/random.h"

/* Ends the test with a text: fail_msg under another name. */
#define check_fail(...)                                                                            \
    do {                                                                                           \
        print_error(__VA_ARGS__);                                                                  \
        print_error("\n");                                                                         \
        _fail(__FILE__, __LINE__);                                                                 \
    } while (0)

/* A path inside the tests folder; valid until the next call of four. */
const char *check_path(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The whole file as text, to be freed. Fails the test if it cannot be read. */
char *check_read(const char *path);

/* Opens a golden, or fails the test with the error. */
void check_open(struct checkpoint *c, const char *path);

/* Opens the weights of a golden model, in the form that is there: in its own folder or, of
 * a teacher, in its student's, without the student's gates. */
void check_weights(struct checkpoint *c, const char *name);

/* Fails the test unless the tensors are those of a list: names, types, shapes, and the
 * FNV-1a of their bytes. */
void check_sums(const struct checkpoint *c, const char *path);

/* The n samples, +-1, to be freed, that a file of 16-bit sound must have. */
float *check_sound(const char *path, size_t n);

/* max |got - want| / max |want| */
double check_error(const float *got, const float *want, size_t n);

/* Fails the test, naming what, unless that is at most tolerance. */
void check_close(const char *what, const float *got, const float *want, size_t n,
                 double tolerance);

/* The seed of this run, printed: CHECK_SEED from the environment, a number or "clock"; else 1,
 * so that a change is judged by what it changes. */
uint64_t check_seed(void);

/* Uniform in [-1, 1). */
void check_fill(float *x, size_t n, struct random *rng);

#endif
