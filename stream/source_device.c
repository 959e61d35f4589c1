// SPDX-License-Identifier: MIT
/* source_device.c - a capture device, by PortAudio, at its own rate. */
#include "stream/source_kind.h"

#include "stream/device.h"
#include "stream/resample.h"

#include <stdio.h>
#include <string.h>

/* How many channels to ask for. A device of ALSA that is no hardware is a sound
 * server or a plugin: it claims 32 to 128 channels, as many as it could convert
 * to, and fills those beyond the real ones with silence, which a mean of all
 * would drown in. It gives a good mix of the real ones to who asks for two. */
static int device_channels(const struct device *d, int channel)
{
    int n = d->channels < RESAMPLE_MAX_CHANNELS ? d->channels : RESAMPLE_MAX_CHANNELS;

    if (n >= 32 && strcmp(d->host_api, "ALSA") == 0 && !strstr(d->name, "(hw:")) {
        int wanted = channel > 2 ? channel : 2;
        return wanted < n ? wanted : n;
    }
    return n;
}

static int fail_device(const struct source *s, PaError code, struct error *err)
{
    if (code == paDeviceUnavailable)
        return fail(err, "device '%.200s' is busy, or gone; close the program that uses it, or "
                    "choose another (`antiphon devices` lists them)", s->name);

    const PaHostErrorInfo *host = code == paUnanticipatedHostError ? Pa_GetLastHostErrorInfo()
                                                                   : NULL;
    const char *why = host && host->errorText && host->errorText[0] ? host->errorText
                                                                    : Pa_GetErrorText(code);
    return fail(err, "device '%.200s' does not open with %d channels at %d Hz: %.150s; choose "
                "another (`antiphon devices` lists them)", s->name, s->channels, s->rate_hz,
                why);
}

static int device_open_stream(struct source *s, const struct device *d, struct error *err)
{
    PaStreamParameters input = {
        .device = d->index,
        .channelCount = s->channels,
        .sampleFormat = paFloat32,
        .suggestedLatency = d->latency_seconds,
    };
    int saved = device_hush();
    PaError code = Pa_OpenStream(&s->stream, &input, NULL, (double)s->rate_hz,
                                 paFramesPerBufferUnspecified, paClipOff | paDitherOff,
                                 source_on_ticks, s);

    device_unhush(saved);
    if (code != paNoError) {
        s->stream = NULL;
        return fail_device(s, code, err);
    }
    const PaHostApiInfo *api = Pa_GetHostApiInfo(Pa_GetDeviceInfo(d->index)->hostApi);
    const PaStreamInfo *info = Pa_GetStreamInfo(s->stream);
    s->is_jack = api && api->type == paJACK;
    s->latency_seconds = info ? info->inputLatency : d->latency_seconds;
    return 0;
}

static int device_open(struct source *s, const struct source_settings *settings,
                       struct error *err)
{
    struct device_list list = {0};
    struct device d;
    int status = -1;

    snprintf(s->name, sizeof(s->name), "%s", settings->device ? settings->device : "default");
    s->fast = 0;
    if (device_open_library(err))
        return -1;
    s->pa_begun = 1;
    if (device_list(&list, err) == 0 && device_choose(&d, &list, settings->device, err) == 0) {
        snprintf(s->name, sizeof(s->name), "%s", d.name);
        s->rate_hz = d.rate_hz < 1e9 ? (int)(d.rate_hz + 0.5) : 0;
        s->channels = device_channels(&d, settings->channel);
        status = device_open_stream(s, &d, err);
    }
    device_list_release(&list);
    return status;
}

static int device_start(struct source *s, struct error *err)
{
    int saved = device_hush();
    PaError code = Pa_StartStream(s->stream);

    device_unhush(saved);
    return code == paNoError ? 0 : fail_device(s, code, err);
}

/* When JACK's server has died, PortAudio would wait for it: ten minutes to stop
 * a stream, and to close it, and to end. */
static void device_stop(struct source *s)
{
    if (!s->stream || s->abandoned || Pa_IsStreamStopped(s->stream) != 0)
        return;
    if (s->is_jack && Pa_IsStreamActive(s->stream) != 1) {
        s->abandoned = 1;
        return;
    }
    atomic_store_explicit(&s->stopping, 1, memory_order_release);
    int saved = device_hush();
    Pa_StopStream(s->stream);
    device_unhush(saved);
}

static void device_close(struct source *s)
{
    if (s->abandoned)
        return;
    if (s->stream) {
        int saved = device_hush();
        Pa_CloseStream(s->stream);
        device_unhush(saved);
    }
    if (s->pa_begun)
        device_close_library();
}

/* A stream that is not active though nobody stopped it: the device is gone. */
static void device_look(struct source *s)
{
    if (atomic_load_explicit(&s->state, memory_order_acquire) != SOURCE_RUNNING ||
        Pa_IsStreamActive(s->stream) == 1 ||
        atomic_load_explicit(&s->stopping, memory_order_acquire))
        return;
    fail(&s->failure, "device '%.200s' stopped giving audio: was it unplugged, or its sound "
         "server ended? Connect it and start again", s->name);
    source_finish(s, SOURCE_FAILED);
}

static double device_clock(struct source *s)
{
    return Pa_GetStreamTime(s->stream);
}

const struct source_kind source_device = {
    .name = "device",
    .open = device_open,
    .start = device_start,
    .stop = device_stop,
    .close = device_close,
    .look = device_look,
    .clock_seconds = device_clock,
};

/* When the first of these ticks was captured. Some hosts leave one of the two
 * times, or both, at 0; without any there is nothing to store. */
static void note_time(struct source *s, const PaStreamCallbackTimeInfo *time)
{
    struct capture_clock *c = &s->clock;
    unsigned sequence = atomic_load_explicit(&c->sequence, memory_order_relaxed);
    double seconds = time ? time->inputBufferAdcTime : 0.0;

    if (seconds == 0.0 && time && time->currentTime != 0.0)
        seconds = time->currentTime - s->latency_seconds;
    if (seconds == 0.0)
        return;
    atomic_store_explicit(&c->sequence, sequence + 1, memory_order_relaxed);
    atomic_store_explicit(&c->tick, atomic_load_explicit(&s->n_captured, memory_order_relaxed),
                          memory_order_release);
    atomic_store_explicit(&c->seconds, seconds, memory_order_release);
    // 2, not 0, when the count runs over: 0 means that nothing was stored yet.
    atomic_store_explicit(&c->sequence, sequence + 2 ? sequence + 2 : 2, memory_order_release);
}

int source_on_ticks(const void *input, void *output, unsigned long n_ticks,
                    const PaStreamCallbackTimeInfo *time, PaStreamCallbackFlags flags,
                    void *user)
{
    struct source *s = user;

    (void)output;
    if (flags & paInputOverflow)
        atomic_fetch_add_explicit(&s->n_overruns, 1, memory_order_relaxed);
    note_time(s, time);
    source_put(s, input, n_ticks);
    return paContinue;
}
