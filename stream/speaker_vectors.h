// SPDX-License-Identifier: MIT
/* speaker_vectors.h - the vectors of a window's local speakers, each from the
 * frames where that speaker is alone.
 *
 * As DiariZen's pipeline chooses them: a frame is clean if fewer than two local
 * speakers are active in it. A speaker's clean frames are taken if they are more
 * than the fewest the network can use; else all of the speaker's frames, overlap
 * included. Inactive speakers get the network's bias: the same finite vector for
 * all. Which vectors to trust is the caller's question.
 *
 * Thread: one at a time (offline: a worker; live: the worker). No allocation
 * after opening. */
#ifndef SPEAKER_VECTORS_H
#define SPEAKER_VECTORS_H

#include "model/resnet.h"

struct speaker_vectors {
    const struct resnet *net; // must outlive this
    struct resnet_acts acts;
    float *window;            // [max_samples]
    float *masks;             // [max_speakers,max_frames]
    size_t max_samples;
    int max_frames, max_speakers;
    struct arena arena;
};

/* For windows of up to max_samples (at least RESNET_MIN_SAMPLES). */
int speaker_vectors_open(struct speaker_vectors *v, const struct resnet *net, size_t max_samples,
                         int max_frames, int max_speakers, struct error *err);

/* A zeroed one may be closed. */
void speaker_vectors_close(struct speaker_vectors *v);

/* masks [n_speakers,n_frames] of zeros and ones by the rule above.
 * active [n_frames,n_speakers]: not 0 where a speaker is; n_samples: of the window. */
void speaker_vectors_masks(float *masks, const unsigned char *active, int n_frames,
                           int n_speakers, size_t n_samples);

/* vectors [n_speakers,E] of the window [start, start + n_window) of a recording of n
 * samples (16 kHz); what lies beyond its end is silence. active [n_frames,n_speakers]. */
void speaker_vectors_compute(float *vectors, struct speaker_vectors *v, const float *recording,
                             size_t n, size_t start, size_t n_window,
                             const unsigned char *active, int n_frames, int n_speakers);

#endif
