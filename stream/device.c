// SPDX-License-Identifier: MIT
#include "stream/device.h"

#include <ctype.h>
#include <fcntl.h>
#include <portaudio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int device_hush(void)
{
    int saved, null;

    fflush(stderr);
    saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (saved >= 0 && null >= 0)
        dup2(null, STDERR_FILENO);
    if (null >= 0)
        close(null);
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
    int saved;
    PaError status;

    setenv("JACK_NO_START_SERVER", "1", 0); // looking for devices must not start one
    saved = device_hush();
    status = Pa_Initialize();
    device_unhush(saved);
    if (status != paNoError)
        return fail(err, "PortAudio: %s", Pa_GetErrorText(status));
    return 0;
}

void device_close_library(void)
{
    int saved = device_hush();

    Pa_Terminate();
    device_unhush(saved);
}

int device_list(struct device_list *list, struct error *err)
{
    int n = Pa_GetDeviceCount(), chosen = Pa_GetDefaultInputDevice();

    *list = (struct device_list){0};
    if (n < 0)
        return fail(err, "PortAudio: %s", Pa_GetErrorText(n));
    list->devices = calloc((size_t)n + 1, sizeof(*list->devices));
    if (!list->devices)
        return fail(err, "out of memory");
    for (int i = 0; i < n; i++) {
        const PaDeviceInfo *info = Pa_GetDeviceInfo(i);
        if (!info || info->maxInputChannels < 1)
            continue;
        const PaHostApiInfo *host = Pa_GetHostApiInfo(info->hostApi);
        struct device *d = &list->devices[list->n++];
        d->index = i;
        snprintf(d->name, sizeof(d->name), "%s", info->name ? info->name : "");
        snprintf(d->host_api, sizeof(d->host_api), "%s", host && host->name ? host->name : "");
        d->channels = info->maxInputChannels;
        d->rate_hz = info->defaultSampleRate;
        d->is_default = i == chosen;
    }
    return 0;
}

void device_list_release(struct device_list *list)
{
    free(list->devices);
    *list = (struct device_list){0};
}

static int contains(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return 1;
    }
    return 0;
}

static int choose_default(struct device *chosen, const struct device_list *list, struct error *err)
{
    for (int i = 0; i < list->n; i++) {
        if (list->devices[i].is_default) {
            *chosen = list->devices[i];
            return 0;
        }
    }
    if (list->n) { // the host names none: the first it has
        *chosen = list->devices[0];
        return 0;
    }
    return fail(err, "no capture device on this machine; plug one in, or play a file with "
                     "--input FILE");
}

/* The devices whose names hold a part of a name, into err. */
static int ambiguous(const struct device_list *list, const char *wanted, struct error *err)
{
    char names[300] = "";
    size_t n = 0;

    for (int i = 0; i < list->n && n < sizeof(names) - 1; i++) {
        if (contains(list->devices[i].name, wanted))
            n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%d \"%s\"", n ? ", " : "",
                                  list->devices[i].index, list->devices[i].name);
    }
    return fail(err, "device \"%.60s\" is ambiguous: %s; give the number", wanted, names);
}

int device_choose(struct device *chosen, const struct device_list *list, const char *wanted,
                  struct error *err)
{
    const struct device *found = NULL;
    int n_found = 0;
    char *end;

    if (!wanted)
        return choose_default(chosen, list, err);
    long index = strtol(wanted, &end, 10);
    for (int i = 0; i < list->n; i++) {
        const struct device *d = &list->devices[i];
        if ((*wanted && !*end && d->index == index) || !strcmp(d->name, wanted)) {
            *chosen = *d;
            return 0;
        }
        if (*wanted && contains(d->name, wanted)) {
            found = d;
            n_found++;
        }
    }
    if (n_found > 1)
        return ambiguous(list, wanted, err);
    if (!found)
        return fail(err, "no capture device \"%.60s\"; `antiphon devices` lists them", wanted);
    *chosen = *found;
    return 0;
}
