// SPDX-License-Identifier: MIT
/* e2e_capture.c - captures what jack_play plays, and compares every sample.
 *
 *   e2e_capture write FILE               the WAV file to play: 48 kHz stereo noise
 *   e2e_capture check FILE DEVICE        opens the device by name, finds the file
 *   e2e_capture gone FILE DEVICE         captures until the device is gone
 *
 * Exit status 0: exact and nothing lost. 3: the machine was too slow, and it was
 * said (lost ticks or overruns): try again. 1: anything else. */
#include "stream/device.h"
#include "stream/source.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HZ = 48000, CHANNELS = 2, N = HZ * 3 / 2, ROOM = HZ * 20 };

/* Noise that is never 0: silence is what is not the file. */
static void make_noise(float *ticks)
{
    unsigned x = 12345;

    for (int i = 0; i < N * CHANNELS; i++) {
        x = x * 1664525u + 1013904223u;
        int value = (int)(x >> 17) - 16384; // 15 bits
        ticks[i] = (float)(value == 0 ? 1 : value) / 32768.0f;
    }
}

static int write_file(const char *path, const float *ticks)
{
    SF_INFO info = {.samplerate = HZ, .channels = CHANNELS,
                    .format = SF_FORMAT_WAV | SF_FORMAT_FLOAT};
    SNDFILE *f = sf_open(path, SFM_WRITE, &info);

    if (!f || sf_writef_float(f, ticks, N) != N)
        return 1;
    return sf_close(f) != 0;
}

static double wall_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The time of a tick is between its opening and now, and near now. */
static int check_wall(struct source *s, size_t n, double opened)
{
    double last = source_wall(s, (int64_t)n - 1), now = wall_now();

    if (last < opened - 0.2 || last > now + 0.05 || now - last > 5.0) {
        fprintf(stderr, "e2e_capture: the last tick is said to be of %.3f s ago\n", now - last);
        return 1;
    }
    return 0;
}

/* Captures until the whole file must have come, or the source ended. */
static size_t capture(struct source *s, float *got, long *start)
{
    size_t n = 0;

    *start = -1;
    while (n < ROOM && source_wait(s, 1000)) {
        size_t from = n;
        n += source_read(s, got + n * CHANNELS, ROOM - n < 1000 ? ROOM - n : 1000);
        for (size_t t = from; t < n && *start < 0; t++) {
            if (got[t * CHANNELS] != 0.0f)
                *start = (long)t;
        }
        if (*start >= 0 && n >= (size_t)*start + N + 1000)
            break;
    }
    return n;
}

static int compare(struct source *s, const float *got, size_t n, long start, const float *want)
{
    struct source_counts counts = source_counts(s);

    if (counts.lost_ticks || counts.overruns) {
        fprintf(stderr, "e2e_capture: %lld ticks lost, %d overruns: this machine is busy\n",
                (long long)counts.lost_ticks, counts.overruns);
        return 3;
    }
    if (start < 0 || n < (size_t)start + N + 1000) {
        fprintf(stderr, "e2e_capture: %zu ticks, and the file is not among them\n", n);
        return 1;
    }
    for (size_t i = 0; i < (size_t)N * CHANNELS; i++) {
        if (got[(size_t)start * CHANNELS + i] != want[i]) {
            fprintf(stderr, "e2e_capture: sample %zu is %g, not %g\n", i,
                    got[(size_t)start * CHANNELS + i], want[i]);
            return 1;
        }
    }
    for (size_t i = ((size_t)start + N) * CHANNELS; i < n * CHANNELS; i++) {
        if (got[i] != 0.0f) {
            fprintf(stderr, "e2e_capture: no silence after the file\n");
            return 1;
        }
    }
    printf("%d ticks of %d channels exact, first at tick %ld\n", N, CHANNELS, start);
    return 0;
}

static int check_open(struct source *s, const char *device)
{
    if (source_rate_hz(s) == HZ && source_channels(s) == CHANNELS && source_is_live(s) &&
        strcmp(source_name(s), device) == 0)
        return 0;
    fprintf(stderr, "e2e_capture: opened \"%s\", %d Hz, %d channels\n", source_name(s),
            source_rate_hz(s), source_channels(s));
    return 1;
}

/* The server ends under the running stream: the source must say so. */
static int expect_gone(struct source *s, float *got)
{
    struct error err;
    double start = wall_now();

    puts("capturing");
    fflush(stdout);
    while (source_wait(s, 100)) {
        source_read(s, got, 1000);
        source_wall(s, 0);
        if (wall_now() - start > 20.0) {
            fprintf(stderr, "e2e_capture: the device is gone, and nobody noticed\n");
            return 1;
        }
    }
    if (source_failed(s, &err) != 1 || !strstr(err.text, "stopped giving audio")) {
        fprintf(stderr, "e2e_capture: it ended without a reason\n");
        return 1;
    }
    printf("%s\n", err.text);
    return 0;
}

int main(int argc, char **argv)
{
    static float want[N * CHANNELS], got[(size_t)ROOM * CHANNELS];
    struct source_settings settings = source_defaults();
    struct source *s;
    struct error err;
    double opened = wall_now();
    long start;
    int status;

    make_noise(want);
    if (argc == 3 && strcmp(argv[1], "write") == 0)
        return write_file(argv[2], want);
    if (argc != 4)
        return 2;
    settings.device = argv[3];
    if (source_open(&s, &settings, &err) || check_open(s, argv[3]) || source_start(s, &err)) {
        fprintf(stderr, "e2e_capture: %s\n", err.text);
        return 1;
    }
    if (strcmp(argv[1], "gone") == 0) {
        status = expect_gone(s, got);
    } else {
        size_t n = capture(s, got, &start);
        status = check_wall(s, n, opened);
        int compared = compare(s, got, n, start, want);
        status = compared ? compared : status;
    }
    source_close(&s);
    return status;
}
