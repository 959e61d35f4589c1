// SPDX-License-Identifier: MIT
#include "stream/audio_file.h"

#include "stream/resample.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

SNDFILE *audio_file_open(SF_INFO *info, const char *path, struct error *err)
{
    struct stat st;
    SNDFILE *f;

    *info = (SF_INFO){0};
    if (stat(path, &st)) {
        fail(err, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if (S_ISDIR(st.st_mode)) {
        fail(err, "%s: a folder, expected an audio file", path);
        return NULL;
    }
    f = sf_open(path, SFM_READ, info);
    if (!f)
        fail(err, "%s: not an audio file that libsndfile reads (%s); convert it to WAV or FLAC",
             path, sf_strerror(NULL));
    else if (info->frames <= 0)
        fail(err, "%s: the file has no audio in it", path);
    else if (info->samplerate < 1000 || info->samplerate > 768000)
        fail(err, "%s: a rate of %d Hz; expected 1000 to 768000", path, info->samplerate);
    else if (info->channels < 1 || info->channels > 64)
        fail(err, "%s: %d channels; expected 1 to 64", path, info->channels);
    else
        return f;
    if (f)
        sf_close(f);
    return NULL;
}

struct growing {
    float *samples;
    size_t n, room;
};

static int make_room(struct growing *g, size_t n, struct error *err)
{
    if (g->n + n > g->room) {
        size_t room = 2 * (g->n + n);
        float *samples = realloc(g->samples, room * sizeof(float));
        if (!samples)
            return fail(err, "out of memory after %zu samples", g->n);
        g->samples = samples;
        g->room = room;
    }
    return 0;
}

static int read_all(struct growing *g, SNDFILE *f, struct resampler *r, float *ticks, size_t chunk,
                    struct error *err)
{
    sf_count_t n;

    while ((n = sf_readf_float(f, ticks, (sf_count_t)chunk)) > 0) {
        for (size_t i = 0; i < (size_t)n * (size_t)r->channels; i++)
            ticks[i] = isfinite(ticks[i]) ? ticks[i] : 0.0f;
        if (make_room(g, resampler_room(r, (size_t)n), err))
            return -1;
        g->n += resampler_process(r, g->samples + g->n, ticks, (size_t)n);
    }
    if (make_room(g, resampler_room(r, 0), err))
        return -1;
    g->n += resampler_finish(r, g->samples + g->n);
    return 0;
}

int audio_file_read(float **samples, size_t *n, const char *path, int channel, struct error *err)
{
    enum { CHUNK = 4096 };
    struct growing g = {0};
    struct resampler r = {0};
    SF_INFO info;
    SNDFILE *f = audio_file_open(&info, path, err);
    float *ticks = NULL;
    int status = -1;

    if (!f)
        return -1;
    if (resampler_open(&r, info.samplerate, info.channels, channel, err) == 0) {
        ticks = malloc(CHUNK * (size_t)info.channels * sizeof(float));
        status = ticks ? read_all(&g, f, &r, ticks, CHUNK, err) : fail(err, "out of memory");
    }
    free(ticks);
    resampler_close(&r);
    sf_close(f);
    if (status) {
        free(g.samples);
        return fail_prefix(err, "%s: ", path);
    }
    *samples = g.samples;
    *n = g.n;
    return 0;
}
