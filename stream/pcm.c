// SPDX-License-Identifier: MIT
#include "stream/pcm.h"

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static uint32_t little_endian_32(const unsigned char *b)
{
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static float from_u8(const unsigned char *b)
{
    return (float)(b[0] - 128) / 128.0f;
}

static float from_s16(const unsigned char *b)
{
    return (float)(int16_t)(b[0] | b[1] << 8) / 32768.0f;
}

static float from_s24(const unsigned char *b)
{
    uint32_t high = (uint32_t)b[0] << 8 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 24;
    return (float)(int32_t)high / 2147483648.0f;
}

static float from_s32(const unsigned char *b)
{
    return (float)(int32_t)little_endian_32(b) / 2147483648.0f;
}

static float from_f32(const unsigned char *b)
{
    uint32_t bits = little_endian_32(b);
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float from_f64(const unsigned char *b)
{
    uint64_t bits = little_endian_32(b) | (uint64_t)little_endian_32(b + 4) << 32;
    double value;

    memcpy(&value, &bits, sizeof(value));
    return (float)value;
}

static const struct {
    const char *name;
    size_t bytes;
    float (*decode)(const unsigned char *bytes);
} formats[N_PCM_FORMATS] = {
    [PCM_S16LE] = {"s16le", 2, from_s16},
    [PCM_U8] = {"u8", 1, from_u8},
    [PCM_S24LE] = {"s24le", 3, from_s24},
    [PCM_S32LE] = {"s32le", 4, from_s32},
    [PCM_F32LE] = {"f32le", 4, from_f32},
    [PCM_F64LE] = {"f64le", 8, from_f64},
};

int pcm_format_parse(enum pcm_format *format, const char *name, struct error *err)
{
    for (int i = 0; i < N_PCM_FORMATS; i++) {
        if (strcasecmp(name, formats[i].name) == 0) {
            *format = (enum pcm_format)i;
            return 0;
        }
    }
    return fail(err, "unknown sample format '%s'; s16le, u8, s24le, s32le, f32le or f64le was "
                "expected", name);
}

const char *pcm_format_name(enum pcm_format format)
{
    return formats[format].name;
}

size_t pcm_sample_bytes(enum pcm_format format)
{
    return formats[format].bytes;
}

void pcm_to_floats(float *dst, const unsigned char *src, size_t n, enum pcm_format format)
{
    size_t bytes = formats[format].bytes;

    for (size_t i = 0; i < n; i++)
        dst[i] = formats[format].decode(src + i * bytes);
}

size_t pcm_make_finite(float *samples, size_t n)
{
    size_t n_bad = 0;

    for (size_t i = 0; i < n; i++) {
        if (!(fabsf(samples[i]) <= 1e12f)) {
            samples[i] = 0.0f;
            n_bad++;
        }
    }
    return n_bad;
}
