// SPDX-License-Identifier: MIT
/* data.h - clips of recorded meetings, from a data folder, cut and labelled as
 * DiariZen's recipe does it.
 *
 * A region [start, end) of all.uem gives chunks from floor(start + 1) on, one
 * every `shift` seconds, as long as they end by floor(end - 1). A turn makes
 * the frames round((start - 0.0125) / 0.02) to round((end - 0.0125) / 0.02),
 * both included, its speaker's: in single precision, half to even. Of more
 * speakers than `keep` in a chunk the most talkative stay.
 *
 * A chunk may be changed on its way: speed, a room, then all that
 * prune/channel.h does. One in (1 - augment) stays as it is, but for dither.
 * Every epoch has each chunk once, in an order of its own. */
#ifndef DATA_H
#define DATA_H

#include "prune/channel.h"
#include "prune/clip.h"
#include "prune/data_lists.h"
#include "prune/voice.h"

#include <pthread.h>

struct data_settings {
    double chunk, shift; // s
    int keep;            // speakers of a chunk, at most CLIP_MAX_SPEAKERS
    int channel;         // of the audio, from 1; 0: the mean of all
    int shuffle;
    int dither;
    float augment;       // share of the chunks that are changed; 0: none
    int voices;          // of each speaker, by other speeds: 1, 3, 5 or 7
    float p_speed, p_room; // of those
    float rt60_low, rt60_high;
    struct channel_settings line;
};

/* For training: 8 s every 6 s, 4 speakers, half of the chunks changed. To
 * validate set shuffle, dither and augment to 0. */
extern const struct data_settings data_defaults;

struct data_folder {
    struct clip_source source; // n_known = voices * speakers: speed makes another voice
    struct data_lists lists;
    struct data_chunk *chunks; // [source.epoch]
    struct data_settings settings;
    const struct sound_bank *noise, *rooms;
    uint64_t seed;
    struct convolver convolver;
    struct voice_filters filters;
    struct data_space *spaces; // not in use
    pthread_mutex_t lock;
    int open;
};

struct data_chunk {
    int recording;
    double start, until; // s; until: end of the region, for chunks at another speed
};

/* The banks must outlive the folder and may be NULL. Errors name file and line. */
int data_open(struct data_folder *d, const char *folder, const struct data_settings *settings,
              const struct sound_bank *noise, const struct sound_bank *rooms, uint64_t seed,
              struct error *err);

/* A zeroed folder may be closed; source.close does the same. */
void data_close(struct data_folder *d);

/* Number k of a shuffled 0 .. n-1: a permutation without a table (a Feistel
 * network on the next even number of bits, walked until it lands below n). */
uint64_t data_shuffled(uint64_t k, uint64_t n, uint64_t seed, uint64_t epoch);

#endif
