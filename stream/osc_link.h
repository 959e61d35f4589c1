// SPDX-License-Identifier: MIT
/* osc_link.h - the way to one OSC receiver, over UDP or TCP.
 *
 * liblo makes the packets; they are sent here, because liblo's own sending looks
 * hosts up inside the first send, waits in a connect or send that nothing can
 * end, and over UDP never learns that nobody listens. Here the host is looked up
 * once; a socket that is connected, UDP's too, tells of refusals; and every wait
 * is a poll that stop_fd ends. Only the look-up itself cannot be ended.
 *
 * Troubles are told once: a second time only after a minute of being well. What
 * cannot be sent is lost; the way is tried again every few seconds.
 *
 * Thread: one, but for parse. */
#ifndef OSC_LINK_H
#define OSC_LINK_H

#include "model/error.h"

#include <netdb.h>
#include <sys/socket.h>

struct osc_link {
    char host[256], port[8];
    int tcp;
    int fd;                       // -1: not open
    int stop_fd;                  // readable: give up
    struct sockaddr_storage address;
    socklen_t address_bytes;      // 0: not looked up yet
    double retry_at, well_since;  // monotonic seconds
    int told;                     // the trouble that lasts
};

/* Takes osc.udp://HOST:PORT/, osc.tcp://HOST:PORT/, the same without osc. or the
 * last /, or HOST:PORT; an IPv6 host in brackets. Nothing is looked up. */
int osc_link_parse(struct osc_link *l, const char *target, int stop_fd, struct error *err);

/* The full URL. */
void osc_link_url(const struct osc_link *l, char *url, size_t size);

/* Sends one packet, n at most 1 << 16 bytes, or loses it. 1 with err if there is a
 * trouble to tell, else 0. May block until stop_fd is readable. */
int osc_link_send(struct osc_link *l, const void *bytes, size_t n, struct error *err);

/* A parsed link may be closed at any time. */
void osc_link_close(struct osc_link *l);

#endif
