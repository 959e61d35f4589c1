// SPDX-License-Identifier: MIT
/* clock.h - the time, in seconds. No system call where the C library can read
 * the kernel's page (Linux). Thread: any; real-time safe. */
#ifndef CLOCK_H
#define CLOCK_H

#include <time.h>

static inline double clock_of(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Since some moment; only goes forward. */
static inline double clock_monotonic(void)
{
    return clock_of(CLOCK_MONOTONIC);
}

/* That this thread has computed, others' turns on its processor not counted. */
static inline double clock_thread(void)
{
    return clock_of(CLOCK_THREAD_CPUTIME_ID);
}

/* That all threads of this process have computed. */
static inline double clock_process(void)
{
    return clock_of(CLOCK_PROCESS_CPUTIME_ID);
}

/* Since 1970, as the machine believes. */
static inline double clock_wall(void)
{
    return clock_of(CLOCK_REALTIME);
}

#endif
