// SPDX-License-Identifier: MIT
/* source_stdin.c - a feeder thread that reads raw PCM from stdin as it comes. */
#include "stream/pcm.h"
#include "stream/source_kind.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 14 };

struct input {
    const struct pcm_format *format;
    int guessed;       // nobody said --format
    size_t tick_bytes;
    unsigned char *bytes;
    float *ticks;
};

static int stdin_open(struct source *s, const struct source_settings *settings, struct error *err)
{
    struct input *in = calloc(1, sizeof(*in));
    const char *format = settings->format ? settings->format : "s16le";

    s->own = in;
    snprintf(s->name, sizeof(s->name), "stdin");
    if (!in)
        return fail(err, "out of memory");
    if (isatty(STDIN_FILENO))
        return fail(err, "stdin is a terminal; pipe raw PCM in, e.g. `sox talk.wav -t raw - | "
                         "antiphon stream --input - --rate 16000`");
    in->format = pcm_find(format);
    if (!in->format)
        return fail(err, "--format %.30s: expected one of %s", format, pcm_names);
    if (settings->channels < 1 || settings->channels > 64)
        return fail(err, "stdin: %d channels; expected 1 to 64", settings->channels);
    in->guessed = !settings->format;
    s->rate_hz = settings->rate_hz;
    s->channels = settings->channels;
    in->tick_bytes = (size_t)in->format->bytes * (size_t)s->channels;
    in->bytes = malloc(CHUNK_BYTES);
    in->ticks = malloc(CHUNK_BYTES * sizeof(float));
    return in->bytes && in->ticks ? 0 : fail(err, "out of memory");
}

/* Bytes of an audio file where raw samples were expected. */
static int is_audio_file(const unsigned char *bytes, size_t n)
{
    static const char *const magic[] = {"RIFF", "fLaC", "OggS", "FORM", "caff", "RF64"};

    for (size_t i = 0; n >= 4 && i < sizeof(magic) / sizeof(*magic); i++) {
        if (!memcmp(bytes, magic[i], 4))
            return 1;
    }
    return 0;
}

/* Waits for input, but not past a stop. Returns what read(2) does. */
static ssize_t read_some(struct source *s, unsigned char *dst, size_t n)
{
    struct pollfd poll_in = {STDIN_FILENO, POLLIN, 0};

    while (!atomic_load_explicit(&s->stopping, memory_order_relaxed)) {
        if (poll(&poll_in, 1, 100) == 0)
            continue;
        ssize_t got = read(STDIN_FILENO, dst, n);
        if (got >= 0 || (errno != EINTR && errno != EAGAIN))
            return got;
    }
    return 0;
}

static void *stdin_feed(void *user)
{
    struct source *s = user;
    struct input *in = s->own;
    size_t fill = 0, total = 0;
    struct error err;
    ssize_t got;

    while ((got = read_some(s, in->bytes + fill, CHUNK_BYTES - fill)) > 0) {
        fill += (size_t)got;
        if (total == 0 && in->guessed && fill >= 4 && is_audio_file(in->bytes, fill)) {
            fail(&err, "stdin: an audio file, expected raw PCM; give the file's name to --input, "
                       "or say --format if it is raw all the same");
            source_fail(s, &err);
            break;
        }
        size_t n = fill / in->tick_bytes, used = n * in->tick_bytes;
        in->format->convert(in->ticks, in->bytes, n * (size_t)s->channels);
        if (source_feed(s, in->ticks, n))
            break;
        total += n;
        memmove(in->bytes, in->bytes + used, fill - used);
        fill -= used;
    }
    if (got < 0) {
        fail(&err, "stdin: %s", strerror(errno));
        source_fail(s, &err);
    }
    atomic_store_explicit(&s->ended, 1, memory_order_release);
    return NULL;
}

static int stdin_start(struct source *s, struct error *err)
{
    if (pthread_create(&s->thread, NULL, stdin_feed, s))
        return fail(err, "cannot start a thread");
    s->has_thread = 1;
    return 0;
}

static void stdin_stop(struct source *s)
{
    if (s->has_thread)
        pthread_join(s->thread, NULL);
    s->has_thread = 0;
}

static void stdin_close(struct source *s)
{
    struct input *in = s->own;

    if (!in)
        return;
    free(in->bytes);
    free(in->ticks);
    free(in);
}

const struct source_kind source_kind_stdin = {0, stdin_open, stdin_start, stdin_stop, stdin_close};
