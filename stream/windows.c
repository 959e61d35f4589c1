// SPDX-License-Identifier: MIT
#include "stream/windows.h"

#include "model/blocks.h"
#include "stream/frame.h"

#include <math.h>

/* Half of what a frame spans: 400 samples. */
static const double HALF = 0.5 * FRAME_WINDOW / FRAME_HZ;

int windows_init(struct windows *w, double seconds, double step, struct error *err)
{
    if (!(seconds >= 0.1 && seconds <= 60.0))
        return fail(err, "a window of %g s; should be 0.1 to 60", seconds);
    if (!(step >= FRAME_SECONDS && step <= seconds))
        return fail(err, "a step of %g s; should be 0.02 to a window, %g", step, seconds);
    *w = (struct windows){.seconds = seconds, .step = step};
    w->n_samples = (int64_t)floor(seconds * FRAME_HZ);
    w->n_step = (int64_t)rint(step * FRAME_HZ);
    w->n_frames = (int)blocks_frames(w->n_samples);
    return 0;
}

int64_t windows_count(const struct windows *w, int64_t n_samples)
{
    if (n_samples <= w->n_samples)
        return 1;
    return (n_samples - w->n_samples + w->n_step - 1) / w->n_step + 1;
}

/* The frame of the grid whose middle is nearest to a time. */
static int64_t nearest(const struct windows *w, double time)
{
    return (int64_t)rint((time - w->start - HALF) / FRAME_SECONDS);
}

int64_t windows_frame(const struct windows *w, int64_t c)
{
    return nearest(w, w->start + (double)c * w->step + HALF);
}

int64_t windows_grid(const struct windows *w, int64_t n_windows)
{
    return nearest(w, w->start + w->seconds + (double)(n_windows - 1) * w->step + HALF) + 1;
}

struct windows windows_trim(const struct windows *w, double left, double right)
{
    struct windows trimmed = *w;
    int n_left = (int)rint(w->n_frames * left), n_right = (int)rint(w->n_frames * right);

    trimmed.start = w->start + left * w->seconds;
    trimmed.seconds = (1.0 - left - right) * w->seconds;
    trimmed.n_frames = w->n_frames - n_left - n_right;
    return trimmed;
}
