// SPDX-License-Identifier: MIT
/* source_device.c - a capture device, by PortAudio, at its own rate. */
#include "stream/device.h"
#include "stream/source_kind.h"

#include <portaudio.h>
#include <stdio.h>
#include <stdlib.h>

struct capture {
    PaStream *stream;
    int opened; // the library
    int64_t tick; // callback: ticks delivered by the driver so far
};

/* Called by the driver every few milliseconds. Copies and counts; the worker
 * finds the ticks when it next looks.  Thread: callback. */
static int on_ticks(const void *input, void *output, unsigned long n,
                    const PaStreamCallbackTimeInfo *time, PaStreamCallbackFlags flags, void *user)
{
    struct source *s = user;
    struct capture *c = s->own;
    double age = time ? time->currentTime - time->inputBufferAdcTime : 0.0;

    (void)output;
    /* Some hosts leave the times 0; the buffer is then as old as it is long. */
    if (!(age > 0.0 && age < 10.0) || time->inputBufferAdcTime <= 0.0)
        age = (double)n / s->rate_hz;
    source_set_clock(s, c->tick, source_now() - age);
    if (flags & paInputOverflow)
        atomic_fetch_add_explicit(&s->overruns, 1, memory_order_relaxed);
    if (input)
        source_offer(s, input, n);
    c->tick += (int64_t)n;
    return paContinue;
}

/* The stream ended without being told to: the device is gone. */
static void on_finished(void *user)
{
    struct source *s = user;
    struct error err;

    if (atomic_load(&s->stopping))
        return;
    fail(&err, "device \"%s\" stopped; was it unplugged?", s->name);
    source_fail(s, &err);
}

static int open_stream(struct source *s, const struct device *d, struct error *err)
{
    struct capture *c = s->own;
    const PaDeviceInfo *info = Pa_GetDeviceInfo(d->index);
    PaStreamParameters in = {
        .device = d->index,
        .channelCount = s->channels,
        .sampleFormat = paFloat32,
        .suggestedLatency = info->defaultHighInputLatency,
    };
    int saved = device_hush();
    PaError status = Pa_OpenStream(&c->stream, &in, NULL, s->rate_hz, paFramesPerBufferUnspecified,
                                   paClipOff, on_ticks, s);

    device_unhush(saved);
    if (status == paNoError)
        return 0;
    c->stream = NULL;
    const PaHostErrorInfo *host = Pa_GetLastHostErrorInfo();
    return fail(err, "device \"%s\": %s%s%s; is another program using it?", d->name,
                Pa_GetErrorText(status), status == paUnanticipatedHostError ? ": " : "",
                status == paUnanticipatedHostError && host ? host->errorText : "");
}

static int capture_open(struct source *s, const struct source_settings *settings,
                        struct error *err)
{
    struct capture *c = calloc(1, sizeof(*c));
    struct device_list list = {0};
    struct device chosen;
    int status;

    s->own = c;
    if (!c)
        return fail(err, "out of memory");
    if (device_open_library(err))
        return -1;
    c->opened = 1;
    status = device_list(&list, err) || device_choose(&chosen, &list, settings->device, err);
    device_list_release(&list);
    if (status)
        return -1;
    snprintf(s->name, sizeof(s->name), "%s", chosen.name);
    s->rate_hz = (int)(chosen.rate_hz + 0.5);
    s->channels = chosen.channels > 64 ? 64 : chosen.channels;
    if (s->rate_hz < 1000)
        return fail(err, "device \"%s\" gives no rate", chosen.name);
    if (open_stream(s, &chosen, err) == 0)
        return 0;
    /* Virtual devices claim many channels and open with fewer. */
    s->channels = s->channels > 2 ? 2 : 1;
    return open_stream(s, &chosen, err);
}

static int capture_start(struct source *s, struct error *err)
{
    struct capture *c = s->own;
    PaError status;
    int saved;

    Pa_SetStreamFinishedCallback(c->stream, on_finished);
    saved = device_hush();
    status = Pa_StartStream(c->stream);
    device_unhush(saved);
    if (status != paNoError)
        return fail(err, "device \"%s\": %s", s->name, Pa_GetErrorText(status));
    return 0;
}

static void capture_stop(struct source *s)
{
    struct capture *c = s->own;

    if (c && c->stream && Pa_IsStreamStopped(c->stream) == 0)
        Pa_StopStream(c->stream);
}

static void capture_close(struct source *s)
{
    struct capture *c = s->own;

    if (!c)
        return;
    if (c->stream)
        Pa_CloseStream(c->stream);
    if (c->opened)
        device_close_library();
    free(c);
}

const struct source_kind source_kind_device = {1, capture_open, capture_start, capture_stop,
                                               capture_close};
