// SPDX-License-Identifier: MIT
#include "model/error.h"

#include <stdio.h>
#include <string.h>

static void error_set(struct error *err, const char *format, va_list args)
{
    vsnprintf(err->text, sizeof(err->text), format, args);
    for (char *c = err->text; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
}

int fail(struct error *err, const char *format, ...)
{
    va_list args;

    if (!err)
        return -1;
    va_start(args, format);
    error_set(err, format, args);
    va_end(args);
    return -1;
}

int fail_prefix(struct error *err, const char *format, ...)
{
    char rest[sizeof(err->text)];
    va_list args;

    if (!err)
        return -1;
    memcpy(rest, err->text, sizeof(rest));
    va_start(args, format);
    error_set(err, format, args);
    va_end(args);
    size_t n = strlen(err->text);
    snprintf(err->text + n, sizeof(err->text) - n, "%s", rest);
    return -1;
}
