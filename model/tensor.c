// SPDX-License-Identifier: MIT
/* tensor.c - element types: their sizes, their names, and the way to float32. */
#include "model/checkpoint_read.h"

#include <assert.h>
#include <string.h>

static const struct {
    const char *name; // as safetensors spells it
    size_t n_bytes;
} dtypes[] = {
    [DTYPE_F32] = {"F32", 4}, [DTYPE_F64] = {"F64", 8}, [DTYPE_F16] = {"F16", 2},
    [DTYPE_BF16] = {"BF16", 2}, [DTYPE_I64] = {"I64", 8}, [DTYPE_I32] = {"I32", 4},
    [DTYPE_I16] = {"I16", 2}, [DTYPE_I8] = {"I8", 1}, [DTYPE_U8] = {"U8", 1},
    [DTYPE_BOOL] = {"BOOL", 1},
};

enum { N_DTYPES = sizeof(dtypes) / sizeof(dtypes[0]) };

size_t dtype_bytes(enum dtype dtype)
{
    assert((int)dtype >= 0 && (int)dtype < N_DTYPES);
    return dtypes[dtype].n_bytes;
}

const char *dtype_name(enum dtype dtype)
{
    assert((int)dtype >= 0 && (int)dtype < N_DTYPES);
    return dtypes[dtype].name;
}

int dtype_from_name(enum dtype *dtype, const char *name)
{
    for (int i = 0; i < N_DTYPES; i++) {
        if (!strcmp(dtypes[i].name, name)) {
            *dtype = (enum dtype)i;
            return 0;
        }
    }
    return -1;
}

int64_t shape_count(const int64_t *size, int n_axes, enum dtype dtype)
{
    int64_t most = (INT64_MAX >> 8) / (int64_t)dtype_bytes(dtype);
    int64_t n = 1;
    int is_empty = 0;

    for (int i = 0; i < n_axes; i++) {
        if (size[i] < 0 || size[i] > most)
            return -1;
        if (size[i] == 0)
            is_empty = 1;
        else if (n > most / size[i])
            return -1;
        else
            n *= size[i];
    }
    return is_empty ? 0 : n;
}

size_t tensor_count(const struct tensor *t)
{
    size_t n = 1;

    for (int i = 0; i < t->n_axes; i++)
        n *= (size_t)t->size[i];
    return n;
}

static float float_from_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* IEEE half: 1 sign, 5 exponent (bias 15), 10 mantissa bits. Exact. */
static float float_from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;

    if (exponent == 31) // infinity or NaN
        return float_from_bits(sign | 0x7f800000 | mantissa << 13);
    if (exponent == 0) { // zero or subnormal: mantissa * 2^-24
        float x = (float)mantissa * 0x1p-24f;
        return sign ? -x : x;
    }
    return float_from_bits(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

static void floats_from_doubles(float *dst, const double *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (float)src[i];
}

static void floats_from_halves(float *dst, const uint16_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = float_from_half(src[i]);
}

static void floats_from_brains(float *dst, const uint16_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = float_from_bits((uint32_t)src[i] << 16);
}

static void floats_from_int64(float *dst, const int64_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (float)src[i];
}

static void floats_from_int32(float *dst, const int32_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (float)src[i];
}

static void floats_from_int16(float *dst, const int16_t *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (float)src[i];
}

static void floats_from_bytes(float *dst, const unsigned char *src, size_t n, enum dtype dtype)
{
    for (size_t i = 0; i < n; i++) {
        if (dtype == DTYPE_BOOL)
            dst[i] = src[i] != 0;
        else
            dst[i] = dtype == DTYPE_I8 ? (float)(signed char)src[i] : (float)src[i];
    }
}

void tensor_to_floats(float *dst, const struct tensor *t)
{
    size_t n = tensor_count(t);

    switch (t->dtype) {
    case DTYPE_F32:
        if (n)
            memcpy(dst, t->data, n * sizeof(*dst));
        break;
    case DTYPE_F64: floats_from_doubles(dst, t->data, n); break;
    case DTYPE_F16: floats_from_halves(dst, t->data, n); break;
    case DTYPE_BF16: floats_from_brains(dst, t->data, n); break;
    case DTYPE_I64: floats_from_int64(dst, t->data, n); break;
    case DTYPE_I32: floats_from_int32(dst, t->data, n); break;
    case DTYPE_I16: floats_from_int16(dst, t->data, n); break;
    case DTYPE_I8:
    case DTYPE_U8:
    case DTYPE_BOOL: floats_from_bytes(dst, t->data, n, t->dtype); break;
    }
}

static uint32_t bits_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/* The upper half, rounded to the nearest and to even between two; NaN stays one. */
static uint16_t brain_from_float(float x)
{
    uint32_t bits = bits_of(x);

    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* To the nearest and to even between two; small numbers by the machine's own rounding when
 * one half is added, whose last place is theirs. */
static uint16_t half_from_float(float x)
{
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;

    if (magnitude >= 0x7f800000) // infinity, NaN
        return (uint16_t)(sign | 0x7c00 | (magnitude > 0x7f800000 ? 0x200 : 0));
    if (magnitude < 0x38800000) // below 2^-14: steps of 2^-24
        return (uint16_t)(sign | (bits_of(float_from_bits(magnitude) + 0.5f) - bits_of(0.5f)));
    magnitude += 0xfff + (magnitude >> 13 & 1); // 13 bits go
    return (uint16_t)(sign | ((magnitude - 0x38000000) >> 13));
}

int tensor_from_floats(void *dst, enum dtype dtype, const float *src, size_t n)
{
    uint16_t *out = dst;

    assert(dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16);
    if (dtype == DTYPE_F32)
        memcpy(dst, src, n * sizeof(*src));
    for (size_t i = 0; i < n && dtype == DTYPE_BF16; i++)
        out[i] = brain_from_float(src[i]);
    for (size_t i = 0; i < n && dtype == DTYPE_F16; i++) {
        if (src[i] - src[i] == 0.0f && (src[i] >= 65520.0f || src[i] <= -65520.0f))
            return -1;
        out[i] = half_from_float(src[i]);
    }
    return 0;
}
