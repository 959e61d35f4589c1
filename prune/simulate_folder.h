// SPDX-License-Identifier: MIT
/* simulate_folder.h - simulated meetings as a data folder: wav.scp, rttm, all.uem.
 *
 * Everything is written into a folder of another name beside it, which gets its
 * name at the end: the folder is there whole or not at all. Only a killed run
 * leaves the other, DIR.partial-XXXXXX, behind. */
#ifndef SIMULATE_FOLDER_H
#define SIMULATE_FOLDER_H

#include "prune/simulate.h"
#include "stream/turns.h"

struct folder_settings {
    const char *folder;  // must not exist, or be empty
    const char *format;  // "flac" or "wav", both 16 bits
    int n_meetings, n_threads;
    double seconds;      // of each
};

/* Checks the numbers and the format. */
int simulate_folder_check(const struct folder_settings *f, struct error *err);

/* Checks that the folder can be a new one. */
int simulate_folder_check_place(const struct folder_settings *f, struct error *err);

/* Simulates and writes; the turns are added to `turns`, the regions to `uem`,
 * for statistics. `progress`, which may be NULL, is told the seconds of audio
 * that are done, in the calling thread. */
int simulate_folder_write(struct simulation *s, const struct folder_settings *f,
                          struct turns *turns, struct turns *uem,
                          void (*progress)(void *context, double seconds), void *context,
                          struct error *err);

#endif
