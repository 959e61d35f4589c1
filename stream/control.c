// SPDX-License-Identifier: MIT
#include "stream/control.h"

#include "stream/ring.h"
#include "stream/utf8.h"

#include <arpa/inet.h>
#include <errno.h>
#include <lo/lo.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RING_COMMANDS = 64 };

struct control {
    struct ring ring; // from our thread to the worker
    struct control_command storage[RING_COMMANDS];
    lo_server server;
    int stop_fd; // readable: end
    pthread_t thread;
    int has_thread;
    atomic_int ignored;
    atomic_int rate_hz, block_ms; // 0: not known yet
};

static void ignore(struct control *c)
{
    atomic_fetch_add_explicit(&c->ignored, 1, memory_order_relaxed);
}

static void put(struct control *c, const struct control_command *command)
{
    if (!ring_write(&c->ring, command, 1))
        ignore(c);
}

static int on_name(const char *path, const char *types, lo_arg **argv, int argc,
                   lo_message message, void *user)
{
    struct control *c = user;
    struct control_command command = {.type = CONTROL_NAME};

    if (!strcmp(types, "is")) {
        command.id = argv[0]->i;
        utf8_name(command.name, sizeof(command.name), &argv[1]->s);
    }
    if (command.id >= 1 && command.id <= REPORT_MAX_SPEAKERS && command.name[0])
        put(c, &command);
    else
        ignore(c);
    return 0;
}

static int on_reset(const char *path, const char *types, lo_arg **argv, int argc,
                    lo_message message, void *user)
{
    struct control_command command = {.type = CONTROL_RESET};

    if (*types)
        ignore(user);
    else
        put(user, &command);
    return 0;
}

static int on_threshold(const char *path, const char *types, lo_arg **argv, int argc,
                        lo_message message, void *user)
{
    struct control_command command = {.type = CONTROL_THRESHOLD};

    if (!strcmp(types, "f") && argv[0]->f > 0.0f && argv[0]->f < 1.0f) { // NaN is not
        command.value = argv[0]->f;
        put(user, &command);
    } else {
        ignore(user);
    }
    return 0;
}

/* To the address the ping came from: the receiver may not be one of ours. */
static void answer(struct control *c, lo_message ping)
{
    int rate_hz = atomic_load_explicit(&c->rate_hz, memory_order_acquire);
    lo_address from = lo_message_get_source(ping);

    if (rate_hz && from)
        lo_send_from(from, c->server, LO_TT_IMMEDIATE, "/antiphon/hello", "sii", ANTIPHON_VERSION,
                     rate_hz, atomic_load_explicit(&c->block_ms, memory_order_relaxed));
}

static int on_ping(const char *path, const char *types, lo_arg **argv, int argc,
                   lo_message message, void *user)
{
    struct control_command command = {.type = CONTROL_PING};

    if (*types) {
        ignore(user);
    } else {
        put(user, &command);
        answer(user, message);
    }
    return 0;
}

static int on_other(const char *path, const char *types, lo_arg **argv, int argc,
                    lo_message message, void *user)
{
    ignore(user);
    return 0;
}

static void *run(void *user)
{
    struct control *c = user;
    struct pollfd fds[] = {{.fd = lo_server_get_socket_fd(c->server), .events = POLLIN},
                           {.fd = c->stop_fd, .events = POLLIN}};

    while (!fds[1].revents) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[0].revents & ~POLLIN)
            break; // the socket is gone
        if (fds[0].revents)
            lo_server_recv_noblock(c->server, 0);
    }
    return NULL;
}

/* Why liblo could not listen: it tells only that it could not. */
static int port_trouble(int port, struct error *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
        error = errno;
    if (fd >= 0)
        close(fd);
    if (error == EADDRINUSE)
        return fail(err, "--osc-port %d: in use by another program; choose another", port);
    return fail(err, "--osc-port %d: cannot listen there%s%s", port, error ? ": " : "",
                error ? strerror(error) : "");
}

static int start_thread(struct control *c, struct error *err)
{
    sigset_t all, before;
    int status;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // signals are main's
    status = pthread_create(&c->thread, NULL, run, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->has_thread = status == 0;
    return status ? fail(err, "cannot start a thread: %s", strerror(status)) : 0;
}

static int listen_on(struct control *c, int port, struct error *err)
{
    char text[16];

    c->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (c->stop_fd < 0)
        return fail(err, "eventfd: %s", strerror(errno));
    snprintf(text, sizeof(text), "%d", port);
    c->server = lo_server_new_with_proto(text, LO_UDP, NULL);
    if (!c->server)
        return port_trouble(port, err);
    lo_server_enable_queue(c->server, 0, 1);
    lo_server_add_method(c->server, "/antiphon/name", NULL, on_name, c);
    lo_server_add_method(c->server, "/antiphon/reset", NULL, on_reset, c);
    lo_server_add_method(c->server, "/antiphon/threshold", NULL, on_threshold, c);
    lo_server_add_method(c->server, "/antiphon/ping", NULL, on_ping, c);
    lo_server_add_method(c->server, NULL, NULL, on_other, c);
    return start_thread(c, err);
}

int control_open(struct control **out, int port, struct error *err)
{
    struct control *c;

    *out = NULL;
    if (port < 1 || port > 65535)
        return fail(err, "--osc-port %d: expected 1 to 65535", port);
    c = aligned_alloc(64, (sizeof(*c) + 63) / 64 * 64);
    if (!c)
        return fail(err, "out of memory");
    memset(c, 0, sizeof(*c));
    ring_init(&c->ring, c->storage, RING_COMMANDS, sizeof(*c->storage));
    if (listen_on(c, port, err)) {
        control_close(&c);
        return -1;
    }
    *out = c;
    return 0;
}

void control_close(struct control **c)
{
    const uint64_t one = 1;

    if (!*c)
        return;
    if ((*c)->has_thread && write((*c)->stop_fd, &one, sizeof(one)) == sizeof(one))
        pthread_join((*c)->thread, NULL);
    if ((*c)->server)
        lo_server_free((*c)->server);
    if ((*c)->stop_fd >= 0)
        close((*c)->stop_fd);
    free(*c);
    *c = NULL;
}

void control_set_hello(struct control *c, int rate_hz, int block_ms)
{
    if (!c)
        return;
    atomic_store_explicit(&c->block_ms, block_ms, memory_order_relaxed);
    atomic_store_explicit(&c->rate_hz, rate_hz, memory_order_release);
}

int control_next(struct control *c, struct control_command *command)
{
    return c && ring_read(&c->ring, command, 1) == 1;
}

int control_ignored(const struct control *c)
{
    return c ? atomic_load_explicit(&c->ignored, memory_order_relaxed) : 0;
}
