// SPDX-License-Identifier: MIT
#include "stream/control.h"

#include "stream/control_queue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <lo/lo.h>
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

struct control {
    struct control_queue queue;
    lo_server server;
    int stop_fd; // readable: end
    pthread_t thread;
    int has_thread;
};

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
    control_queue_init(&c->queue, c->server);
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
    atomic_store_explicit(&c->queue.block_ms, block_ms, memory_order_relaxed);
    atomic_store_explicit(&c->queue.rate_hz, rate_hz, memory_order_release);
}

int control_next(struct control *c, struct control_command *command)
{
    return c && ring_read(&c->queue.ring, command, 1) == 1;
}

int control_ignored(const struct control *c)
{
    return c ? atomic_load_explicit(&c->queue.ignored, memory_order_relaxed) : 0;
}
