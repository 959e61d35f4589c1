// SPDX-License-Identifier: MIT
#include "stream/osc_link.h"

#include "model/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RETRY_SECONDS = 3,
    CONNECT_MS = 3000,
    WELL_SECONDS = 60,
    SILENT_MS = 30000, // a TCP peer that acknowledges nothing for so long is gone
};

/* Splits what is behind the scheme; 0 if it is HOST:PORT or [HOST]:PORT. */
static int parse_place(struct osc_link *l, const char *text)
{
    const char *colon = strrchr(text, ':'), *end;
    size_t n = colon ? (size_t)(colon - text) : 0, digits;
    long port;

    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    } else if (n && memchr(text, ':', n)) {
        return -1; // an IPv6 address without brackets: where does it end?
    }
    if (n == 0 || n >= sizeof(l->host) || memchr(text, '/', n))
        return -1;
    digits = strspn(colon + 1, "0123456789");
    end = colon + 1 + digits;
    if (digits < 1 || digits > 5 || (*end && strcmp(end, "/")))
        return -1;
    port = strtol(colon + 1, NULL, 10);
    if (port < 1 || port > 65535)
        return -1;
    memcpy(l->host, text, n);
    l->host[n] = 0;
    snprintf(l->port, sizeof(l->port), "%ld", port);
    return 0;
}

int osc_link_parse(struct osc_link *l, const char *target, int stop_fd, struct error *err)
{
    const char *scheme = !strncmp(target, "osc.", 4) ? target + 4 : target;
    const char *rest = target;
    int tcp = 0;

    memset(l, 0, sizeof(*l));
    l->fd = -1;
    l->stop_fd = stop_fd;
    if (strstr(target, "://")) {
        tcp = !strncmp(scheme, "tcp://", 6);
        if (!tcp && strncmp(scheme, "udp://", 6))
            return fail(err, "--osc %s: expected osc.udp://HOST:PORT/, osc.tcp://HOST:PORT/ or "
                             "HOST:PORT", target);
        rest = scheme + 6;
    }
    l->tcp = tcp;
    if (parse_place(l, rest))
        return fail(err, "--osc %s: expected a host and a port from 1 to 65535, as in "
                         "127.0.0.1:9000", target);
    return 0;
}

void osc_link_url(const struct osc_link *l, char *url, size_t size)
{
    int v6 = strchr(l->host, ':') != NULL;

    snprintf(url, size, "osc.%s://%s%s%s:%s/", l->tcp ? "tcp" : "udp", v6 ? "[" : "", l->host,
             v6 ? "]" : "", l->port);
}

/* What went wrong, if it is to be told: returns 1 then, else 0. */
static int trouble(struct osc_link *l, struct error *err, const char *what)
{
    double now = clock_monotonic();
    char url[300];

    l->retry_at = now + RETRY_SECONDS;
    if (l->well_since > 0.0 && now - l->well_since > WELL_SECONDS)
        l->told = 0;
    l->well_since = 0.0;
    if (l->told)
        return 0;
    l->told = 1;
    osc_link_url(l, url, sizeof(url));
    fail(err, "%s: %s; it is tried again, and the rest goes on", url, what);
    return 1;
}

/* Looks the host up, IPv4 first: that is what most receivers listen on. */
static int look_up(struct osc_link *l, struct error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = l->tcp ? SOCK_STREAM : SOCK_DGRAM,
                             .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL, *best;
    char what[160];
    int status = getaddrinfo(l->host, l->port, &hints, &found);

    if (status) {
        snprintf(what, sizeof(what), "the host cannot be found (%s)", gai_strerror(status));
        return trouble(l, err, what) ? 1 : -1;
    }
    best = found;
    for (struct addrinfo *a = found; a; a = a->ai_next) {
        if (a->ai_family == AF_INET) {
            best = a;
            break;
        }
    }
    memcpy(&l->address, best->ai_addr, best->ai_addrlen);
    l->address_bytes = best->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/* Waits for room in the socket; 0 if there is. */
static int await(const struct osc_link *l, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = l->fd, .events = POLLOUT},
                           {.fd = l->stop_fd, .events = POLLIN}};
    int n;

    do
        n = poll(fds, 2, timeout_ms);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        errno = ETIMEDOUT;
    else if (n > 0 && !fds[0].revents)
        errno = ECANCELED;
    return n > 0 && fds[0].revents ? 0 : -1;
}

