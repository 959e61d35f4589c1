// SPDX-License-Identifier: MIT
/* textgrid.h - reads Praat's TextGrid, long or short, UTF-8 or UTF-16.
 *
 * Praat's own rule makes both forms one: of a text file only free-standing
 * numbers, "texts" and <flags> count, the rest is for the eye. A tier of
 * intervals is a speaker; an interval with any text in it is a turn. Tiers of
 * points are passed over. Thread: any. */
#ifndef TEXTGRID_H
#define TEXTGRID_H

#include "stream/turns.h"

/* Adds the turns to that recording. Errors begin with "line N: ". */
int textgrid_parse(struct turns *t, struct field text, struct field recording,
                   struct error *err);

#endif
