// SPDX-License-Identifier: MIT
/* control.h - what receivers may ask for over OSC, on a UDP port of ours.
 *
 *   /antiphon/name i s     name a speaker, 1 .. 256; the name is not empty
 *   /antiphon/reset        forget all speakers
 *   /antiphon/threshold f  the onset, in (0, 1); the offset keeps its distance
 *   /antiphon/ping         say hello to all receivers, and to who asked
 *
 * Anything else, and what comes faster than it can be obeyed, is counted and
 * ignored. Address patterns work. A bundle's messages hold at once, whatever its
 * time tag: a queue of the future would be a stranger's hold on our memory. */
#ifndef CONTROL_H
#define CONTROL_H

#include "model/error.h"
#include "stream/report.h"

enum control_type { CONTROL_NAME, CONTROL_RESET, CONTROL_THRESHOLD, CONTROL_PING };

struct control_command {
    enum control_type type;
    int id;
    float value;
    char name[REPORT_NAME_BYTES]; // UTF-8 without control characters
};

struct control;

/* Listens on UDP port 1 .. 65535, on a thread of its own.  Thread: main. */
int control_open(struct control **c, int port, struct error *err);
void control_close(struct control **c);

/* What a ping is answered with; before it is known, nothing. c may be NULL.  Thread: any. */
void control_set_hello(struct control *c, int rate_hz, int block_ms);

/* The next command; 0 if there is none. c may be NULL.  Thread: worker; real-time safe. */
int control_next(struct control *c, struct control_command *command);

/* Messages that were ignored.  Thread: any. */
int control_ignored(const struct control *c);

#endif
