// SPDX-License-Identifier: MIT
/* audio_file.h - audio files, whatever libsndfile reads: WAV, FLAC, Ogg, MP3.
 *
 * Every number in a header is a claim: rate and channel count are checked
 * before use, the length is only believed as far as audio really comes.
 * Thread: any, one file a thread. */
#ifndef AUDIO_FILE_H
#define AUDIO_FILE_H

#include "model/error.h"

#include <stddef.h>
#include <stdint.h>

/* As long as times may be (stream/turns.h). */
#define AUDIO_FILE_MAX_SECONDS 8640000.0

struct audio_file {
    struct sf_private_tag *handle;
    char *path;
    int rate_hz, channels;
    int64_t n_ticks; // as the header says
    int64_t n_read;  // ticks, so far
    int damage;      // libsndfile's number for what it met; 0: none
};

/* Refuses what is missing, a directory, no audio file, without audio, or of an
 * absurd rate or channel count: one line each. */
int audio_file_open(struct audio_file *f, const char *path, struct error *err);

/* The next ticks, at most n, into dst [n, channels]: their number, 0 at the
 * end, -1 when the file is damaged. They may be NaN if the file says so. */
long audio_file_next(struct audio_file *f, float *dst, size_t n_ticks, struct error *err);

/* The next ticks will be those from number `tick` on. */
int audio_file_seek(struct audio_file *f, int64_t tick, struct error *err);

/* A zeroed file may be closed. */
void audio_file_close(struct audio_file *f);

/* The whole file, 12 hours at most, as 16 kHz mono, samples [n], the caller's to free: channel k
 * from 1 alone, or with 0 the mean of all. What is no number becomes 0. The
 * same bits as a live source of that file gives. */
int audio_file_read(float **samples, size_t *n, const char *path, int channel, struct error *err);

#endif
