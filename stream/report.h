// SPDX-License-Identifier: MIT
/* report.h - what the worker tells the sinks, in order.
 *
 * Everything that happens is one report of fixed size, copied by value into
 * the ring of every sink. Within a block the order is: SPEAKER_NEW, then
 * SPEAKER_ON / SPEAKER_OFF / SPEAKER_MOVED / SPEAKER_MERGE / SPEAKER_NAME in time order (of what begins
 * and ends in the same frame the beginnings first), then the BLOCK itself, which closes
 * it. START is the first report, END the last; open turns are ended by SPEAKER_OFF before
 * END. */
#ifndef REPORT_H
#define REPORT_H

#include <stdint.h>

enum { REPORT_MAX_SPEAKERS = 256, REPORT_NAME_BYTES = 64, REPORT_TEXT_BYTES = 256 };

enum report_type {
    REPORT_START,
    REPORT_SPEAKER_NEW,
    REPORT_SPEAKER_ON,
    REPORT_SPEAKER_OFF,
    REPORT_SPEAKER_MERGE,
    REPORT_SPEAKER_MOVED, // what one was told to have said another did
    REPORT_SPEAKER_NAME, // a speaker was given another name
    REPORT_HELLO,        // somebody pinged: say hello again
    REPORT_RESET,        // all speakers are forgotten; ids start again from 1
    REPORT_BLOCK,
    REPORT_END,
};

struct report_start {
    int rate_hz;  // always 16000
    int block_ms;   // of a block, or of a step in window mode
    int window_ms;  // of the window that is encoded anew at each step; 0: block by block
    char model[REPORT_TEXT_BYTES];  // path, or "built-in"
    char source[REPORT_TEXT_BYTES]; // device name, file, "stdin"
    char recording[REPORT_NAME_BYTES]; // RTTM's file field: no blanks
    double wall;  // Unix seconds at stream time 0
};

struct report_speaker {
    int id;         // from 1, in order of first appearance
    int merged_id;  // SPEAKER_MERGE: this id was `id` all along; MOVED: it was told to speak
    double start;   // stream seconds; the turn's start (NEW, ON, OFF), or of what was MOVED
    double end;     // stream seconds; OFF and MOVED only
    double wall;    // Unix seconds at which its block's first sample was captured
    char name[REPORT_NAME_BYTES]; // UTF-8; "speaker 1" unless named
};

struct report_block {
    int64_t number;
    double start, end;  // stream seconds the block's frames stand for
    double wall;        // Unix seconds at which the block's first sample was captured
    int n_speakers;     // lasting speakers so far, in order of first appearance
    int overlap;        // how many speak at once, the most in this block
    float activity[REPORT_MAX_SPEAKERS]; // mean probability over the block's frames
    uint8_t speaking[REPORT_MAX_SPEAKERS]; // 1: an open turn at the end of the block
    float level_dbfs;   // RMS of the block's samples, full scale sine = -3.01; silence -120
    float latency_ms;   // from the capture of the block's last sample to its report
    float load;         // compute time / audio time, smoothed over some seconds
    int64_t dropped_samples; // 16 kHz samples replaced by silence so far
    int overruns;       // times the ring or the driver overflowed so far
};

struct report {
    enum report_type type;
    double time; // stream seconds up to which the stream was heard when this was decided
    union {
        struct report_start start;
        struct report_speaker speaker;
        struct report_block block;
    };
};

#endif
