// SPDX-License-Identifier: MIT
/* plot.h - turns as a picture: a timeline in rows, as SVG.
 *
 * A lane for each speaker, the reference's above, the system's below, and
 * between them where they differ. A system's speaker has the colour of the
 * reference's speaker it was mapped to, as in scoring. The colours are Okabe
 * and Ito's, which colour blindness does not join; from the eighth speaker on
 * they come again with stripes; errors differ in place and filling, not only
 * in colour. Thread: any. */
#ifndef PLOT_H
#define PLOT_H

#include "stream/turns.h"

struct plot_settings {
    double row_seconds;    // length of a row; 0: so that there are at most 20
    double from, to;       // seconds to draw; to 0: until the last turn ends
    const char *names[2];  // what the two are called in the head
};

struct plot_settings plot_defaults(void);

/* Draws a recording, or two versions of it; system may be NULL. The file is
 * written beside its name and renamed; "-" is stdout. */
int plot_turns(const char *path, const struct recording *reference,
               const struct recording *system, const struct plot_settings *settings,
               struct error *err);

#endif
