// SPDX-License-Identifier: MIT
/* speakers_file.h - named voices in a file: people who keep their names from one
 * evening to the next.
 *
 * JSON: {"format": "antiphon speakers", "version": 1, "model": fingerprint,
 * "width": E, "speakers": [{"name": ..., "prototypes": [{"frames": n,
 * "vector": [E numbers]}]}]}. Vectors mean something only to the model that made
 * them: another model's file is refused. Thread: one at a time. */
#ifndef SPEAKERS_FILE_H
#define SPEAKERS_FILE_H

#include "model/error.h"
#include "stream/report.h"

#include <stddef.h>
#include <stdint.h>

enum { SPEAKERS_KNOWN_MAX = 128, SPEAKER_MAX_PROTOTYPES = 6 };

struct known_speaker {
    char name[REPORT_NAME_BYTES];
    int n;                                // prototypes
    float frames[SPEAKER_MAX_PROTOTYPES]; // that each is the mean of
    float *vectors;                       // [SPEAKER_MAX_PROTOTYPES,width]
};

struct speakers {
    uint64_t model; // its fingerprint
    int width;
    int n;
    struct known_speaker *list;
};

/* Empty, for that model. */
void speakers_init(struct speakers *s, uint64_t model, int width);
void speakers_release(struct speakers *s);

/* The speaker of that name, made if there is none; NULL: too many or no memory. */
struct known_speaker *speakers_get(struct speakers *s, const char *name, struct error *err);

/* Adds a prototype; beyond their number the two lightest become one. */
void speakers_add(const struct speakers *s, struct known_speaker *who, const float *vector,
                  float frames);

/* Takes such a text into an initialised set. */
int speakers_parse(struct speakers *s, const char *text, size_t n, struct error *err);

/* Reads a file into an initialised set, whose model and width it must be of. */
int speakers_read(struct speakers *s, const char *path, struct error *err);

int speakers_write(const struct speakers *s, const char *path, struct error *err);

#endif
