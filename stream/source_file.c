// SPDX-License-Identifier: MIT
/* source_file.c - an audio file as a source. */
#include "stream/source_kind.h"

#include <stdio.h>

static int file_open(struct source *s, const struct source_settings *settings, struct error *err)
{
    snprintf(s->name, sizeof(s->name), "%s", settings->input);
    if (audio_file_open(&s->file, settings->input, err))
        return -1;
    s->rate_hz = s->file.rate_hz;
    s->channels = s->file.channels;
    return 0;
}

static long file_pull(struct source *s, float *dst, size_t n_ticks, struct error *err)
{
    return audio_file_next(&s->file, dst, n_ticks, err);
}

static void file_close(struct source *s)
{
    audio_file_close(&s->file);
}

const struct source_kind source_file = {
    .name = "file",
    .open = file_open,
    .start = feeder_start,
    .stop = feeder_stop,
    .close = file_close,
    .pull = file_pull,
};
