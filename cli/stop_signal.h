// SPDX-License-Identifier: MIT
/* stop_signal.h - Ctrl-C and SIGTERM as a number that long work looks at. */
#ifndef STOP_SIGNAL_H
#define STOP_SIGNAL_H

#include <signal.h>

/* From now on the two signals set the number, once 0, to 1. */
volatile sig_atomic_t *stop_signal_watch(void);

#endif
