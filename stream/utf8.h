// SPDX-License-Identifier: MIT
/* utf8.h - text from outside made fit for an output.
 *
 * Names come over a network, sources from a command line: both may hold any
 * bytes. Results are always ended by 0, valid UTF-8, and never end in the
 * middle of a character.  Thread: any. */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>

/* Bytes of the character that text begins with: 1 to 4, or 0 if that is no
 * valid UTF-8 (overlong, surrogate and too large ones included). */
size_t utf8_character(const char *text);

/* Copies src; what is no UTF-8 becomes U+FFFD. size >= 1 is that of dst. */
void utf8_copy(char *dst, size_t size, const char *src);

/* The same for a name of one line: control characters become blanks, and those at
 * its beginning and end go, as blanks do. May leave nothing. */
void utf8_name(char *dst, size_t size, const char *src);

/* The same for one field of a line of fields: blanks of every kind, those above
 * ASCII included, become '_'; of an empty text a '_' remains. size >= 2. */
void utf8_field(char *dst, size_t size, const char *src);

#endif