static void set_options(const struct osc_link *l)
{
    const int one = 1;
    const unsigned silent_ms = SILENT_MS;

    /* Refusals of these are harmless: a broadcast fails later, and says so. */
    if (l->tcp) {
        setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(l->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent_ms, sizeof(silent_ms));
    } else {
        setsockopt(l->fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
    }
}

/* Opens and connects a socket; 0, or -1 with errno. */
static int connect_socket(struct osc_link *l)
{
    int status, type = l->tcp ? SOCK_STREAM : SOCK_DGRAM;
    socklen_t size = sizeof(status);

    l->fd = socket(l->address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return -1;
    set_options(l);
    if (connect(l->fd, (struct sockaddr *)&l->address, l->address_bytes) == 0)
        return 0;
    if (errno != EINPROGRESS || await(l, CONNECT_MS) ||
        getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &status, &size))
        return -1;
    errno = status;
    return status ? -1 : 0;
}

void osc_link_close(struct osc_link *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

/* Closes what an error has broken. Being stopped is none. */
static int give_up(struct osc_link *l, int error, struct error *err)
{
    char what[128], text[96];

    osc_link_close(l);
    if (error == ECANCELED) {
        l->retry_at = INFINITY;
        return 0;
    }
    snprintf(what, sizeof(what), "%s", strerror_r(error, text, sizeof(text)));
    return trouble(l, err, what);
}

static int send_datagram(struct osc_link *l, const void *bytes, size_t n, struct error *err)
{
    int told = 0;

    /* A refusal is told by the send after the one that was refused, which it
     * takes the place of: that one is sent again. */
    for (int i = 0; i < 2; i++) {
        if (send(l->fd, bytes, n, MSG_NOSIGNAL) >= 0 || errno == EAGAIN || errno == ENOBUFS)
            return told;
        if (errno != ECONNREFUSED)
            return give_up(l, errno, err) || told;
        told |= trouble(l, err, "nobody listens there");
    }
    return told;
}

/* The length, and the packet: OSC's framing over a stream. */
static int send_framed(struct osc_link *l, const void *bytes, size_t n, struct error *err)
{
    uint32_t length = htonl((uint32_t)n);
    struct iovec parts[] = {{&length, sizeof(length)}, {(void *)(uintptr_t)bytes, n}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    size_t left = sizeof(length) + n;

    while (left > 0) {
        ssize_t sent = sendmsg(l->fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN && await(l, -1) == 0)
            continue;
        if (sent < 0 && errno != EINTR)
            return give_up(l, errno, err);
        for (size_t i = 0, done = sent > 0 ? (size_t)sent : 0; i < 2; i++) {
            size_t part = done < parts[i].iov_len ? done : parts[i].iov_len;
            parts[i].iov_base = (char *)parts[i].iov_base + part;
            parts[i].iov_len -= part;
            done -= part;
            left -= part;
        }
    }
    return 0;
}

int osc_link_send(struct osc_link *l, const void *bytes, size_t n, struct error *err)
{
    if (l->fd < 0) {
        int status = 0;
        if (clock_monotonic() < l->retry_at)
            return 0;
        if (!l->address_bytes && (status = look_up(l, err)) != 0)
            return status > 0;
        if (connect_socket(l))
            return give_up(l, errno, err);
        l->well_since = clock_monotonic();
    }
    return l->tcp ? send_framed(l, bytes, n, err) : send_datagram(l, bytes, n, err);
}
