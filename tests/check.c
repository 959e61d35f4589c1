// SPDX-License-Identifier: MIT
#include "check.h"

#include "model/checkpoint_read.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

void check_weights(struct checkpoint *c, const char *name)
{
    static const char *const files[] = {"model.safetensors", "model.pt", "pytorch_model.bin"};
    int n = 0;

    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        const char *path = check_path("golden/%s/%s", name, files[i]);
        if (!access(path, R_OK)) {
            check_open(c, path);
            return;
        }
    }
    assert_string_equal(name, "wavlm_layer_norm_tiny");
    check_open(c, check_path("golden/prune_large_tiny/student.pt"));
    for (int i = 0; i < c->n_tensors; i++) {
        if (!strstr(c->tensors[i].name, ".log_alpha"))
            c->tensors[n++] = c->tensors[i];
    }
    c->n_tensors = n;
}

static uint64_t fnv1a(const unsigned char *bytes, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    return h;
}

void check_sums(const struct checkpoint *c, const char *path)
{
    static const char *const dtypes[] = {"F32", "F64", "F16", "BF16", "I64", "I32", "I16", "I8",
                                         "U8", "BOOL"};
    FILE *f = fopen(path, "r");
    char want[400], got[400];
    int n = 0;

    if (!f)
        check_fail("cannot open %s", path);
    for (; fgets(want, sizeof(want), f); n++) {
        if (n >= c->n_tensors)
            check_fail("%s has more tensors", path);
        const struct tensor *t = &c->tensors[n];
        int at = snprintf(got, sizeof(got), "%s %s [", t->name, dtypes[t->dtype]);
        for (int i = 0; i < t->n_axes; i++)
            at += snprintf(got + at, sizeof(got) - (size_t)at, "%s%lld", i ? "," : "",
                           (long long)t->size[i]);
        snprintf(got + at, sizeof(got) - (size_t)at, "] %016llx\n",
                 (unsigned long long)fnv1a(t->data, tensor_count(t) * dtype_bytes(t->dtype)));
        assert_string_equal(got, want);
    }
    assert_int_equal(n, c->n_tensors);
    fclose(f);
}

float *check_sound(const char *path, size_t n)
{
    SF_INFO info = {0};
    SNDFILE *f = sf_open(path, SFM_READ, &info);

    if (!f || info.channels != 1)
        check_fail("%s: %s", path, sf_strerror(f));
    assert_int_equal(info.frames, n);
    float *x = malloc(n * sizeof(*x));
    assert_non_null(x);
    assert_int_equal(sf_readf_float(f, x, info.frames), info.frames);
    sf_close(f);
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
    uint64_t seed = !given ? 1 : strcmp(given, "clock") ? strtoull(given, NULL, 10)
                                                        : (uint64_t)time(NULL);

    print_message("seed: CHECK_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

void check_fill(float *x, size_t n, struct random *rng)
{
    for (size_t i = 0; i < n; i++)
        x[i] = 2.0f * random_uniform(rng) - 1.0f;
}
