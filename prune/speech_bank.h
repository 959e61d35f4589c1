// SPDX-License-Identifier: MIT
/* speech_bank.h - recordings of one person each, in memory, cut at their pauses.
 *
 * The speaker of a file is the folder above it; speakers are numbered in order
 * of their folders' paths. A piece is what was said between two pauses of at
 * least 0.2 s, with at most 50 ms of what is around it, and knows of every
 * 10 ms whether it is speech. 16 kHz int16: an hour takes 115 MB.
 * Thread: reading any, several at once. */
#ifndef SPEECH_BANK_H
#define SPEECH_BANK_H

#include "model/error.h"

#include <stdint.h>

struct piece {
    const int16_t *pcm;      // [n_steps * ACTIVITY_STEP]
    const uint8_t *activity; // [n_steps] as in prune/activity.h
    int n_steps;             // of 10 ms
    int pause;               // steps between it and the next piece of its file; -1: it is the last
    float scale;             // makes a sample of this file's speech one of mean square 1
};

struct bank_speaker {
    char *name;              // its folder's path
    int first, n;            // its pieces
    double seconds;          // of speech
};

struct speech_bank {
    struct piece *pieces;    // speaker by speaker, file by file, in order of time
    struct bank_speaker *speakers;
    void **files;            // [n_files] memory the pieces point into
    int n_pieces, n_speakers, n_files;
    int n_silent;            // files without speech, which were left out
    double seconds;          // of speech
};

/* Reads all audio below a folder in n_threads threads. */
int speech_bank_open(struct speech_bank *b, const char *folder, int n_threads, struct error *err);

/* Frees it; a zeroed bank may be closed. */
void speech_bank_close(struct speech_bank *b);

#endif
