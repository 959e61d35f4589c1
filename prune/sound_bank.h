// SPDX-License-Identifier: MIT
/* sound_bank.h - noises, and responses of rooms that were measured, in memory.
 *
 * A zeroed bank holds nothing and may be used. Thread: reading any. */
#ifndef SOUND_BANK_H
#define SOUND_BANK_H

#include "model/error.h"

struct sound {
    float *samples; // [n] 16 kHz mono, ours
    int n;
};

struct sound_bank {
    struct sound *sounds;
    int n;
};

enum { RESPONSE_LEAD = 16, RESPONSE_MAX = 16000 }; // samples

/* Every audio file below a folder, each brought to a mean square of 1; silent
 * ones are left out. */
int sound_bank_open_noise(struct sound_bank *b, const char *folder, int n_threads,
                          struct error *err);

/* Room impulse responses: each begins RESPONSE_LEAD samples before its loudest
 * one, the direct sound, ends where 60 dB have decayed (1 s at most), and has
 * an energy of 1. */
int sound_bank_open_responses(struct sound_bank *b, const char *folder, int n_threads,
                              struct error *err);

/* Frees it; a zeroed bank may be closed. */
void sound_bank_close(struct sound_bank *b);

#endif
