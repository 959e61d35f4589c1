// SPDX-License-Identifier: MIT
/* error.h - one line of text for the person who can do something about it.
 *
 * What can fail takes a struct error last and returns 0, or -1 after filling
 * it. The text says what, where, what was expected and what to do; it has no
 * trailing newline. Only cli/ prints it. Thread: any, one error a thread. */
#ifndef ERROR_H
#define ERROR_H

#include <stdarg.h>

struct error {
    char text[512];
};

/* Fills err (which may be NULL) and returns -1. Control characters in the
 * text, which may come from a hostile file, are replaced by '?'. */
int fail(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts a prefix such as a file name before a text that is already there; returns -1. */
int fail_prefix(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
