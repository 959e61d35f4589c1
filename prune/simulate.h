// SPDX-License-Identifier: MIT
/* simulate.h - meetings of people who never met, from recordings of each alone.
 *
 * Meeting number `index` of a seed is the same bits whenever it is asked for
 * (on processors of one kind: FFTW picks its code by them). In order: how many
 * speakers, who (a bank's speaker at one of some speeds), when each speaks
 * (prune/turn_taking.h), what they say (pieces of their recordings, in their
 * own order where it fits), through which room, at what level; then noise and
 * the line (prune/channel.h).
 *
 * Labels come from the speech itself: a speaker speaks in frame f if there is
 * speech at the frame's middle, sample 320 f + 200; pauses shorter than
 * `bridge` count as speech, as people who mark meetings have it. */
#ifndef SIMULATE_H
#define SIMULATE_H

#include "prune/body.h"
#include "prune/channel.h"
#include "prune/clip.h"
#include "prune/turn_taking.h"
#include "prune/voice.h"

#include <pthread.h>

struct simulate_settings {
    int min_speakers, max_speakers;  // each number between is as likely
    float p_nobody;        // nobody says anything at all
    float p_sparse;        // hardly anybody does: 5 to 50 % of the turns are left
    struct turn_settings turns;
    int voices;            // of each speaker, by other speeds: 1 (as recorded), 3, 5 or 7
    int tracts;            // as many each, by other vocal tracts: 1 (as recorded) or 3
    float level_sd;        // dB, between speakers of a meeting
    float turn_sd;         // dB, between turns of a speaker
    float manner;          // percent, standard deviation of pitch between turns of a speaker
    float colour;          // dB, of each of four bands, between turns of a speaker
    float aside_db;        // dB, asides to other turns
    float p_close;         // every speaker has a microphone: no room at all
    float p_measured;      // a measured room for each speaker, if there are any
    float p_far;           // of those in a drawn room: all sit far from the microphone
    float near_low, near_high, far_low, far_high; // m
    float rt60_low, rt60_high;                    // s
    float bridge;          // s
    int before;            // a clip begins fewer than so many steps of 10 ms after its meeting
    int excerpts;          // clips in a row are of one meeting, each begins where the last ended
    struct body_settings body;
    struct channel_settings channel;
};

/* 1 to 4 speakers, AMI's turn-taking. */
extern const struct simulate_settings simulate_defaults;

struct simulation {
    struct clip_source source; // for the trainer: n_known = voices * tracts * the bank's speakers
    const struct speech_bank *speech;
    const struct sound_bank *noise, *rooms; // may be NULL
    struct simulate_settings settings;
    uint64_t seed;
    struct convolver convolver;
    struct voice_filters filters;
    struct simulate_space *spaces; // not in use, for the next thread that asks
    pthread_mutex_t lock;
};

/* The banks must outlive the simulation; rooms and noise may be NULL. Checks
 * that the settings make sense and that the bank has so many speakers. */
int simulation_open(struct simulation *s, const struct speech_bank *speech,
                    const struct sound_bank *noise, const struct sound_bank *rooms,
                    const struct simulate_settings *settings, double clip_seconds, uint64_t seed,
                    struct error *err);

/* A zeroed simulation may be closed; source.close does the same. */
void simulation_close(struct simulation *s);

struct simulated_turn {
    double start, end; // s
    int voice;
};

/* A whole meeting, from its first minute. */
struct simulated {
    float *samples;               // [n] 16 kHz
    int64_t n;
    struct simulated_turn *turns; // sorted by start
    int n_turns, n_speakers;      // that speak at all
};

/* Thread: any, several at once. */
int simulation_meeting(struct simulated *out, struct simulation *s, uint64_t index,
                       double seconds, struct error *err);

void simulated_release(struct simulated *m);

/* The name of a voice in RTTM: the speaker's number, its folder's name, @0.9 or the like for
 * another speed, ~0.91 for another vocal tract. No two voices share one. */
void simulation_voice_name(char name[128], const struct simulation *s, int voice);

#endif
