// SPDX-License-Identifier: MIT
#include "stream/pcm.h"

#include <stdint.h>
#include <string.h>

const char *const pcm_names = "u8, s16le, s24le, s32le, f32le, f64le";

static uint64_t little(const unsigned char *src, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)src[i] << (8 * i);
    return value;
}

static void from_u8(float *dst, const unsigned char *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = ((float)src[i] - 128.0f) / 128.0f;
}

static void from_s16(float *dst, const unsigned char *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (float)(int16_t)little(src + 2 * i, 2) / 32768.0f;
}

static void from_s24(float *dst, const unsigned char *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (float)((double)(int32_t)(uint32_t)(little(src + 3 * i, 3) << 8) / 2147483648.0);
}

static void from_s32(float *dst, const unsigned char *src, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = (float)((double)(int32_t)(uint32_t)little(src + 4 * i, 4) / 2147483648.0);
}

static void from_f32(float *dst, const unsigned char *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = (uint32_t)little(src + 4 * i, 4);
        memcpy(&dst[i], &bits, sizeof(bits));
    }
}

static void from_f64(float *dst, const unsigned char *src, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = little(src + 8 * i, 8);
        double value;
        memcpy(&value, &bits, sizeof(bits));
        dst[i] = (float)value;
    }
}

static const struct pcm_format formats[] = {
    {"u8", 1, from_u8},     {"s16le", 2, from_s16}, {"s24le", 3, from_s24},
    {"s32le", 4, from_s32}, {"f32le", 4, from_f32}, {"f64le", 8, from_f64},
};

const struct pcm_format *pcm_find(const char *name)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        if (!strcmp(formats[i].name, name))
            return &formats[i];
    }
    return NULL;
}
