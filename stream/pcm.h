// SPDX-License-Identifier: MIT
/* pcm.h - raw samples as bytes, and samples that are no numbers.
 *
 * Integers are scaled as audio files are: full scale is 1, so that the same
 * recording gives the same floats whether it comes as a file or as bytes. */
#ifndef PCM_H
#define PCM_H

#include "model/error.h"

#include <stddef.h>

enum pcm_format { PCM_S16LE, PCM_U8, PCM_S24LE, PCM_S32LE, PCM_F32LE, PCM_F64LE, N_PCM_FORMATS };

/* The format of that name ("s16le", any case); an unknown one is refused with
 * the list of those that are known. */
int pcm_format_parse(enum pcm_format *format, const char *name, struct error *err);

const char *pcm_format_name(enum pcm_format format);

/* Bytes of one sample. */
size_t pcm_sample_bytes(enum pcm_format format);

/* dst [n] from src [n * pcm_sample_bytes].  Thread: any; real-time safe. */
void pcm_to_floats(float *dst, const unsigned char *src, size_t n, enum pcm_format format);

/* Puts 0 in place of what is no sample: NaN, infinities, and magnitudes above
 * 1e12, whose sums and squares could become infinite. Returns how many there
 * were.  Thread: any; real-time safe. */
size_t pcm_make_finite(float *samples, size_t n);

#endif
