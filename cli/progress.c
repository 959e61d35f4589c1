// SPDX-License-Identifier: MIT
#include "cli/progress.h"

#include "model/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { CELLS = 20 };
static const double FIRST_SECONDS = 0.5, NEXT_SECONDS = 0.2;

void progress_begin(struct progress *p, const char *what, const char *unit, double total)
{
    *p = (struct progress){.what = what, .unit = unit, .total = total, .began = clock_monotonic(),
                           .shown = isatty(STDERR_FILENO)};
}

static void put_left(char *text, size_t size, double seconds)
{
    if (!(seconds < 360000.0))
        snprintf(text, size, "days");
    else if (seconds >= 3600.0)
        snprintf(text, size, "%d h %02d min", (int)seconds / 3600, (int)seconds / 60 % 60);
    else
        snprintf(text, size, "%d:%02d", (int)seconds / 60, (int)seconds % 60);
}

void progress_line(char *line, size_t size, const struct progress *p, double done, double seconds)
{
    double rate = seconds > 0.0 ? done / seconds : 0.0, share;
    char bar[CELLS + 1], left[40] = "?";

    if (!(p->total > 0.0)) {
        snprintf(line, size, "%s  %.0f %s  %.3g/s", p->what, done, p->unit, rate);
        return;
    }
    share = done < p->total ? done / p->total : 1.0;
    for (int i = 0; i < CELLS; i++)
        bar[i] = i < (int)(share * CELLS + 1e-9) ? '#' : '.';
    bar[CELLS] = 0;
    if (rate > 0.0)
        put_left(left, sizeof(left), (p->total - share * p->total) / rate);
    snprintf(line, size, "%s [%s] %3d %%  %.3g %s/s  %s left", p->what, bar,
             (int)(100.0 * share + 1e-9), rate, p->unit, left);
}

void progress_at(struct progress *p, double done)
{
    double time;
    char line[200];

    if (!p->shown)
        return;
    time = clock_monotonic();
    if (time - p->began < FIRST_SECONDS || time - p->drawn < NEXT_SECONDS)
        return;
    p->drawn = time;
    progress_line(line, sizeof(line), p, done, time - p->began);
    fprintf(stderr, "\r\033[K%s", line); // to the line's start, and clear it
    fflush(stderr);
}

void progress_end(struct progress *p)
{
    if (p->shown && p->drawn > 0.0) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    p->shown = 0;
}
