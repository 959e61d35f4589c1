// SPDX-License-Identifier: MIT
#include "cli/stop_signal.h"

#include <stddef.h>

static volatile sig_atomic_t stopped; // a handler has nowhere else to write

static void stop(int signal_number)
{
    stopped = 1;
}

volatile sig_atomic_t *stop_signal_watch(void)
{
    struct sigaction action = {.sa_handler = stop};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &stopped;
}
