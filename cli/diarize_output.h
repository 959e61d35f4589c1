// SPDX-License-Identifier: MIT
/* diarize_output.h - where the turns of `diarize` go: stdout, one file, or a file a
 * recording in a folder; RTTM, or by the file's extension another format. */
#ifndef DIARIZE_OUTPUT_H
#define DIARIZE_OUTPUT_H

#include "cli/diarize_jobs.h"
#include "stream/labels.h"

#include <stdio.h>

struct diarize_output {
    const char *path;  // NULL or "-": stdout
    int is_folder;
    enum labels_format format;
    char *text;        // of a file, as it grows
    size_t n;
    FILE *collected;
    int n_taken;       // recordings
};

/* Folders are made if their name ends with a slash; recordings of one name, which would
 * write the same turns, are refused. */
int diarize_output_open(struct diarize_output *o, const char *path,
                        const struct diarize_job *jobs, int n, struct error *err);

/* Takes a job's turns. */
int diarize_output_take(struct diarize_output *o, struct diarize_job *job, struct error *err);

/* Gives the file its name; nothing is written if err is NULL or no recording was taken. */
int diarize_output_close(struct diarize_output *o, struct error *err);

#endif
