// SPDX-License-Identifier: MIT
/* sink_osc.c - OSC to one receiver, over UDP or TCP; liblo makes the packets.
 *
 *   /antiphon/hello          s i i    version, sample rate, block length in ms
 *   /antiphon/activity       i f...   block number, a probability a speaker
 *   /antiphon/speaker/on     i s f    id, name, start in stream seconds
 *   /antiphon/speaker/off    i s f f  id, name, start, end
 *   /antiphon/speaker/new    i s      first appearance
 *   /antiphon/speaker/merge  i i      the second id was the first all along
 *   /antiphon/overlap        i        how many speak at once
 *   /antiphon/level          f        dBFS
 *   /antiphon/status         f i i f  stream seconds, dropped samples, overruns, load
 *
 * What happened in a block waits for its numbers: one bundle a block, time-tagged
 * with the capture of the block's first sample; should it reach 1400 bytes (what
 * an Ethernet frame surely holds), several with the same tag. Hello goes alone. */
#include "stream/sink.h"

#include "stream/osc_link.h"
#include "stream/utf8.h"

#include <lo/lo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUNDLE_LIMIT = 1400, MAX_PENDING = 256 };

#define BASE "/antiphon"

struct osc {
    struct osc_link link;
    int rate_hz, block_ms;
    double wall;                           // of stream time 0
    int n_pending;
    struct report pending[MAX_PENDING];    // of speakers, for the block to come
    lo_bundle bundle;                      // in the making
};

static int osc_open(struct sink *s, struct error *err)
{
    struct osc *o = calloc(1, sizeof(*o));

    if (!o)
        return fail(err, "out of memory");
    if (osc_link_parse(&o->link, s->target, s->stop_fd, err)) {
        free(o);
        return -1;
    }
    osc_link_url(&o->link, s->target, sizeof(s->target));
    s->own = o;
    return 0;
}

/* OSC's 32.32 bits since 1900. Times that cannot be are sent as "at once". */
static lo_timetag time_tag(double wall)
{
    const double since_1900 = 2208988800.0; // of 1970
    double seconds = floor(wall);

    if (!(wall > 0.0 && wall + since_1900 < 4294967296.0))
        return LO_TT_IMMEDIATE;
    return (lo_timetag){(uint32_t)(seconds + since_1900),
                        (uint32_t)((wall - seconds) * 4294967296.0)};
}

/* Sends the bundle and empties it. */
static int flush_bundle(struct osc *o, struct error *err)
{
    char bytes[BUNDLE_LIMIT];
    size_t n = 0;
    int status = 0;

    if (!o->bundle)
        return 0;
    if (lo_bundle_length(o->bundle) < sizeof(bytes)) { // else add() was wrong
        lo_bundle_serialise(o->bundle, bytes, &n);
        status = osc_link_send(&o->link, bytes, n, err);
    }
    lo_bundle_free_recursive(o->bundle);
    o->bundle = NULL;
    return status;
}

/* Adds a message to the bundle, sending first what would make it too long. No
 * single message does: the longest, activity of 256 speakers, has 1312 bytes. */
static int add(struct osc *o, double wall, const char *path, lo_message m, struct error *err)
{
    int status = 0;

    if (!m)
        return 0;
    if (o->bundle &&
        lo_bundle_length(o->bundle) + 4 + lo_message_length(m, path) >= BUNDLE_LIMIT)
        status = flush_bundle(o, err);
    if (!o->bundle)
        o->bundle = lo_bundle_new(time_tag(wall));
    if (!o->bundle || lo_bundle_add_message(o->bundle, path, m))
        lo_message_free(m); // out of memory: this one is lost
    return status;
}

static float sane(double x) // no NaN, no infinity
{
    return isfinite(x) ? (float)x : 0.0f;
}

