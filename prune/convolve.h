// SPDX-License-Identifier: MIT
/* convolve.h - filtering by long responses: overlap-add (model/transform.h).
 *
 * The transforms are shared; a thread brings a workspace.
 * Thread: convolver any, after open; workspace one at a time. */
#ifndef CONVOLVE_H
#define CONVOLVE_H

#include "model/transform.h"

#include <stddef.h>
#include <stdint.h>

enum { CONVOLVE_SIZES = 2, CONVOLVE_MAX_TAPS = 16384 };

struct convolver {
    struct transform transforms[CONVOLVE_SIZES];
};

struct convolve_space {
    float *block;                     // [largest transform]
    float *spectrum, *response;       // [largest transform + 2] complex
};

struct response {
    float taps[CONVOLVE_MAX_TAPS];
    int n;     // taps in use
    int delay; // tap of time zero
};

/* Writes samples [from, from + n) of a track into dst. Returns 0 if all are
 * zero; then it need not write them. */
typedef int convolve_pull(void *context, float *dst, int64_t from, int n);

int convolver_open(struct convolver *c, struct error *err);

/* A zeroed convolver may be closed. */
void convolver_close(struct convolver *c);

int convolve_space_open(struct convolve_space *s, struct error *err);
void convolve_space_close(struct convolve_space *s);

/* mix [n] += gain * response * track, for a track of n samples; what rings on
 * after the end is lost. Silent stretches cost nothing. */
void convolve_add(const struct convolver *c, struct convolve_space *s, float *mix, int64_t n,
                  const struct response *response, float gain, convolve_pull *pull,
                  void *context);

#endif
