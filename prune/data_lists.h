// SPDX-License-Identifier: MIT
/* data_lists.h - the lists of a data folder as Kaldi lays it out.
 *
 *   wav.scp   recording path            a path may have blanks, no commands
 *   rttm      SPEAKER recording ...     who speaks when
 *   all.uem   recording channel start end   what may be used; without the file, all
 *
 * A path that is not absolute is looked for in the folder, then where the
 * program runs. Everything that can be known beforehand is checked when the
 * lists are read; errors name file and line. Thread: reading any. */
#ifndef DATA_LISTS_H
#define DATA_LISTS_H

#include "model/error.h"

#include <stddef.h>

struct data_turn {
    float start, end; // s, in single precision as upstream's labels have them
    int speaker;      // of the folder
};

struct data_region {
    double start, end; // s
    int line;          // of all.uem, 0: there is none
};

struct data_recording {
    char *name, *path;
    int line;          // of wav.scp
    int rate_hz;
    double seconds;    // of the file
    struct data_turn *turns;
    struct data_region *regions;
    int n_turns, n_regions, turns_room, regions_room;
};

struct data_lists {
    struct data_recording *recordings; // in wav.scp's order
    int *by_name;                      // [n] their numbers, sorted by name
    char **speakers;                   // in order of mention; one name is one person everywhere
    int n, room, n_speakers, speakers_room;
    int *slots;                        // [n_slots] speakers by their names' hashes: number + 1, or 0
    size_t n_slots;                    // a power of two, at least twice n_speakers
};

int data_lists_read(struct data_lists *l, const char *folder, struct error *err);

/* Frees it; zeroed lists may be released. */
void data_lists_release(struct data_lists *l);

#endif
