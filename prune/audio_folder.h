// SPDX-License-Identifier: MIT
/* audio_folder.h - the audio files below a folder, read by several threads.
 *
 * What counts is the name's ending: any that libsndfile reads. Files and
 * folders whose name begins with a dot are passed over; symbolic links are
 * followed, once round a circle. The list is sorted by folder, then name, so
 * that it is the same on every machine. Thread: one a list. */
#ifndef AUDIO_FOLDER_H
#define AUDIO_FOLDER_H

#include "model/error.h"

#include <stddef.h>

struct audio_folder {
    char **paths; // [n]
    int n, room;
};

/* Fails when the folder cannot be read or holds no audio at any depth. */
int audio_folder_list(struct audio_folder *f, const char *root, struct error *err);

/* Frees it; a zeroed list may be released. */
void audio_folder_release(struct audio_folder *f);

/* What is to be done with file number i: samples [n] are 16 kHz mono, the mean
 * of its channels, and from now on the function's to free. Called by several
 * threads at once. */
typedef int audio_folder_take(void *context, int i, float *samples, size_t n, struct error *err);

/* Reads every file in n_threads threads. The error is that of the first bad
 * file in the list's order, whatever thread met it. */
int audio_folder_read(const struct audio_folder *f, int n_threads, audio_folder_take *take,
                      void *context, struct error *err);

#endif
