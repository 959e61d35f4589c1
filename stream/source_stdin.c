// SPDX-License-Identifier: MIT
/* source_stdin.c - raw PCM on standard input, as it comes. */
#include "stream/source_kind.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int stdin_open(struct source *s, const struct source_settings *settings,
                      struct error *err)
{
    snprintf(s->name, sizeof(s->name), "stdin");
    if (isatty(STDIN_FILENO))
        return fail(err, "stdin: is a terminal; raw PCM was expected: pipe it in, or name a file "
                    "with --input");
    s->rate_hz = settings->rate_hz;
    s->channels = settings->channels;
    s->format_is_said = settings->format != NULL;
    if (settings->format && pcm_format_parse(&s->format, settings->format, err))
        return fail_prefix(err, "stdin: ");
    s->fast = 1; // whoever writes to the pipe sets the pace
    return 0;
}

/* The first bytes of a file where samples were expected: somebody forgot that
 * this is for raw PCM, and would get noise for a header, or for all. */
static int refuse_header(const struct source *s, struct error *err)
{
    static const struct {
        const char *magic, *name;
    } headers[] = {
        {"RIFF", "WAV"}, {"RF64", "WAV"}, {"fLaC", "FLAC"}, {"OggS", "Ogg"},
        {"FORM", "AIFF"}, {".snd", "AU"}, {"ID3", "MP3"},
    };

    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        size_t n = strlen(headers[i].magic);
        if (s->n_bytes >= n && memcmp(s->bytes, headers[i].magic, n) == 0)
            return fail(err, "stdin: the header of a %s file, raw PCM was expected; give the file "
                        "with --input FILE, or say --format if these are samples",
                        headers[i].name);
    }
    return 0;
}

/* Waits for bytes, but looks up now and then whether it shall stop. Returns
 * 1 when there may be some, 0 when it was stopped, -1 on failure. */
static int stdin_wait(struct source *s, struct error *err)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};

    while (!atomic_load_explicit(&s->stopping, memory_order_acquire)) {
        int n = poll(&fd, 1, 50);
        if (n > 0)
            return 1;
        if (n < 0 && errno != EINTR)
            return fail(err, "stdin: cannot be waited for: %s", strerror(errno));
    }
    return 0;
}

/* Adds what there is to the bytes. Returns their number, 0 at the end, -1. */
static ssize_t stdin_more(struct source *s, struct error *err)
{
    for (;;) {
        int ready = stdin_wait(s, err);
        if (ready <= 0)
            return ready;
        ssize_t n = read(STDIN_FILENO, s->bytes + s->n_bytes, s->bytes_room - s->n_bytes);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return fail(err, "stdin: cannot be read: %s", strerror(errno));
        s->n_bytes += (size_t)n;
        return n;
    }
}

/* What came first may be as short as one byte: a header is only told by four. */
static long stdin_pull(struct source *s, float *dst, size_t n_ticks, struct error *err)
{
    size_t C = (size_t)s->channels;
    size_t tick_bytes = C * pcm_sample_bytes(s->format);
    size_t enough = s->n_written == 0 && tick_bytes < 4 ? 4 : tick_bytes;
    ssize_t more = 1;

    while (s->n_bytes < enough && (more = stdin_more(s, err)) > 0)
        ;
    if (more < 0 || (s->n_written == 0 && !s->format_is_said && refuse_header(s, err)))
        return -1;

    size_t n = s->n_bytes / tick_bytes;
    n = n < n_ticks ? n : n_ticks;
    if (n == 0 && s->n_written == 0 && !atomic_load_explicit(&s->stopping, memory_order_acquire))
        return fail(err, "stdin: ended before the first sample; raw PCM was expected (%s, %d Hz, "
                    "%d channel%s)", pcm_format_name(s->format), s->rate_hz, s->channels,
                    s->channels == 1 ? "" : "s");
    pcm_to_floats(dst, s->bytes, n * C, s->format);
    s->n_bytes -= n * tick_bytes;
    memmove(s->bytes, s->bytes + n * tick_bytes, s->n_bytes);
    return (long)n;
}

static void stdin_close(struct source *s)
{
    (void)s;
}

const struct source_kind source_stdin = {
    .name = "stdin",
    .open = stdin_open,
    .start = feeder_start,
    .stop = feeder_stop,
    .close = stdin_close,
    .pull = stdin_pull,
};
