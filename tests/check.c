// SPDX-License-Identifier: MIT
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

const char *check_path(const char *format, ...)
{
    static char paths[4][1024];
    static int turn;
    char *path = paths[turn++ % 4];
    const char *root = getenv("ANTIPHON_TESTS");
    va_list args;
    int n = snprintf(path, sizeof(paths[0]), "%s/", root ? root : "tests");

    va_start(args, format);
    vsnprintf(path + n, sizeof(paths[0]) - (size_t)n, format, args);
    va_end(args);
    return path;
}

char *check_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    size_t n = 0, got;

    if (!f)
        check_fail("cannot open %s", path);
    do {
        text = realloc(text, n + 65537);
        assert_non_null(text);
        got = fread(text + n, 1, 65536, f);
        n += got;
    } while (got);
    fclose(f);
    text[n] = 0;
    return text;
}

void check_open(struct checkpoint *c, const char *path)
{
    struct error err;

    if (checkpoint_open(c, path, &err))
        check_fail("%s", err.text);
}

float *check_wave(const struct tensor *wave)
{
    size_t n = tensor_count(wave);
    float *x = malloc(n * sizeof(*x)), scale = wave->dtype == DTYPE_I16 ? 0x1p-15f : 1.0f;

    assert_non_null(x);
    tensor_to_floats(x, wave);
    for (size_t i = 0; i < n; i++)
        x[i] *= scale;
    return x;
}

double check_error(const float *got, const float *want, size_t n)
{
    double worst = 0.0, scale = 0.0;

    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        if (!(d <= worst)) // NaN is the worst
            worst = d;
        if (fabs((double)want[i]) > scale)
            scale = fabs((double)want[i]);
    }
    return scale > 0.0 ? worst / scale : worst;
}

void check_close(const char *what, const float *got, const float *want, size_t n, double tolerance)
{
    double error = check_error(got, want, n);

    if (!(error <= tolerance))
        check_fail("%s: off by %.2g of its scale, at most %.2g allowed", what, error, tolerance);
}

uint64_t check_seed(void)
{
    const char *given = getenv("CHECK_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);

    print_message("seed: CHECK_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

void check_fill(float *x, size_t n, struct random *rng)
{
    for (size_t i = 0; i < n; i++)
        x[i] = 2.0f * random_uniform(rng) - 1.0f;
}
