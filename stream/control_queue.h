// SPDX-License-Identifier: MIT
/* control_queue.h - from the messages that liblo's server hears to commands in a
 * ring; not for others than control.c and the fuzz target. */
#ifndef CONTROL_QUEUE_H
#define CONTROL_QUEUE_H

#include "stream/control.h"
#include "stream/ring.h"

#include <lo/lo.h>

enum { CONTROL_QUEUE = 64 };

struct control_queue {
    struct ring ring; // from the server's thread to the worker
    struct control_command storage[CONTROL_QUEUE];
    lo_server server; // the caller's
    atomic_int ignored;
    atomic_int rate_hz, block_ms; // 0: not known yet
};

/* Has the server, which nobody serves yet, put what it hears into the queue; the
 * queue stays where it is, at a multiple of 64 bytes, as long as the server lives. */
void control_queue_init(struct control_queue *q, lo_server server);

#endif
