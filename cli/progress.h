// SPDX-License-Identifier: MIT
/* progress.h - how far long work has come, how fast it goes, how long it takes yet.
 *
 * One line on stderr, drawn over itself at most five times a second, and only
 * if stderr is a terminal: nothing of it lands in a log. Thread: one, main. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stddef.h>

struct progress {
    const char *what, *unit; // "importing", "tensors": both must outlive it
    double total;            // in units; 0: not known, then there is no bar
    double began, drawn;     // seconds of a clock that only goes forward
    int shown;               // stderr is a terminal
};

/* Starts the clock; nothing is drawn before half a second has gone. */
void progress_begin(struct progress *p, const char *what, const char *unit, double total);

/* So much is done, in units. Cheap: may be called as often as one likes. */
void progress_at(struct progress *p, double done);

/* Wipes the line: call it before anything else is said, results or errors. */
void progress_end(struct progress *p);

/* The line, without its end, as it is after `seconds`; for a terminal at least
 * 60 wide. */
void progress_line(char *line, size_t size, const struct progress *p, double done, double seconds);

#endif
