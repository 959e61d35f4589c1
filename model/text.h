// SPDX-License-Identifier: MIT
/* text.h - text that grows at its end, and strings as JSON wants them.
 *
 * A failure (memory, limit) is kept and asked for once at the end; until then
 * what is added is dropped. Thread: one at a time. */
#ifndef TEXT_H
#define TEXT_H

#include "model/error.h"

#include <stddef.h>

struct text {
    char *bytes;         // terminated, or NULL while empty
    size_t n, capacity;  // bytes; n without the terminator
    size_t limit;        // n never grows beyond; 0: no limit
    enum { TEXT_FINE, TEXT_TOO_LONG, TEXT_NO_MEMORY } failed;
};

void text_add(struct text *t, const char *s, size_t n);
void text_puts(struct text *t, const char *s);
void text_printf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The string in quotes and escaped; s is valid UTF-8. */
void text_json_string(struct text *t, const char *s, size_t n);

/* The shortest decimal that reads back as x, always with a point or an
 * exponent and never with a locale's comma; x is finite. */
void text_json_double(struct text *t, double x);

/* 0, or -1 if anything could not be added; what names the text in the error. */
int text_check(const struct text *t, const char *what, struct error *err);

/* A zeroed text may be released. */
void text_release(struct text *t);

/* 1 if these are whole, shortest-form UTF-8 characters without surrogates. */
int utf8_valid(const char *s, size_t n);

#endif
