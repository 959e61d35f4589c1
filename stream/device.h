// SPDX-License-Identifier: MIT
/* device.h - the capture devices PortAudio finds. Thread: main. */
#ifndef DEVICE_H
#define DEVICE_H

#include "model/error.h"

struct device {
    int index; // PortAudio's
    char name[128], host_api[32];
    int channels;
    double rate_hz;
    int is_default;
};

struct device_list {
    struct device *devices;
    int n;
};

/* PortAudio must be open (device_open_library). */
int device_list(struct device_list *list, struct error *err);
void device_list_release(struct device_list *list);

/* By index, by exact name, or by a part of a name (in any case) that only one
 * has; NULL: the default device. */
int device_choose(struct device *chosen, const struct device_list *list, const char *wanted,
                  struct error *err);

/* PortAudio, with what its hosts print on stderr while they look for hardware
 * held back. Calls may nest; each open wants a close. */
int device_open_library(struct error *err);
void device_close_library(void);

/* Sends stderr to /dev/null until the matching call with what this returned. */
int device_hush(void);
void device_unhush(int saved);

#endif
