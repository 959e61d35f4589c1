// SPDX-License-Identifier: MIT
#include "stream/device.h"

#include <errno.h>
#include <fcntl.h>
#include <portaudio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int device_hush(void)
{
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    fflush(stderr);
    if (saved >= 0 && nowhere >= 0)
        dup2(nowhere, STDERR_FILENO);
    if (nowhere >= 0)
        close(nowhere);
    return saved;
}

void device_unhush(int saved)
{
    if (saved < 0)
        return;
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
}

int device_open_library(struct error *err)
{
    // Who wants JACK has it running; a server of ours would take the sound card from everybody.
    setenv("JACK_NO_START_SERVER", "1", 0);

    int saved = device_hush();
    PaError code = Pa_Initialize();
    device_unhush(saved);
    if (code != paNoError)
        return fail(err, "the sound system does not start: %s; play a file with --input",
                    Pa_GetErrorText(code));
    return 0;
}

void device_close_library(void)
{
    int saved = device_hush();

    Pa_Terminate();
    device_unhush(saved);
}

static void device_describe(struct device *d, int index, const PaDeviceInfo *info)
{
    const PaHostApiInfo *api = Pa_GetHostApiInfo(info->hostApi);

    *d = (struct device){
        .index = index,
        .channels = info->maxInputChannels,
        .rate_hz = info->defaultSampleRate,
        .latency_seconds = info->defaultHighInputLatency,
        .is_default = index == Pa_GetDefaultInputDevice(),
    };
    snprintf(d->name, sizeof(d->name), "%s", info->name ? info->name : "");
    snprintf(d->host_api, sizeof(d->host_api), "%s", api && api->name ? api->name : "");
}

int device_list(struct device_list *list, struct error *err)
{
    int n = Pa_GetDeviceCount();

    *list = (struct device_list){0};
    if (n < 0)
        return fail(err, "the sound system does not list its devices: %s", Pa_GetErrorText(n));
    list->devices = calloc((size_t)n + 1, sizeof(*list->devices));
    if (!list->devices)
        return fail(err, "out of memory for %d audio devices", n);
    for (int i = 0; i < n; i++) {
        const PaDeviceInfo *info = Pa_GetDeviceInfo(i);
        if (info && info->maxInputChannels > 0)
            device_describe(&list->devices[list->n++], i, info);
    }
    return 0;
}

void device_list_release(struct device_list *list)
{
    free(list->devices);
    *list = (struct device_list){0};
}

static const struct device *find_default(const struct device_list *list)
{
    for (int i = 0; i < list->n; i++) {
        if (list->devices[i].is_default)
            return &list->devices[i];
    }
    return &list->devices[0];
}

static int is_number(const char *text)
{
    return text[0] && text[strspn(text, "0123456789")] == 0;
}

static const struct device *find_index(const struct device_list *list, const char *wanted)
{
    errno = 0;
    long index = strtol(wanted, NULL, 10);

    for (int i = 0; i < list->n && !errno && is_number(wanted); i++) {
        if (list->devices[i].index == index)
            return &list->devices[i];
    }
    return NULL;
}

static int name_is(const char *name, const char *wanted)
{
    return strcmp(name, wanted) == 0;
}

static int name_has(const char *name, const char *wanted)
{
    return strcasestr(name, wanted) != NULL;
}

static int find_name(const struct device **found, const struct device_list *list,
                     const char *wanted, int (*matches)(const char *name, const char *wanted))
{
    int n = 0;

    for (int i = 0; i < list->n; i++) {
        if (matches(list->devices[i].name, wanted) && n++ == 0)
            *found = &list->devices[i];
    }
    return n;
}

/* Names those that fit, as far as the line is long. */
static int fail_ambiguous(const struct device_list *list, const char *wanted,
                          int (*matches)(const char *name, const char *wanted),
                          struct error *err)
{
    char names[300] = "";
    size_t at = 0;

    for (int i = 0; i < list->n && at < sizeof(names); i++) {
        const struct device *d = &list->devices[i];
        if (matches(d->name, wanted))
            at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%d \"%s\" (%s)",
                                   at ? ", " : "", d->index, d->name, d->host_api);
    }
    return fail(err, "ambiguous: '%.80s' may be %s; give the index", wanted, names);
}

int device_choose(struct device *chosen, const struct device_list *list, const char *wanted,
                  struct error *err)
{
    int (*const ways[])(const char *, const char *) = {name_is, name_has};
    const struct device *found;

    if (list->n == 0)
        return fail(err, "no capture device; connect a microphone, or play a file with --input");
    found = wanted ? find_index(list, wanted) : find_default(list);
    // A number that is no index is no part of a name either: "2" shall not find "Camera 2".
    int n_ways = !wanted || !wanted[0] ? 0 : is_number(wanted) ? 1 : 2;
    for (int i = 0; i < n_ways && !found; i++) {
        if (find_name(&found, list, wanted, ways[i]) > 1)
            return fail_ambiguous(list, wanted, ways[i], err);
    }
    if (!found)
        return fail(err, "no such device: '%.80s'; `antiphon devices` lists them", wanted);
    *chosen = *found;
    return 0;
}
