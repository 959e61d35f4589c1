// SPDX-License-Identifier: MIT
/* resnet.h - a vector for each speaker of a stretch of sound: WeSpeaker's ResNet34.
 *
 *   filter banks [T,80], less their mean over the stretch
 *   -> 3x3 convolution, 3 + 4 + 6 + 3 residual blocks of 32, 64, 128, 256 channels
 *   -> mean and deviation over time, weighted frame by frame    -> linear, [E]
 *
 * Only the weighting knows of speakers: the convolutions run once for all the
 * speakers of a stretch. Vectors are as the network leaves them, not of length
 * one; compare them by their cosine.
 *
 * A resnet is constant after opening and may be shared by threads; acts belong to
 * one thread. resnet_vectors neither allocates, locks nor prints, so the live
 * worker may call it; 16 s of sound take about a fifth of a second of one core. */
#ifndef RESNET_H
#define RESNET_H

#include "model/checkpoint.h"
#include "model/conv2d.h"
#include "model/fbank.h"

enum {
    RESNET_STAGES = 4,
    RESNET_BLOCKS = 3 + 4 + 6 + 3,
    RESNET_MIN_SAMPLES = 400, // the shortest stretch: one frame of filter banks
};

struct resnet_shape {
    int width;     // channels of the first stage; each next one has twice as many
    int bands;     // of the filter banks, a multiple of 8
    int embedding; // E
};

struct resnet_block {
    struct conv2d first, second, shortcut; // shortcut.shape.out 0: the input itself
};

struct resnet {
    struct resnet_shape shape;
    struct conv2d stem;
    struct resnet_block block[RESNET_BLOCKS];
    float *linear; // [E, 2 F]  F = channels * bands / 8 of the last map
    float *bias;   // [E]
    struct fbank *fbank;
    struct arena arena;
};

/* Takes the network out of a checkpoint: antiphon's, pyannote's
 * pytorch_model.bin or WeSpeaker's own state dict. All is copied; the checkpoint
 * may be closed. -1 with err filled (without the file's name): no such network,
 * damaged, or no memory. */
int resnet_open(struct resnet *r, const struct checkpoint *c, struct error *err);

/* Random weights: for timing. The real network is {32, 80, 256}. */
int resnet_open_random(struct resnet *r, const struct resnet_shape *shape, uint64_t seed,
                       struct error *err);

/* A zeroed resnet may be closed. */
void resnet_close(struct resnet *r);

struct resnet_acts {
    struct map map;       // the last stage's result
    float *areas[3];      // where maps are; map.data is one of them
    float *features;      // [T,bands]
    double *band_mean;    // [bands]
    float *bank_scratch;
    float *weights;       // [frames of the last map]
    double *mean, *square; // [F] sums of a pooling
    float *stats;         // [2 F] means, deviations; channel by channel, then band
    size_t max_samples;
    struct conv2d_scratch scratch;
    struct arena arena;
};

/* Room for stretches of up to max_samples (at least RESNET_MIN_SAMPLES); about
 * 3 MB a second of sound for the real network. */
int resnet_acts_open(struct resnet_acts *a, const struct resnet *r, size_t max_samples,
                     struct error *err);
void resnet_acts_close(struct resnet_acts *a);

/* vectors [n_speakers,E] of samples [n_samples] (16 kHz, +-1; from
 * RESNET_MIN_SAMPLES to the acts' max_samples).
 *
 * weights [n_speakers,n_frames], 0 to 1: how much a speaker's vector hears of each
 * moment; n_frames >= 1 frames of any rate that cover the stretch, of which the
 * nearest to each of the network's own (80 ms) counts. A speaker of no weight gets
 * the network's bias, finite and always the same. weights NULL: one vector of all
 * frames alike (n_speakers 1); that of fewer than 1680 samples is NaN, as the
 * deviation of a single frame. */
void resnet_vectors(float *vectors, struct resnet_acts *a, const struct resnet *r,
                    const float *samples, size_t n_samples, const float *weights, int n_speakers,
                    int n_frames);

/* The steps of it, for tests and for counting time. Frames of filter banks of n
 * samples; acts->features from samples; acts->map through the first convolution
 * (of T frames in acts->features) and through stage 0 .. 3; one vector and
 * acts->stats from acts->map. */
int resnet_frames(size_t n_samples);
void resnet_features(struct resnet_acts *a, const struct resnet *r, const float *samples,
                     size_t n_samples);
void resnet_stem(struct resnet_acts *a, const struct resnet *r, int T);
void resnet_stage(struct resnet_acts *a, const struct resnet *r, int stage);
void resnet_pool(float *vector, struct resnet_acts *a, const struct resnet *r,
                 const float *weights, int n_frames);

/* Which of n_in frames stands for frame i of n_out: the nearest, in single
 * precision as upstream computes it. */
int resnet_nearest(int i, int n_in, int n_out);

#endif
