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

/* The samples of a wave, +-1, to be freed: floats, or 16-bit numbers where the wave is
 * made of them. */
float *check_wave(const struct tensor *wave);

/* max |got - want| / max |want| */
double check_error(const float *got, const float *want, size_t n);

/* Fails the test, naming what, unless that is at most tolerance. */
void check_close(const char *what, const float *got, const float *want, size_t n,
                 double tolerance);

/* The seed of this run: CHECK_SEED from the environment or the clock; printed. */
uint64_t check_seed(void);

/* Uniform in [-1, 1). */
void check_fill(float *x, size_t n, struct random *rng);

#endif
