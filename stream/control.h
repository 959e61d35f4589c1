// SPDX-License-Identifier: MIT
/* control.h - what receivers may ask for over OSC, on a port of ours.
 *
 *   /antiphon/name i s     name a speaker
 *   /antiphon/reset        forget all speakers
 *   /antiphon/threshold f  the onset; the offset keeps its distance
 *   /antiphon/ping         say hello
 *
 * Anything else is counted and ignored. A thread of liblo's listens; the worker
 * takes commands between blocks. */
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

/* Listens on UDP port 1 .. 65535.  Thread: main. */
int control_open(struct control **c, int port, struct error *err);
void control_close(struct control **c);

/* The next command; 0 if there is none. c may be NULL.  Thread: worker. */
int control_next(struct control *c, struct control_command *command);

/* Messages that were ignored.  Thread: any. */
int control_ignored(const struct control *c);

#endif
