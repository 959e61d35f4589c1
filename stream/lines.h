// SPDX-License-Identifier: MIT
/* lines.h - what happens as lines that can be read, where there is no terminal.
 *
 *   0:03.2  speaker 1 begins
 *   0:05.9  speaker 1 ends after 2.7 s */
#ifndef LINES_H
#define LINES_H

#include "stream/report.h"

#include <stdio.h>

struct lines {
    FILE *out;
    int64_t dropped; // told so far
};

/* Prints the report's line, if it has one, and flushes; -1 if that failed.
 * Thread: main. */
int lines_take(struct lines *l, const struct report *r);

/* Stream seconds as m:ss.s or h:mm:ss.s. */
void lines_time(char *text, size_t size, double seconds);

#endif
