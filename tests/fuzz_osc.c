// SPDX-License-Identifier: MIT
/* fuzz_osc.c - any bytes as a datagram to the control port: liblo takes it apart and
 * our methods take what it finds. */
#include "fuzz.h"

#include "stream/control_queue.h"
#include "stream/scan.h"

#include <stdlib.h>
#include <string.h>

static void check_command(const struct control_command *c)
{
    struct field name = {c->name, strnlen(c->name, sizeof(c->name))};

    switch (c->type) {
    case CONTROL_NAME:
        if (c->id < 1 || c->id > REPORT_MAX_SPEAKERS || name.n == 0 ||
            name.n == sizeof(c->name) || !scan_printable(name))
            abort();
        break;
    case CONTROL_THRESHOLD:
        if (!(c->value > 0.0f && c->value < 1.0f))
            abort();
        break;
    case CONTROL_RESET:
    case CONTROL_PING: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lo_server server; // one port for all inputs
    static struct control_queue queue;
    struct control_command command;
    char *packet;

    if (size == 0 || size > 65507) // no datagram is longer
        return 0;
    if (!server) {
        server = lo_server_new_with_proto(NULL, LO_UDP, NULL);
        if (!server)
            abort();
        control_queue_init(&queue, server);
    }
    packet = malloc(size); // liblo turns numbers round in place
    if (!packet)
        return 0;
    memcpy(packet, data, size);
    lo_server_dispatch_data(server, packet, size);
    free(packet);
    while (ring_read(&queue.ring, &command, 1) == 1)
        check_command(&command);
    return 0;
}
