// SPDX-License-Identifier: MIT
/* offline.h - from what was heard in all windows to who spoke when: count, clustering,
 * reconstruction, regions; DiariZen's order.
 *
 * Persons are numbered in the order in which they first speak. With compat
 * everything is upstream's instead: numbers are the clusters', time stamps those of
 * frames' middles, speech may lie beyond the end of the recording, and a recording
 * without speech is an error. Thread: any. */
#ifndef OFFLINE_H
#define OFFLINE_H

#include "stream/binarize.h"
#include "stream/clustering.h"
#include "stream/speakers_file.h"
#include "stream/windows.h"

struct offline_settings {
    struct clustering_settings clustering;
    struct binarize_settings binarize;
    const struct speakers *known; // who is looked for (known.h), or NULL; not with compat
    float known_threshold;        // cosine distance
    int centred; // 1: a window's frames count the more the more context they have in it
    int compat;
};

/* centred with voices; otherwise as upstream. */
struct offline_settings offline_defaults(enum clustering_method method, int compat);

/* seconds: of the recording, where turns end at the latest.
 * *n_speakers: numbers below it may be in the regions. *who [*n_speakers], if who is not NULL:
 * each one's place among the known, or -1; the caller's to free, NULL without known ones. */
int offline_run(struct regions *r, int *n_speakers, int **who, const struct heard *h,
                const struct windows *w, const struct offline_settings *s, double seconds,
                struct error *err);

#endif
