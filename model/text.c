// SPDX-License-Identifier: MIT
#include "model/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int reserve(struct text *t, size_t n)
{
    if (t->failed)
        return -1;
    if (n > SIZE_MAX / 4 - t->n || (t->limit && n > t->limit - t->n)) {
        t->failed = TEXT_TOO_LONG;
        return -1;
    }
    if (t->n + n < t->capacity)
        return 0;

    size_t capacity = 2 * (t->n + n) + 64;
    char *bytes = realloc(t->bytes, capacity);
    if (!bytes) {
        t->failed = TEXT_NO_MEMORY;
        return -1;
    }
    t->bytes = bytes;
    t->capacity = capacity;
    return 0;
}

void text_add(struct text *t, const char *s, size_t n)
{
    if (reserve(t, n))
        return;
    if (n)
        memcpy(t->bytes + t->n, s, n);
    t->n += n;
    t->bytes[t->n] = '\0';
}

void text_puts(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *format, ...)
{
    char short_text[256];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(short_text, sizeof(short_text), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(short_text))
        t->failed = TEXT_TOO_LONG; // for numbers and such; strings go through text_add
    else
        text_add(t, short_text, (size_t)n);
}

void text_json_string(struct text *t, const char *s, size_t n)
{
    text_puts(t, "\"");
    for (size_t i = 0; i < n && !t->failed; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\')
            text_printf(t, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            text_printf(t, "\\u%04x", c);
        else
            text_add(t, s + i, 1);
    }
    text_puts(t, "\"");
}

void text_json_double(struct text *t, double x)
{
    char digits[64], plain[64];
    size_t n = 0;
    int has_point = 0;

    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof(digits), "%.*g", precision, x);
        if (strtod(digits, NULL) == x)
            break;
    }
    for (const char *c = digits; *c; c++) {
        if (strchr("0123456789+-", *c)) {
            plain[n++] = *c;
        } else if (*c == 'e') {
            has_point = 1;
            plain[n++] = 'e';
        } else if (!has_point) { // the locale's decimal point, which may be several bytes
            has_point = 1;
            plain[n++] = '.';
        }
    }
    text_add(t, plain, n);
    if (!has_point)
        text_puts(t, ".0");
}

int text_check(const struct text *t, const char *what, struct error *err)
{
    if (!t->failed)
        return 0;
    if (t->failed == TEXT_NO_MEMORY)
        return fail(err, "out of memory for %s; close other programs", what);
    return fail(err, "%s has more than %zu bytes; it is far too long", what, t->limit);
}

void text_release(struct text *t)
{
    free(t->bytes);
    *t = (struct text){0};
}

/* Length of the character at s, or 0 if it is none. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
    static const struct { unsigned char mask, lead; uint32_t least; } forms[] = {
        {0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000},
    };

    for (size_t extra = 0; extra < 4; extra++) {
        if ((s[0] & forms[extra].mask) != forms[extra].lead)
            continue;
        if (extra >= n)
            return 0;
        uint32_t code = s[0] & (unsigned char)~forms[extra].mask;
        for (size_t i = 1; i <= extra; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (s[i] & 0x3f);
        }
        int surrogate = code >= 0xd800 && code <= 0xdfff;
        return code < forms[extra].least || code > 0x10ffff || surrogate ? 0 : extra + 1;
    }
    return 0;
}

int utf8_valid(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t length = utf8_length((const unsigned char *)s + i, n - i);
        if (!length)
            return 0;
        i += length;
    }
    return 1;
}
