// SPDX-License-Identifier: MIT
/* powerset.h - the classes of "who speaks": nobody, each speaker, each pair, ...
 *
 * Class order is upstream's: by number of speakers, then lexicographic: for 4
 * speakers, 2 at once: {} 0 1 2 3 01 02 03 12 13 23.  Thread: any. */
#ifndef POWERSET_H
#define POWERSET_H

#include <stdint.h>

enum { POWERSET_MAX_SPEAKERS = 8, POWERSET_MAX_CLASSES = 256 };

struct powerset {
    int n_speakers, at_once, n_classes;
    uint16_t mask[POWERSET_MAX_CLASSES]; // bit s: speaker s speaks in the class
};

/* n_speakers 1 .. 8, at_once 1 .. n_speakers. */
void powerset_init(struct powerset *p, int n_speakers, int at_once);

/* How likely a speaker speaks: the likeliest class with them against the
 * likeliest without,
 *
 *   prob[t,s] = m / (m + n),  m = max over classes with s of exp(logp[t,class]),
 *                             n = max over classes without s
 *
 * so that prob > 1/2 says the same as the likeliest class of all: at thresholds
 * of 1/2 the decoder makes upstream's choice. (The sum over classes would not:
 * with many classes none may reach 1/2.)
 *
 *   prob [T,n_speakers]    logp [T,n_classes] */
void powerset_activity(float *prob, const float *logp, const struct powerset *p, int T);

/* The speakers of the likeliest class of one row (the first of equals), as bits. */
uint16_t powerset_argmax(const float *logp, const struct powerset *p);

#endif
