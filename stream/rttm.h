// SPDX-License-Identifier: MIT
/* rttm.h - reads NIST's Rich Transcription Time Marks and evaluation maps.
 *
 *   SPEAKER recording channel start duration <NA> <NA> speaker <NA> [<NA>]
 *   recording channel start end                                       (UEM)
 *
 * Lines that are empty or begin with ; or # are comments. The other types of
 * RTTM lines (LEXEME, SPKR-INFO ...) are passed over, as dscore does; a type
 * that RTTM does not have is an error. So is a second channel: one channel at a
 * time is scored. Errors begin with "line N: ". Thread: any. */
#ifndef RTTM_H
#define RTTM_H

#include "stream/turns.h"

/* Adds the turns of an RTTM text. A duration of 0 is allowed: no time, but a
 * boundary, which has a collar, as in md-eval. */
int rttm_parse(struct turns *t, struct field text, struct error *err);

/* Adds the stretches of a UEM text, each a turn of one speaker. */
int uem_parse(struct turns *t, struct field text, struct error *err);

/* The same from a file; "-" is standard input. */
int uem_read(struct turns *t, const char *path, struct error *err);

#endif
