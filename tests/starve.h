// SPDX-License-Identifier: MIT
/* starve.h - what the tests share in which memory ends: every place where the
 * project asks for memory, a thread, a file or a library's object is refused
 * once, alone and with all that come after it. The linker sends the project's
 * own calls here (--wrap); what libraries ask for by themselves is theirs. The
 * address sanitizer's build tells what was lost.
 *
 * Thread: the counting is any's, starving is main's. */
#ifndef STARVE_H
#define STARVE_H

#include "model/error.h"

/* From now on the place numbered `at`, and if `onwards` all behind it, is refused; at < 0:
 * none is. Places are counted from 0 again. */
void starve_at(long at, int onwards);

/* 1: what cJSON asks for is a place too; a header has thousands. 0 at first. */
void starve_json(int on);

/* Places that were come to since, and whether one was refused. */
long starve_places(void);
int starve_refused(void);

/* Runs `open`, which also closes what it opened, until no place is refused any more,
 * and then once more. Every refusal must be survived: with one line of error, or
 * without what was refused; and no file stays open. Returns the number of
 * refusals that were errors. */
long starve(const char *what, int (*open)(void *context, struct error *err), void *context);

#endif
