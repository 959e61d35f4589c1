// SPDX-License-Identifier: MIT
/* rttm_write.h - turns as RTTM text.
 *
 *   SPEAKER recording 1 start duration <NA> <NA> name <NA> <NA>
 *
 * to the millisecond, sorted by start, then end, then name (as text, so that 10
 * stands before 2): upstream's. Thread: any. */
#ifndef RTTM_WRITE_H
#define RTTM_WRITE_H

#include "model/error.h"
#include "stream/binarize.h"

/* The whole text, to be freed; NULL with err filled. Sorts the regions. names
 * [speakers], without blanks. */
char *rttm_text(struct regions *r, const char *recording, const char *const *names,
                struct error *err);

#endif
