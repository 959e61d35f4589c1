// SPDX-License-Identifier: MIT
#include "stream/window_reader.h"

#include "stream/pcm.h"

#include <stdlib.h>
#include <string.h>

enum { TICKS = 4096 };

int window_reader_open(struct window_reader *r, const char *path, int channel,
                       const struct windows *w, struct error *err)
{
    *r = (struct window_reader){.windows = *w};
    if (audio_file_open(&r->file, path, err))
        return -1;
    if (resampler_open(&r->resampler, r->file.rate_hz, r->file.channels, channel, err)) {
        fail_prefix(err, "%s: ", path);
        window_reader_close(r);
        return -1;
    }
    size_t most = resampler_room(&r->resampler, TICKS), last = resampler_room(&r->resampler, 0);
    r->room = (size_t)w->n_samples + (most > last ? most : last);
    r->ticks = malloc(TICKS * (size_t)r->file.channels * sizeof(float));
    r->samples = malloc(r->room * sizeof(float));
    if (!r->ticks || !r->samples) {
        window_reader_close(r);
        return fail(err, "%s: out of memory", path);
    }
    return 0;
}

/* Until there is more than a window, or the end. */
static int fill(struct window_reader *r, struct error *err)
{
    while (!r->ended && r->n <= (size_t)r->windows.n_samples) {
        long got = audio_file_next(&r->file, r->ticks, TICKS, err);
        if (got < 0)
            return -1;
        pcm_make_finite(r->ticks, (size_t)got * (size_t)r->file.channels);
        r->ended = got == 0;
        r->n += got ? resampler_process(&r->resampler, r->samples + r->n, r->ticks, (size_t)got)
                    : resampler_finish(&r->resampler, r->samples + r->n);
    }
    return 0;
}

int window_reader_next(struct window_reader *r, float *dst, size_t *n, int64_t *window,
                       struct error *err)
{
    int64_t step = r->next ? r->windows.n_step : 0;
    size_t drop = step < (int64_t)r->n ? (size_t)step : r->n, whole = (size_t)r->windows.n_samples;

    if (fill(r, err))
        return -1;
    if (r->n == 0 || (r->next && r->ended && r->n <= whole))
        return 0; // the window before reached the end
    memmove(r->samples, r->samples + drop, (r->n - drop) * sizeof(float));
    r->begin += (int64_t)drop;
    r->n -= drop;
    if (fill(r, err))
        return -1;
    *n = r->n < whole ? r->n : whole;
    memcpy(dst, r->samples, *n * sizeof(float));
    *window = r->next++;
    return 1;
}

int64_t window_reader_samples(const struct window_reader *r)
{
    return r->begin + (int64_t)r->n;
}

void window_reader_close(struct window_reader *r)
{
    audio_file_close(&r->file);
    resampler_close(&r->resampler);
    free(r->ticks);
    free(r->samples);
    *r = (struct window_reader){0};
}
