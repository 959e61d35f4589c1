// SPDX-License-Identifier: MIT
/* sink_osc.c - OSC to one receiver, over UDP or TCP, by liblo.
 *
 * What happened in a block and its numbers go out as one bundle, time-tagged
 * with the capture of the block's first sample; should it pass 1400 bytes (an
 * Ethernet frame less headers), in several with the same tag. liblo resolves
 * and connects inside its first send, on this thread. */
#include "stream/sink.h"

#include <lo/lo.h>
#include <math.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { BUNDLE_BYTES = 1400, RETRY_SECONDS = 3 };

#define BASE "/antiphon"

struct osc {
    lo_address address; // NULL until resolved
    lo_bundle bundle;   // what waits for its block
    double retry_at;    // stream seconds before which nothing is tried
    int rate_hz, block_ms;
    double wall;        // of stream time 0
};

/* Turns host:port and udp://, tcp:// forms into liblo's URL. */
static int make_url(char *url, size_t size, const char *target, struct error *err)
{
    const char *rest = strstr(target, "://");
    const char *scheme = !strncmp(target, "osc.", 4) ? target + 4 : target;
    const char *protocol = rest && !strncmp(scheme, "tcp", 3) ? "tcp" : "udp";
    char host[256];
    const char *colon;
    char *end;
    long port;
    size_t n;

    if (rest && strncmp(scheme, "tcp", 3) && strncmp(scheme, "udp", 3))
        return fail(err, "--osc %s: expected osc.udp://HOST:PORT/, osc.tcp://HOST:PORT/ or "
                         "HOST:PORT", target);
    rest = rest ? rest + 3 : target;
    colon = strrchr(rest, ':');
    n = colon ? (size_t)(colon - rest) : 0;
    port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || n == 0 || n >= sizeof(host) || port < 1 || port > 65535 ||
        (*end && strcmp(end, "/")))
        return fail(err, "--osc %s: expected a host and a port from 1 to 65535, as in "
                         "127.0.0.1:9000", target);
    memcpy(host, rest, n);
    host[n] = 0;
    snprintf(url, size, "osc.%s://%s:%ld/", protocol, host, port);
    return 0;
}

static int osc_open(struct sink *s, struct error *err)
{
    char url[512];

    if (make_url(url, sizeof(url), s->target, err))
        return -1;
    snprintf(s->target, sizeof(s->target), "%s", url);
    s->own = calloc(1, sizeof(struct osc));
    return s->own ? 0 : fail(err, "out of memory");
}

/* Looks the host up; liblo would do it silently. */
static int resolve(struct sink *s, struct error *err)
{
    struct osc *o = s->own;
    char *host = lo_url_get_hostname(s->target), *port = lo_url_get_port(s->target);
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM}, *found = NULL;
    int status = host && port ? getaddrinfo(host, port, &hints, &found) : EAI_NONAME;

    if (status == 0) {
        o->address = lo_address_new_from_url(s->target);
        if (o->address && lo_address_get_protocol(o->address) == LO_TCP)
            lo_address_set_tcp_nodelay(o->address, 1);
    }
    if (found)
        freeaddrinfo(found);
    free(host);
    free(port);
    if (o->address)
        return 0;
    return fail(err, "%s: cannot be resolved (%s); trying again every %d s", s->target,
                gai_strerror(status), RETRY_SECONDS);
}

static lo_timetag time_tag(double wall)
{
    double seconds = floor(wall);

    return (lo_timetag){(uint32_t)(seconds + 2208988800.0), // 1900 to 1970
                        (uint32_t)((wall - seconds) * 4294967296.0)};
}

/* Sends what is in the bundle, and empties it. 1 with err if it did not go. */
static int flush_bundle(struct sink *s, double time, struct error *err)
{
    struct osc *o = s->own;
    int status = 0;

    if (!o->bundle)
        return 0;
    if (time >= o->retry_at) {
        status = o->address ? 0 : resolve(s, err) ? 1 : 0;
        if (status == 0 && lo_send_bundle(o->address, o->bundle) < 0) {
            fail(err, "%s: %s; trying again every %d s", s->target,
                 lo_address_errstr(o->address), RETRY_SECONDS);
            status = 1;
        }
        if (status) {
            o->retry_at = time + RETRY_SECONDS;
            if (o->address) // a broken TCP connection is made anew
                lo_address_free(o->address);
            o->address = NULL;
        }
    }
    lo_bundle_free_recursive(o->bundle);
    o->bundle = NULL;
    return status;
}

