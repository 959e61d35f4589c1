// SPDX-License-Identifier: MIT
#include "stream/control.h"

#include "stream/ring.h"

#include <lo/lo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RING_COMMANDS = 64 };

struct control {
    struct ring ring;
    struct control_command storage[RING_COMMANDS];
    lo_server_thread thread;
    atomic_int ignored;
};

/* liblo tells its errors to a function without a user pointer; what matters,
 * the port, is checked by its result. */
static void on_error(int number, const char *text, const char *path)
{
    (void)number;
    (void)text;
    (void)path;
}

static void ignore(struct control *c)
{
    atomic_fetch_add_explicit(&c->ignored, 1, memory_order_relaxed);
}

static void put(struct control *c, const struct control_command *command)
{
    if (!ring_write(&c->ring, command, 1))
        ignore(c);
}

/* Copies a name: no control characters, and no character cut in two. */
static void copy_name(char *dst, const char *src)
{
    size_t n = 0;

    for (; *src && n < REPORT_NAME_BYTES - 1; src++)
        dst[n++] = (unsigned char)*src < ' ' || *src == 0x7f ? ' ' : *src;
    while (*src && n > 0 && ((unsigned char)*src & 0xc0) == 0x80) {
        src--;
        n--;
    }
    dst[n] = 0;
}

static int on_message(const char *path, const char *types, lo_arg **argv, int argc,
                      lo_message message, void *user)
{
    struct control *c = user;
    struct control_command command = {0};

    (void)argc;
    (void)message;
    if (!strcmp(path, "/antiphon/name") && !strcmp(types, "is")) {
        command.type = CONTROL_NAME;
        command.id = argv[0]->i;
        copy_name(command.name, &argv[1]->s);
    } else if (!strcmp(path, "/antiphon/reset") && !*types) {
        command.type = CONTROL_RESET;
    } else if (!strcmp(path, "/antiphon/ping") && !*types) {
        command.type = CONTROL_PING;
    } else if (!strcmp(path, "/antiphon/threshold") && !strcmp(types, "f") && argv[0]->f > 0.0f &&
               argv[0]->f < 1.0f) {
        command.type = CONTROL_THRESHOLD;
        command.value = argv[0]->f;
    } else {
        ignore(c);
        return 0;
    }
    put(c, &command);
    return 0;
}

int control_open(struct control **out, int port, struct error *err)
{
    struct control *c;
    char text[16];

    *out = NULL;
    if (port < 1 || port > 65535)
        return fail(err, "--osc-port %d: expected 1 to 65535", port);
    c = aligned_alloc(64, (sizeof(*c) + 63) / 64 * 64);
    if (!c)
        return fail(err, "out of memory");
    memset(c, 0, sizeof(*c));
    ring_init(&c->ring, c->storage, RING_COMMANDS, sizeof(*c->storage));
    snprintf(text, sizeof(text), "%d", port);
    c->thread = lo_server_thread_new(text, on_error);
    if (!c->thread) {
        free(c);
        return fail(err, "--osc-port %d: cannot listen there; is it in use?", port);
    }
    lo_server_thread_add_method(c->thread, NULL, NULL, on_message, c);
    if (lo_server_thread_start(c->thread)) {
        lo_server_thread_free(c->thread);
        free(c);
        return fail(err, "--osc-port %d: cannot start a thread", port);
    }
    *out = c;
    return 0;
}

void control_close(struct control **c)
{
    if (!*c)
        return;
    lo_server_thread_stop((*c)->thread);
    lo_server_thread_free((*c)->thread);
    free(*c);
    *c = NULL;
}

int control_next(struct control *c, struct control_command *command)
{
    return c && ring_read(&c->ring, command, 1) == 1;
}

int control_ignored(const struct control *c)
{
    return c ? atomic_load_explicit(&c->ignored, memory_order_relaxed) : 0;
}
