// SPDX-License-Identifier: MIT
#include "stream/scan.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const size_t MAX_BYTES = (size_t)256 << 20;

static int read_stream(struct scan *t, FILE *file, const char *path, struct error *err)
{
    size_t room = 1 << 16, got;
    char *bytes = malloc(room + 1);

    while (bytes && (got = fread(bytes + t->n, 1, room - t->n, file)) > 0) {
        t->n += got;
        if (t->n < room)
            continue;
        room *= 2;
        char *more = room <= MAX_BYTES ? realloc(bytes, room + 1) : NULL;
        if (!more)
            free(bytes);
        bytes = more;
    }
    if (!bytes) {
        t->n = 0;
        return room > MAX_BYTES ? fail(err, "%s: longer than 256 MiB, which no such text is", path)
                                : fail(err, "%s: out of memory", path);
    }
    bytes[t->n] = 0;
    t->bytes = bytes;
    return ferror(file) ? fail(err, "%s: cannot read: %s", path, strerror(errno)) : 0;
}

int scan_read(struct scan *t, const char *path, struct error *err)
{
    int is_stdin = !strcmp(path, "-"), status;
    FILE *file = is_stdin ? stdin : fopen(path, "rb");
    struct stat st;

    *t = (struct scan){0};
    if (!file)
        return fail(err, "%s: cannot read: %s", path, strerror(errno));
    if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode))
        status = fail(err, "%s: cannot read: %s", path, strerror(EISDIR));
    else
        status = read_stream(t, file, is_stdin ? "stdin" : path, err);
    if (!is_stdin)
        fclose(file);
    if (status)
        scan_release(t);
    return status;
}

void scan_release(struct scan *t)
{
    free(t->bytes);
    *t = (struct scan){0};
}

int scan_line(struct scan_lines *l, struct field *line)
{
    const char *end;

    if (l->number == 0 && scan_begins(l->rest, "\xef\xbb\xbf"))
        l->rest = (struct field){l->rest.at + 3, l->rest.n - 3};
    if (l->rest.n == 0)
        return 0;
    end = memchr(l->rest.at, '\n', l->rest.n);
    size_t n = end ? (size_t)(end - l->rest.at) : l->rest.n;
    *line = (struct field){l->rest.at, n};
    n += end != NULL;
    l->rest = (struct field){l->rest.at + n, l->rest.n - n};
    l->number++;
    if (line->n && line->at[line->n - 1] == '\r')
        line->n--;
    return 1;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

int scan_fields(struct field *fields, int max, struct field line)
{
    int count = 0;

    for (size_t i = 0; i < line.n;) {
        size_t begin;
        while (i < line.n && is_blank(line.at[i]))
            i++;
        begin = i;
        while (i < line.n && !is_blank(line.at[i]))
            i++;
        if (i == begin)
            break;
        if (count < max)
            fields[count] = (struct field){line.at + begin, i - begin};
        count++;
    }
    return count;
}

struct field scan_trim(struct field f)
{
    while (f.n && is_blank(f.at[f.n - 1]))
        f.n--;
    while (f.n && is_blank(*f.at)) {
        f.at++;
        f.n--;
    }
    return f;
}

int scan_is(struct field f, const char *word)
{
    return f.n == strlen(word) && !memcmp(f.at, word, f.n);
}

int scan_begins(struct field f, const char *word)
{
    size_t n = strlen(word);

    return f.n >= n && !memcmp(f.at, word, n);
}

int scan_number(double *value, struct field f)
{
    char copy[64], *end;

    if (f.n == 0 || f.n >= sizeof(copy))
        return -1;
    for (size_t i = 0; i < f.n; i++) {
        if (!memchr("0123456789+-.eE", f.at[i], 15)) // strtod would take inf, nan and 0x1p3
            return -1;
    }
    memcpy(copy, f.at, f.n);
    copy[f.n] = 0;
    *value = strtod(copy, &end);
    return *end == 0 && isfinite(*value) ? 0 : -1;
}

/* Bytes of the UTF-8 character at c, or 0: ill-formed, overlong, a surrogate. */
static size_t character_bytes(const unsigned char *c, size_t n)
{
    static const struct {
        unsigned char first, last, second_low, second_high;
        size_t bytes;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };

    if (*c < 0x80)
        return *c >= 0x20 && *c != 0x7f;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        if (*c < forms[i].first || *c > forms[i].last)
            continue;
        if (n < forms[i].bytes || c[1] < forms[i].second_low || c[1] > forms[i].second_high)
            return 0;
        for (size_t k = 2; k < forms[i].bytes; k++) {
            if ((c[k] & 0xc0) != 0x80)
                return 0;
        }
        return forms[i].bytes;
    }
    return 0;
}

int scan_printable(struct field f)
{
    for (size_t i = 0; i < f.n;) {
        size_t bytes = character_bytes((const unsigned char *)f.at + i, f.n - i);
        if (bytes == 0)
            return 0;
        i += bytes;
    }
    return 1;
}