/* Adds a message, sending first what would make the bundle too long. */
static int add(struct sink *s, double wall, double time, const char *path, lo_message message,
               struct error *err)
{
    struct osc *o = s->own;
    int status = 0;

    if (o->bundle &&
        lo_bundle_length(o->bundle) + lo_message_length(message, path) + 4 > BUNDLE_BYTES)
        status = flush_bundle(s, time, err);
    if (!o->bundle)
        o->bundle = lo_bundle_new(time_tag(wall));
    lo_bundle_add_message(o->bundle, path, message);
    return status;
}

static int add_hello(struct sink *s, double wall, double time, struct error *err)
{
    struct osc *o = s->own;
    lo_message m = lo_message_new();

    lo_message_add(m, "sii", ANTIPHON_VERSION, o->rate_hz, o->block_ms);
    return add(s, wall, time, BASE "/hello", m, err);
}

/* Messages of one speaker wait for their block: its tag is not known before. */
static lo_message speaker_message(const char **path, const struct report *r)
{
    lo_message m = lo_message_new();

    switch (r->type) {
    case REPORT_SPEAKER_NEW:
        *path = BASE "/speaker/new";
        lo_message_add(m, "is", r->speaker.id, r->speaker.name);
        break;
    case REPORT_SPEAKER_ON:
        *path = BASE "/speaker/on";
        lo_message_add(m, "isf", r->speaker.id, r->speaker.name, r->speaker.start);
        break;
    case REPORT_SPEAKER_OFF:
        *path = BASE "/speaker/off";
        lo_message_add(m, "isff", r->speaker.id, r->speaker.name, r->speaker.start,
                       r->speaker.end);
        break;
    default:
        *path = BASE "/speaker/merge";
        lo_message_add(m, "ii", r->speaker.id, r->speaker.merged_id);
        break;
    }
    return m;
}

static int add_block(struct sink *s, const struct report *r, struct error *err)
{
    const struct report_block *b = &r->block;
    lo_message activity = lo_message_new(), overlap = lo_message_new(), level = lo_message_new();
    lo_message status = lo_message_new();
    int bad = 0;

    lo_message_add_int32(activity, (int32_t)b->number);
    for (int i = 0; i < b->n_speakers; i++)
        lo_message_add_float(activity, b->activity[i]);
    lo_message_add_int32(overlap, b->overlap);
    lo_message_add_float(level, b->level_dbfs);
    lo_message_add(status, "fiif", b->end, (int32_t)b->dropped_samples, b->overruns, b->load);
    bad |= add(s, b->wall, r->time, BASE "/activity", activity, err);
    bad |= add(s, b->wall, r->time, BASE "/overlap", overlap, err);
    bad |= add(s, b->wall, r->time, BASE "/level", level, err);
    bad |= add(s, b->wall, r->time, BASE "/status", status, err);
    bad |= flush_bundle(s, r->time, err);
    return bad;
}

static int osc_take(struct sink *s, const struct report *r, struct error *err)
{
    struct osc *o = s->own;
    const char *path;
    lo_message m;

    switch (r->type) {
    case REPORT_START:
        o->rate_hz = r->start.rate_hz;
        o->block_ms = r->start.block_ms;
        o->wall = r->start.wall;
        return add_hello(s, o->wall, 0.0, err) | flush_bundle(s, 0.0, err);
    case REPORT_HELLO:
        return add_hello(s, o->wall + r->time, r->time, err) | flush_bundle(s, r->time, err);
    case REPORT_SPEAKER_NEW:
    case REPORT_SPEAKER_ON:
    case REPORT_SPEAKER_OFF:
    case REPORT_SPEAKER_MERGE:
        m = speaker_message(&path, r);
        return add(s, r->speaker.wall, r->time, path, m, err);
    case REPORT_BLOCK: return add_block(s, r, err);
    case REPORT_END: return flush_bundle(s, r->time, err);
    case REPORT_SPEAKER_NAME:
    case REPORT_RESET: break;
    }
    return 0;
}

static int osc_close(struct sink *s, struct error *err)
{
    struct osc *o = s->own;

    (void)err;
    if (!o)
        return 0;
    if (o->bundle)
        lo_bundle_free_recursive(o->bundle);
    if (o->address)
        lo_address_free(o->address);
    free(o);
    s->own = NULL;
    return 0;
}

const struct sink_kind sink_osc = {"osc", osc_open, osc_take, osc_close};
