// SPDX-License-Identifier: MIT
/* audio_file.h - whatever libsndfile reads. Thread: any. */
#ifndef AUDIO_FILE_H
#define AUDIO_FILE_H

#include "model/error.h"

#include <sndfile.h>
#include <stddef.h>

/* Opens and checks: audio, with ticks, at a sane rate. NULL with err filled. */
SNDFILE *audio_file_open(SF_INFO *info, const char *path, struct error *err);

/* The whole file as 16 kHz mono, NaN and infinity as 0; channel from 1, or 0
 * for the mean of all. samples are the caller's to free. */
int audio_file_read(float **samples, size_t *n, const char *path, int channel, struct error *err);

#endif
