// SPDX-License-Identifier: MIT
/* meetings.h - recordings with who spoke when, to score a model on.
 *
 * A folder is either Kaldi's (wav.scp, rttm, all.uem; data_lists.h) or holds
 * audio files, at any depth, each with NAME.rttm beside NAME.wav (or .flac ..),
 * and NAME.uem if not all of it counts. Thread: reading any. */
#ifndef MEETINGS_H
#define MEETINGS_H

#include "stream/turns.h"

struct meeting {
    char *name, *path;
    const struct recording *reference; // NULL: nobody speaks
    const struct recording *uem;       // NULL: all of it counts
};

struct meetings {
    struct meeting *list; // [n] as in wav.scp, or by path
    int n;
    struct turns *sets;   // [n_sets] what they point into
    int n_sets;
};

/* Errors name file and line. */
int meetings_open(struct meetings *m, const char *folder, struct error *err);

/* Zeroed meetings may be closed. */
void meetings_close(struct meetings *m);

#endif
