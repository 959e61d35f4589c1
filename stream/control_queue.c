// SPDX-License-Identifier: MIT
#include "stream/control_queue.h"

#include "stream/utf8.h"

#include <string.h>

static void ignore(struct control_queue *q)
{
    atomic_fetch_add_explicit(&q->ignored, 1, memory_order_relaxed);
}

static void put(struct control_queue *q, const struct control_command *command)
{
    if (!ring_write(&q->ring, command, 1))
        ignore(q);
}

/* liblo points its union, which wants 8 bytes' alignment, at words of 4. */
static int32_t int_of(const lo_arg *arg)
{
    int32_t x;

    memcpy(&x, (const void *)arg, sizeof(x));
    return x;
}

static float float_of(const lo_arg *arg)
{
    float x;

    memcpy(&x, (const void *)arg, sizeof(x));
    return x;
}

static int on_name(const char *path, const char *types, lo_arg **argv, int argc,
                   lo_message message, void *user)
{
    struct control_queue *q = user;
    struct control_command command = {.type = CONTROL_NAME};

    if (!strcmp(types, "is")) {
        command.id = int_of(argv[0]);
        utf8_name(command.name, sizeof(command.name), (const char *)argv[1]);
    }
    if (command.id >= 1 && command.id <= REPORT_MAX_SPEAKERS && command.name[0])
        put(q, &command);
    else
        ignore(q);
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

    if (!strcmp(types, "f"))
        command.value = float_of(argv[0]);
    if (command.value > 0.0f && command.value < 1.0f) { // NaN is not
        put(user, &command);
    } else {
        ignore(user);
    }
    return 0;
}

/* To the address the ping came from: the receiver may not be one of ours. */
static void answer(struct control_queue *q, lo_message ping)
{
    int rate_hz = atomic_load_explicit(&q->rate_hz, memory_order_acquire);
    lo_address from = lo_message_get_source(ping);

    if (rate_hz && from)
        lo_send_from(from, q->server, LO_TT_IMMEDIATE, "/antiphon/hello", "sii", ANTIPHON_VERSION,
                     rate_hz, atomic_load_explicit(&q->block_ms, memory_order_relaxed));
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

void control_queue_init(struct control_queue *q, lo_server server)
{
    memset(q, 0, sizeof(*q));
    ring_init(&q->ring, q->storage, CONTROL_QUEUE, sizeof(*q->storage));
    q->server = server;
    lo_server_enable_queue(server, 0, 1);
    lo_server_add_method(server, "/antiphon/name", NULL, on_name, q);
    lo_server_add_method(server, "/antiphon/reset", NULL, on_reset, q);
    lo_server_add_method(server, "/antiphon/threshold", NULL, on_threshold, q);
    lo_server_add_method(server, "/antiphon/ping", NULL, on_ping, q);
    lo_server_add_method(server, NULL, NULL, on_other, q);
}
