// SPDX-License-Identifier: MIT
/* scan.h - a text file in memory, its lines, fields and numbers.
 *
 * What the readers of RTTM, UEM and labels share. Nothing is copied: a field
 * points into the text. Thread: any. */
#ifndef SCAN_H
#define SCAN_H

#include "model/error.h"

#include <stddef.h>

struct scan {
    char *bytes; // ours; a NUL stands after the last
    size_t n;
};

/* A piece of somebody else's text, without a NUL behind it. */
struct field {
    const char *at;
    size_t n;
};

/* Where a walk through the lines has come to; all zero but rest at its start. */
struct scan_lines {
    struct field rest;
    int number; // of the line that was taken last, from 1
};

/* Reads a whole file, "-" for standard input; 256 MiB at most. */
int scan_read(struct scan *t, const char *path, struct error *err);

/* Frees it; a zeroed text may be released. */
void scan_release(struct scan *t);

/* The next line without its end (LF or CR LF): 0 when there is none. A byte
 * order mark before the first is skipped. */
int scan_line(struct scan_lines *l, struct field *line);

/* Cuts a line at blanks. Writes at most max fields, and returns how many there
 * are, which may be more. */
int scan_fields(struct field *fields, int max, struct field line);

/* The line without blanks at either end. */
struct field scan_trim(struct field f);

/* 1 if the field is that word. */
int scan_is(struct field f, const char *word);

/* 1 if it begins with that word. */
int scan_begins(struct field f, const char *word);

/* A plain decimal number such as 12.345 or 1e-3: 0, or -1 if it is anything
 * else, or not finite. */
int scan_number(double *value, struct field f);

/* 1 if it is well-formed UTF-8 without control characters. */
int scan_printable(struct field f);

#endif
