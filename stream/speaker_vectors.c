// SPDX-License-Identifier: MIT
#include "stream/speaker_vectors.h"

#include <assert.h>
#include <string.h>

static void vectors_place(struct speaker_vectors *v)
{
    v->window = arena_floats(&v->arena, v->max_samples);
    v->masks = arena_floats(&v->arena, (size_t)v->max_frames * (size_t)v->max_speakers);
}

int speaker_vectors_open(struct speaker_vectors *v, const struct resnet *net, size_t max_samples,
                         int max_frames, int max_speakers, struct error *err)
{
    assert(max_frames >= 1 && max_speakers >= 1);
    *v = (struct speaker_vectors){.net = net, .max_samples = max_samples,
                                  .max_frames = max_frames, .max_speakers = max_speakers};
    if (resnet_acts_open(&v->acts, net, max_samples, err))
        return -1;
    vectors_place(v);
    if (arena_commit(&v->arena, err)) {
        speaker_vectors_close(v);
        return -1;
    }
    vectors_place(v);
    return 0;
}

void speaker_vectors_close(struct speaker_vectors *v)
{
    resnet_acts_close(&v->acts);
    arena_release(&v->arena);
    *v = (struct speaker_vectors){0};
}

static int count_active(const unsigned char *frame, int n_speakers)
{
    int n = 0;

    for (int s = 0; s < n_speakers; s++)
        n += frame[s] != 0;
    return n;
}

void speaker_vectors_masks(float *masks, const unsigned char *active, int n_frames,
                           int n_speakers, size_t n_samples)
{
    /* Frames of the shortest input the network takes. */
    size_t fewest = ((size_t)n_frames * RESNET_MIN_SAMPLES + n_samples - 1) / n_samples;

    for (int s = 0; s < n_speakers; s++) {
        float *mask = masks + (size_t)s * (size_t)n_frames;
        size_t n_clean = 0;
        for (int t = 0; t < n_frames; t++) {
            const unsigned char *frame = active + (size_t)t * (size_t)n_speakers;
            mask[t] = frame[s] && count_active(frame, n_speakers) < 2 ? 1.0f : 0.0f;
            n_clean += mask[t] != 0.0f;
        }
        for (int t = 0; n_clean <= fewest && t < n_frames; t++)
            mask[t] = active[(size_t)t * (size_t)n_speakers + (size_t)s] ? 1.0f : 0.0f;
    }
}

static int anything(const unsigned char *active, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (active[i])
            return 1;
    }
    return 0;
}

void speaker_vectors_compute(float *vectors, struct speaker_vectors *v, const float *recording,
                             size_t n, size_t start, size_t n_window,
                             const unsigned char *active, int n_frames, int n_speakers)
{
    size_t E = (size_t)v->net->shape.embedding;
    size_t there = start < n ? n - start : 0;

    assert(n_window >= RESNET_MIN_SAMPLES && n_window <= v->max_samples);
    assert(n_frames >= 1 && n_frames <= v->max_frames && n_speakers <= v->max_speakers);
    if (!anything(active, (size_t)n_frames * (size_t)n_speakers)) { // needs no network
        for (int s = 0; s < n_speakers; s++)
            memcpy(vectors + (size_t)s * E, v->net->bias, E * sizeof(float));
        return;
    }
    there = there < n_window ? there : n_window;
    if (there)
        memcpy(v->window, recording + start, there * sizeof(float));
    memset(v->window + there, 0, (n_window - there) * sizeof(float));
    speaker_vectors_masks(v->masks, active, n_frames, n_speakers, n_window);
    resnet_vectors(vectors, &v->acts, v->net, v->window, n_window, v->masks, n_speakers, n_frames);
}
