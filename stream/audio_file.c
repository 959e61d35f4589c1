// SPDX-License-Identifier: MIT
#include "stream/audio_file.h"

#include "stream/frame.h"
#include "stream/pcm.h"
#include "stream/resample.h"

#include <errno.h>
#include <fcntl.h>
#include <sndfile.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOAD_TICKS = 4096, LOAD_MAX_SECONDS = 12 * 3600 };

/* libsndfile's own words for a missing file or a directory are of little help. */
static int check_readable(const char *path, struct error *err)
{
    struct stat st;

    if (stat(path, &st) != 0 || access(path, R_OK) != 0)
        return fail(err, "%s: cannot be read: %s; give the path of an audio file", path,
                    strerror(errno));
    if (S_ISDIR(st.st_mode))
        return fail(err, "%s: is a directory; an audio file was expected", path);
    if (S_ISREG(st.st_mode) && st.st_size == 0)
        return fail(err, "%s: is empty; an audio file was expected", path);
    return 0;
}

static int check_header(const SF_INFO *info, const char *path, struct error *err)
{
    if (info->samplerate < RESAMPLE_MIN_HZ || info->samplerate > RESAMPLE_MAX_HZ)
        return fail(err, "%s: a sample rate of %d Hz; %d to %d Hz was expected: is the header "
                    "right?", path, info->samplerate, RESAMPLE_MIN_HZ, RESAMPLE_MAX_HZ);
    if (info->channels < 1 || info->channels > RESAMPLE_MAX_CHANNELS)
        return fail(err, "%s: %d channels; 1 to %d were expected: split the file", path,
                    info->channels, RESAMPLE_MAX_CHANNELS);
    if (info->frames > (sf_count_t)(AUDIO_FILE_MAX_SECONDS * info->samplerate))
        return fail(err, "%s: %.0f days of audio; at most 100 were expected: is the header right?",
                    path, (double)info->frames / info->samplerate / 86400.0);
    if (info->frames <= 0)
        return fail(err, "%s: an audio file without audio; record it again", path);
    return 0;
}

int audio_file_open(struct audio_file *f, const char *path, struct error *err)
{
    SF_INFO info = {0};

    *f = (struct audio_file){0};
    if (check_readable(path, err))
        return -1;
    f->handle = sf_open(path, SFM_READ, &info);
    if (!f->handle)
        return fail(err, "%s: not an audio file (%s); WAV, FLAC, Ogg or MP3 was expected", path,
                    sf_strerror(NULL));
    if (check_header(&info, path, err)) {
        audio_file_close(f);
        return -1;
    }
    f->path = strdup(path);
    if (!f->path) {
        audio_file_close(f);
        return fail(err, "%s: out of memory", path);
    }
    f->rate_hz = info.samplerate;
    f->channels = info.channels;
    f->n_ticks = info.frames;
    return 0;
}

long audio_file_next(struct audio_file *f, float *dst, size_t n_ticks, struct error *err)
{
    sf_count_t n = f->damage ? 0 : sf_readf_float(f->handle, dst, (sf_count_t)n_ticks);

    // libsndfile tells of damage with the ticks before it, and not again.
    if (n < (sf_count_t)n_ticks && !f->damage)
        f->damage = sf_error(f->handle);
    if (n > 0) {
        f->n_read += n;
        return (long)n;
    }
    if (f->damage)
        return fail(err, "%s: damaged after %.2f s (%s); convert or record it again", f->path,
                    (double)f->n_read / f->rate_hz, sf_error_number(f->damage));
    if (f->n_read == 0)
        return fail(err, "%s: an audio file without audio; record it again", f->path);
    return 0;
}

int audio_file_seek(struct audio_file *f, int64_t tick, struct error *err)
{
    if (sf_seek(f->handle, tick, SEEK_SET) != tick)
        return fail(err, "%s: cannot be read from %.2f s on (%s); convert it to WAV or FLAC",
                    f->path, (double)tick / f->rate_hz, sf_strerror(f->handle));
    f->n_read = tick;
    return 0;
}

void audio_file_close(struct audio_file *f)
{
    if (f->handle)
        sf_close(f->handle);
    free(f->path);
    *f = (struct audio_file){0};
}

struct recording {
    float *samples;
    size_t n, room;
};

/* Makes room for n more samples; the length in the header is not trusted. */
static int reserve(struct recording *rec, size_t n, struct error *err)
{
    if (rec->room - rec->n >= n)
        return 0;
    if (rec->n + n > (size_t)LOAD_MAX_SECONDS * FRAME_HZ) // a small file may hold years of silence
        return fail(err, "more than %d hours of audio; cut it into shorter files",
                    LOAD_MAX_SECONDS / 3600);
    size_t room = rec->room + rec->room / 2 + n;
    float *samples = realloc(rec->samples, room * sizeof(float));
    if (!samples)
        return fail(err, "out of memory after %.0f s of audio; cut it into shorter files",
                    (double)rec->n / FRAME_HZ);
    rec->samples = samples;
    rec->room = room;
    return 0;
}

/* ticks [LOAD_TICKS, channels] is scratch. */
static int read_all(struct recording *rec, struct audio_file *f, struct resampler *r,
                    float *ticks, struct error *err)
{
    long n;

    while ((n = audio_file_next(f, ticks, LOAD_TICKS, err)) > 0) {
        pcm_make_finite(ticks, (size_t)n * (size_t)f->channels);
        if (reserve(rec, resampler_room(r, (size_t)n), err))
            return fail_prefix(err, "%s: ", f->path);
        rec->n += resampler_process(r, rec->samples + rec->n, ticks, (size_t)n);
    }
    if (n < 0)
        return -1;
    if (reserve(rec, resampler_room(r, 0), err))
        return fail_prefix(err, "%s: ", f->path);
    rec->n += resampler_finish(r, rec->samples + rec->n);
    return 0;
}

int audio_file_read(float **samples, size_t *n, const char *path, int channel, struct error *err)
{
    struct recording rec = {0};
    struct audio_file f;
    struct resampler r = {0};
    float *ticks = NULL;
    int status = -1;

    *samples = NULL;
    *n = 0;
    if (audio_file_open(&f, path, err))
        return -1;
    ticks = malloc(LOAD_TICKS * (size_t)f.channels * sizeof(float));
    if (!ticks)
        fail(err, "%s: out of memory", path);
    else if (resampler_open(&r, f.rate_hz, f.channels, channel, err))
        fail_prefix(err, "%s: ", path);
    else
        status = read_all(&rec, &f, &r, ticks, err);

    free(ticks);
    resampler_close(&r);
    audio_file_close(&f);
    if (status) {
        free(rec.samples);
        return -1;
    }
    *samples = rec.samples;
    *n = rec.n;
    return 0;
}
