// SPDX-License-Identifier: MIT
/* device.h - the capture devices of this machine, and the one that is meant.
 *
 * A list is a copy: it stays valid when PortAudio does not. Indices are
 * PortAudio's, and hold while it stays initialised.  Thread: main. */
#ifndef DEVICE_H
#define DEVICE_H

#include "model/error.h"

struct device {
    int index;
    char name[256];
    char host_api[64];  // "ALSA", "JACK Audio Connection Kit", ...
    int channels;       // as many as it claims; a sound server's device claims too many
    double rate_hz;     // its own
    double latency_seconds; // asked for when it is opened
    int is_default;
};

struct device_list {
    struct device *devices; // capture devices only, by index
    int n;
};

/* Starts PortAudio, without the noise that the sound systems below it make on
 * standard error, and without starting a JACK server. Ends with
 * device_close_library(); the pair may be nested. */
int device_open_library(struct error *err);
void device_close_library(void);

/* Lists the capture devices; none is no error. PortAudio must be open. */
int device_list(struct device_list *list, struct error *err);

/* A zeroed list may be released. */
void device_list_release(struct device_list *list);

/* The device that is meant by an index, an exact name, or a part of a name in
 * any case (a number is no part); NULL means the default one. Fails when there
 * is none, or more than one: then they are named. */
int device_choose(struct device *chosen, const struct device_list *list, const char *wanted,
                  struct error *err);

/* Silences standard error of the whole process, for as short as one call into
 * PortAudio; returns what device_unhush needs. */
int device_hush(void);
void device_unhush(int saved);

#endif
