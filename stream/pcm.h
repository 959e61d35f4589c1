// SPDX-License-Identifier: MIT
/* pcm.h - raw samples as they come through a pipe. */
#ifndef PCM_H
#define PCM_H

#include <stddef.h>

struct pcm_format {
    const char *name; // "s16le"
    int bytes;        // of a sample
    void (*convert)(float *dst, const unsigned char *src, size_t n);
};

/* The format of that name, or NULL. */
const struct pcm_format *pcm_find(const char *name);

/* All names, for messages. */
extern const char *const pcm_names;

#endif
