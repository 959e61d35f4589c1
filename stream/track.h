// SPDX-License-Identifier: MIT
/* track.h - the model's local speakers to lasting ones, and what to tell of them.
 *
 * The seam for lasting identities: today a local speaker is a speaker, numbered
 * in the order in which they first speak. What goes in (probabilities of local
 * speakers, block by block) and out (reports) will stay.
 *
 * Thread: worker; no allocation. */
#ifndef TRACK_H
#define TRACK_H

#include "stream/decode.h"
#include "stream/report.h"

/* Takes reports as they come. */
struct track_output {
    void (*put)(void *user, const struct report *report);
    void *user;
};

struct tracker {
    struct decoder decoder;
    int id_of_local[POWERSET_MAX_SPEAKERS]; // 0: has not spoken yet
    int n_speakers;                         // lasting ones
    double wall;                            // of the block in hand, for its reports
    struct {
        int local;
        char name[REPORT_NAME_BYTES];
    } speaker[REPORT_MAX_SPEAKERS]; // [id - 1]
};

void tracker_init(struct tracker *t, const struct decode_settings *settings, int n_local);

/* Ends open turns in front of frame `end` and forgets everybody. */
void tracker_reset(struct tracker *t, int64_t end, const struct track_output *out);

/* Gives a speaker another name; 0 if there is none with that id. */
int tracker_rename(struct tracker *t, int id, const char *name, int64_t frame,
                   const struct track_output *out);

/* prob [n_frames,n_local], from `frame` on. Reports what began and ended, and
 * fills n_speakers, overlap, activity and speaking of the block's report. */
void tracker_block(struct tracker *t, struct report_block *block, const float *prob, int64_t frame,
                   int n_frames, const struct track_output *out);

/* Ends open turns in front of frame `end`. */
void tracker_finish(struct tracker *t, int64_t end, const struct track_output *out);

#endif