static int add_speaker(struct osc *o, double wall, const struct report *r, struct error *err)
{
    lo_message m = lo_message_new();
    const char *path = BASE "/speaker/merge";
    char name[REPORT_NAME_BYTES];
    int id = r->speaker.id;

    if (!m)
        return 0;
    utf8_copy(name, sizeof(name), r->speaker.name);
    if (r->type == REPORT_SPEAKER_NEW) {
        path = BASE "/speaker/new";
        lo_message_add(m, "is", id, name);
    } else if (r->type == REPORT_SPEAKER_ON) {
        path = BASE "/speaker/on";
        lo_message_add(m, "isf", id, name, sane(r->speaker.start));
    } else if (r->type == REPORT_SPEAKER_OFF) {
        path = BASE "/speaker/off";
        lo_message_add(m, "isff", id, name, sane(r->speaker.start), sane(r->speaker.end));
    } else {
        lo_message_add(m, "ii", id, r->speaker.merged_id);
    }
    return add(o, wall, path, m, err);
}

/* All that waits, with the tag of its block. */
static int add_pending(struct osc *o, double wall, struct error *err)
{
    int status = 0;

    for (int i = 0; i < o->n_pending; i++)
        status |= add_speaker(o, wall, &o->pending[i], err);
    o->n_pending = 0;
    return status;
}

static int32_t clamp_int32(int64_t x)
{
    return x > INT32_MAX ? INT32_MAX : (int32_t)x;
}

/* A message of one number, or of none if there is no memory. */
static lo_message one_number(char type, double x)
{
    lo_message m = lo_message_new();

    if (m && type == 'i')
        lo_message_add_int32(m, (int32_t)x);
    else if (m)
        lo_message_add_float(m, sane(x));
    return m;
}

static int add_block(struct osc *o, const struct report_block *b, struct error *err)
{
    lo_message activity = one_number('i', clamp_int32(b->number)), status = lo_message_new();
    int told = add_pending(o, b->wall, err);

    for (int i = 0; activity && i < b->n_speakers && i < REPORT_MAX_SPEAKERS; i++)
        lo_message_add_float(activity, sane(b->activity[i]));
    if (status)
        lo_message_add(status, "fiif", sane(b->end), clamp_int32(b->dropped_samples),
                       b->overruns, sane(b->load));
    told |= add(o, b->wall, BASE "/activity", activity, err);
    told |= add(o, b->wall, BASE "/overlap", one_number('i', b->overlap), err);
    told |= add(o, b->wall, BASE "/level", one_number('f', b->level_dbfs), err);
    told |= add(o, b->wall, BASE "/status", status, err);
    return told | flush_bundle(o, err);
}

static int send_hello(struct osc *o, double time, struct error *err)
{
    lo_message m = lo_message_new();
    int status;

    if (m)
        lo_message_add(m, "sii", ANTIPHON_VERSION, o->rate_hz, o->block_ms);
    status = add(o, o->wall + time, BASE "/hello", m, err);
    return status | flush_bundle(o, err);
}

static int osc_take(struct sink *s, const struct report *r, struct error *err)
{
    struct osc *o = s->own;
    int told = 0;

    switch (r->type) {
    case REPORT_START:
        o->rate_hz = r->start.rate_hz;
        o->block_ms = r->start.block_ms;
        o->wall = r->start.wall;
        return send_hello(o, 0.0, err);
    case REPORT_HELLO: return send_hello(o, r->time, err);
    case REPORT_SPEAKER_NEW:
    case REPORT_SPEAKER_ON:
    case REPORT_SPEAKER_OFF:
    case REPORT_SPEAKER_MERGE:
        if (o->n_pending == MAX_PENDING) // more than a block can bring: part of it goes ahead
            told = add_pending(o, r->speaker.wall, err) | flush_bundle(o, err);
        o->pending[o->n_pending++] = *r;
        return told;
    case REPORT_BLOCK: return add_block(o, &r->block, err);
    case REPORT_END: // turns that were open to the last; their block has gone already
        if (o->n_pending)
            told = add_pending(o, o->pending[o->n_pending - 1].speaker.wall, err);
        return told | flush_bundle(o, err);
    case REPORT_SPEAKER_MOVED: // what is over moves no light
    case REPORT_SPEAKER_NAME: // the next event of the speaker has the name
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
    osc_link_close(&o->link);
    free(o);
    s->own = NULL;
    return 0;
}

const struct sink_kind sink_osc = {"osc", 0, osc_open, osc_take, osc_close};
