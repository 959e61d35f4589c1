// SPDX-License-Identifier: MIT
/* text.h - a text file in memory, its lines, fields and numbers.
 *
 * What the readers of RTTM, UEM and labels share. Nothing is copied: a field
 * points into the text. Thread: any. */
#ifndef TEXT_H
#define TEXT_H

#include "model/error.h"

#include <stddef.h>

struct text {
    char *bytes; // ours; a NUL stands after the last
    size_t n;
};

/* A piece of somebody else's text, without a NUL behind it. */
struct field {
    const char *at;
    size_t n;
};

/* Where a walk through the lines has come to; all zero but rest at its start. */
struct lines_at {
    struct field rest;
    int number; // of the line that was taken last, from 1
};

/* Reads a whole file, "-" for standard input; 256 MiB at most. */
int text_read(struct text *t, const char *path, struct error *err);

/* Frees it; a zeroed text may be released. */
void text_release(struct text *t);

/* The next line without its end (LF or CR LF): 0 when there is none. A byte
 * order mark before the first is skipped. */
int text_line(struct lines_at *l, struct field *line);

/* Cuts a line at blanks. Writes at most max fields, and returns how many there
 * are, which may be more. */
int text_fields(struct field *fields, int max, struct field line);

/* The line without blanks at either end. */
struct field text_trim(struct field f);

/* 1 if the field is that word. */
int text_is(struct field f, const char *word);

/* 1 if it begins with that word. */
int text_begins(struct field f, const char *word);

/* A plain decimal number such as 12.345 or 1e-3: 0, or -1 if it is anything
 * else, or not finite. */
int text_number(double *value, struct field f);

/* 1 if it is well-formed UTF-8 without control characters. */
int text_printable(struct field f);

#endif
