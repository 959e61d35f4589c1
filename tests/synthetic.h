// SPDX-License-Identifier: MIT
/* synthetic.h - what stands for speech in the tests of the data: harmonics in
 * bursts with pauses between them, over a faint floor. */
#ifndef SYNTHETIC_H
#define SYNTHETIC_H

#include "tests/check.h"

#include "model/random.h"

#include <ftw.h>
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct burst {
    double start, end; // s
};

/* Bursts of 0.4-1.6 s with pauses of 0.3-0.7 s; returns how many before `seconds`. */
static inline int synthetic_bursts(struct burst *b, int room, double seconds, uint64_t seed)
{
    struct random r;
    double at = 0.3;
    int n = 0;

    random_init(&r, seed);
    while (n < room) {
        double length = 0.4 + 1.2 * random_uniform(&r);
        if (at + length > seconds - 0.3)
            break;
        b[n++] = (struct burst){at, at + length};
        at += length + 0.3 + 0.4 * random_uniform(&r);
    }
    return n;
}

/* A wave of that pitch in the bursts, samples [seconds * rate, channels]. */
static inline float *synthetic_wave(const struct burst *b, int n, double seconds, int rate,
                                    int channels, double pitch)
{
    size_t ticks = (size_t)(seconds * rate);
    float *x = calloc(ticks * (size_t)channels, sizeof(*x));
    struct random r;

    assert_non_null(x);
    random_init(&r, 99);
    for (size_t i = 0; i < ticks; i++) {
        double t = (double)i / rate, y = 2e-4 * (random_uniform(&r) - 0.5);
        for (int k = 0; k < n; k++) {
            double edge = t - b[k].start < b[k].end - t ? t - b[k].start : b[k].end - t;
            double level = edge <= 0.0 ? 0.0 : edge < 0.01 ? edge / 0.01 : 1.0;
            for (int h = 1; level > 0.0 && h <= 5; h++)
                y += 0.1 * level / h * sin(6.283185307 * pitch * h * t);
        }
        for (int c = 0; c < channels; c++)
            x[i * (size_t)channels + (size_t)c] = (float)y;
    }
    return x;
}

static inline void synthetic_write(const char *path, const float *x, size_t ticks, int rate,
                                   int channels, int format)
{
    SF_INFO info = {.samplerate = rate, .channels = channels, .format = format};
    SNDFILE *f = sf_open(path, SFM_WRITE, &info);

    if (!f)
        check_fail("%s: %s", path, sf_strerror(NULL));
    assert_int_equal(sf_writef_float(f, x, (sf_count_t)ticks), (sf_count_t)ticks);
    assert_int_equal(sf_close(f), 0);
}

/* One recording; the pitch follows from the seed. */
static inline void synthetic_file(const char *path, double seconds, int rate, int channels,
                                  int format, uint64_t seed)
{
    struct burst b[64];
    int n = synthetic_bursts(b, 64, seconds, seed);
    float *x = synthetic_wave(b, n, seconds, rate, channels, 100.0 + 17.0 * (double)(seed % 12));

    synthetic_write(path, x, (size_t)(seconds * rate), rate, channels, format);
    free(x);
}

static inline void synthetic_text(const char *folder, const char *name, const char *text)
{
    char path[4096];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static inline void synthetic_folder(char folder[64])
{
    strcpy(folder, "/tmp/antiphon-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static inline int synthetic_unlink(const char *path, const struct stat *st, int flag,
                                   struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

static inline void synthetic_remove(const char *folder)
{
    nftw(folder, synthetic_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* Speakers s0 .. below the folder, each with one recording of 12 s. */
static inline void synthetic_speakers(const char *folder, int n)
{
    char path[4096];

    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof(path), "%s/s%02d", folder, i);
        assert_int_equal(mkdir(path, 0755), 0);
        snprintf(path, sizeof(path), "%s/s%02d/a.wav", folder, i);
        synthetic_file(path, 12.0, 16000, 1, SF_FORMAT_WAV | SF_FORMAT_PCM_16, (uint64_t)i + 1);
    }
}

#endif
