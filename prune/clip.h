// SPDX-License-Identifier: MIT
/* clip.h - one training example, and where examples come from.
 *
 * A source is an endless, seeded list: example number `index` is the same bits
 * whenever and by whomever it is asked for. So a trainer's place in its data is
 * one number, ranks and threads share the list by index, and a resumed run
 * sees what a run never killed would have seen. */
#ifndef CLIP_H
#define CLIP_H

#include "model/error.h"

#include <stdint.h>

enum { CLIP_MAX_SPEAKERS = 8, CLIP_MAX_EXCERPTS = 8 };

struct clip {
    float *samples;     // [n_samples] 16 kHz, mono
    int64_t n_samples;
    uint8_t *labels;    // [n_frames,CLIP_MAX_SPEAKERS] 1: speaks in that frame
    int n_frames;       // blocks_frames(n_samples)
    int n_speakers;     // columns in use, the most talkative first
    int32_t speaker[CLIP_MAX_SPEAKERS]; // number among the source's known speakers, -1: unknown
    char origin[192];   // where it came from, for messages: recording and start, or simulation's seed
};

struct clip_source {
    int64_t n_samples;  // of every clip
    int n_known;        // speakers with a number, for the speaker-vector loss; 0: none
    int excerpts;       // examples k n .. k n + n - 1 are of one meeting, as numbers tell; 0: n = 1
    uint64_t epoch;     // clips until all data was seen once; 0: no such thing (simulation)
    /* Fills a clip initialised for n_samples. Thread: any, several at once. */
    int (*get)(struct clip *clip, const struct clip_source *source, uint64_t index,
               struct error *err);
    void (*close)(struct clip_source *source);
};

static inline int clip_excerpts(const struct clip_source *source)
{
    return source->excerpts > 1 ? source->excerpts : 1;
}

int clip_init(struct clip *clip, int64_t n_samples, struct error *err);
void clip_release(struct clip *clip);

/* The column of the speaker who is alone in frame t, or -1. */
int clip_alone(const struct clip *clip, int t);

#endif
