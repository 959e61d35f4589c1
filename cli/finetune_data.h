// SPDX-License-Identifier: MIT
/* finetune_data.h - where training and validation clips come from, as commands
 * that train take it. */
#ifndef FINETUNE_DATA_H
#define FINETUNE_DATA_H

#include "model/config.h"
#include "prune/clip.h"
#include "prune/data.h"
#include "prune/simulate.h"

struct finetune_data {
    const char *data, *dev, *speech, *noise, *rir, *dev_speech;
    double chunk_seconds, shift_seconds, augment;
    int min_speakers, max_speakers, voices, tracts, dev_voices;
    double turn_length, bridge, manner, colour, blows;
    int excerpts;
};

#define FINETUNE_DATA_OPTIONS(d)                                                                   \
    {"data", 0, POPT_ARG_STRING, &(d).data, 0, "train on this data folder", "DIR"},                \
        {"dev", 0, POPT_ARG_STRING, &(d).dev, 0, "validate on this data folder", "DIR"},           \
        {"speech", 0, POPT_ARG_STRING, &(d).speech, 0,                                             \
         "train on meetings simulated from recordings of one person each", "DIR"},                 \
        {"dev-speech", 0, POPT_ARG_STRING, &(d).dev_speech, 0,                                     \
         "validate on meetings simulated from these, of other people", "DIR"},                     \
        {"noise", 0, POPT_ARG_STRING, &(d).noise, 0, "noises to mix in", "DIR"},                   \
        {"rir", 0, POPT_ARG_STRING, &(d).rir, 0, "measured room responses to use too", "DIR"},     \
        {"chunk", 0, POPT_ARG_DOUBLE, &(d).chunk_seconds, 0, "length of a clip (the model's)",     \
         "SEC"},                                                                                   \
        {"shift", 0, POPT_ARG_DOUBLE, &(d).shift_seconds, 0,                                       \
         "from clip to clip of a data folder (3/4 of the clip)", "SEC"},                           \
        {"augment", 0, POPT_ARG_DOUBLE, &(d).augment, 0,                                           \
         "share of a data folder's clips to change: noise, rooms, speed, gain (0.5)", "P"},        \
        {"min-speakers", 0, POPT_ARG_INT, &(d).min_speakers, 0, "of a simulated meeting (1)",      \
         "N"},                                                                                     \
        {"max-speakers", 0, POPT_ARG_INT, &(d).max_speakers, 0,                                    \
         "of a simulated meeting (the model's)", "N"},                                             \
        {"voices", 0, POPT_ARG_INT, &(d).voices, 0,                                                \
         "of each speaker, by other speeds: 1, 3, 5 or 7 (simulated 5, of a folder 3)", "N"},      \
        {"tracts", 0, POPT_ARG_INT, &(d).tracts, 0,                                                \
         "times so many, by other vocal tracts: 1 or 3 (simulated 1)", "N"},                       \
        {"manner", 0, POPT_ARG_DOUBLE, &(d).manner, 0,                                             \
         "percent that a simulated speaker's pitch varies from turn to turn (0)", "PERCENT"},      \
        {"colour", 0, POPT_ARG_DOUBLE, &(d).colour, 0,                                             \
         "dB that four bands of a simulated speaker vary from turn to turn (0)", "DB"},            \
        {"blows", 0, POPT_ARG_DOUBLE, &(d).blows, 0,                                               \
         "of breath or hand upon each simulated microphone, a minute (0)", "N"},                   \
        {"excerpts", 0, POPT_ARG_INT, &(d).excerpts, 0,                                            \
         "clips in a row that are of one simulated meeting (1)", "N"},                             \
        {"dev-voices", 0, POPT_ARG_INT, &(d).dev_voices, 0,                                        \
         "of each speaker of --dev-speech (1: as recorded)", "N"},                                       \
        {"turn-length", 0, POPT_ARG_DOUBLE, &(d).turn_length, 0,                                   \
         "of simulated turns, to AMI's (1); below 1 is livelier", "F"},                            \
        {"bridge", 0, POPT_ARG_DOUBLE, &(d).bridge, 0,                                             \
         "longest pause that simulated labels count as speech (0.5)", "SEC"}

struct finetune_sources {
    struct clip_source *train, *dev; // dev may be NULL
    struct speech_bank speech, dev_speech;
    struct sound_bank noise, rooms;
    struct simulation simulation, dev_simulation;
    struct data_folder folder, dev_folder;
};

/* Refuses numbers that mean nothing. */
int finetune_data_check(const struct finetune_data *d, struct error *err);

/* The config of a model that is trained on it, from the one before, which it frees (NULL
 * passes, with the error that is there): a window is a clip long, and the vectors are no
 * longer those that a threshold was measured for. */
char *finetune_config(char *config, const struct finetune_data *d, struct error *err);

/* Reads what there is to read. The sources live until closed. */
int finetune_sources_open(struct finetune_sources *s, const struct finetune_data *d,
                          const struct model_config *c, int threads, uint64_t seed,
                          struct error *err);
void finetune_sources_close(struct finetune_sources *s);

#endif
