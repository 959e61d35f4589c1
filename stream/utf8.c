// SPDX-License-Identifier: MIT
#include "stream/utf8.h"

#include <stdint.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" // U+FFFD

/* The character's number, and its bytes in *n; *n is 0 if it is not valid. */
static uint32_t decode(const char *text, size_t *n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; // of so many bytes
    const unsigned char *p = (const unsigned char *)text;
    size_t bytes = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 : 4;
    uint32_t c = p[0];

    *n = 0;
    if (bytes > 1) {
        if (p[0] < 0xc2 || p[0] > 0xf4)
            return 0;
        c = p[0] & (0xffu >> (bytes + 1));
    }
    for (size_t i = 1; i < bytes; i++) {
        if ((p[i] & 0xc0) != 0x80) // the ending 0 too
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[bytes] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *n = bytes;
    return c;
}

size_t utf8_character(const char *text)
{
    size_t n;

    decode(text, &n);
    return n;
}

static int is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

/* What Unicode calls White_Space. */
static int is_blank(uint32_t c)
{
    return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f) || c == 0x85 || c == 0xa0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
           c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Copies, with `control` in the place of control characters and `blank` in that of
 * blanks (0: as they are). Returns the bytes copied. */
static size_t copy(char *dst, size_t size, const char *src, char control, char blank)
{
    size_t at = 0, n;

    while (*src) {
        uint32_t c = decode(src, &n);
        const char *from = n ? src : REPLACEMENT;
        size_t bytes = n ? n : sizeof(REPLACEMENT) - 1;
        char one = 0;

        if (n && control && is_control(c))
            one = control;
        if (n && blank && is_blank(c))
            one = blank;
        if (one) {
            from = &one;
            bytes = 1;
        }
        if (at + bytes >= size)
            break;
        memcpy(dst + at, from, bytes);
        at += bytes;
        src += n ? n : 1;
    }
    dst[at] = 0;
    return at;
}

void utf8_copy(char *dst, size_t size, const char *src)
{
    copy(dst, size, src, 0, 0);
}

void utf8_name(char *dst, size_t size, const char *src)
{
    size_t n, front;

    while ((unsigned char)*src <= ' ' && *src)
        src++;
    n = copy(dst, size, src, ' ', 0);
    while (n > 0 && dst[n - 1] == ' ')
        dst[--n] = 0;
    front = strspn(dst, " "); // of controls beyond ASCII
    memmove(dst, dst + front, n - front + 1);
}

void utf8_field(char *dst, size_t size, const char *src)
{
    if (copy(dst, size, src, '_', '_') == 0)
        strcpy(dst, "_");
}
