// SPDX-License-Identifier: MIT
#include "stream/track.h"

#include "stream/frame.h"

#include <stdio.h>
#include <string.h>

static void forget(struct tracker *t)
{
    memset(t->id_of_local, 0, sizeof(t->id_of_local));
    t->n_speakers = 0;
}

void tracker_init(struct tracker *t, const struct decode_settings *settings, int n_local)
{
    decoder_init(&t->decoder, settings, n_local);
    forget(t);
}

static void tell(const struct tracker *t, enum report_type type, int id, int64_t start, int64_t end,
                 int64_t now, const struct track_output *out)
{
    struct report r = {.type = type, .time = frame_begin_seconds(now)};

    r.speaker.id = id;
    r.speaker.wall = t->wall;
    r.speaker.start = frame_begin_seconds(start);
    r.speaker.end = type == REPORT_SPEAKER_OFF ? frame_begin_seconds(end) : 0.0;
    memcpy(r.speaker.name, t->speaker[id - 1].name, REPORT_NAME_BYTES);
    out->put(out->user, &r);
}

/* The lasting speaker of a local one, who may be new. */
static int identify(struct tracker *t, const struct decode_event *e, int64_t now,
                    const struct track_output *out)
{
    int *id = &t->id_of_local[e->speaker];

    if (!*id) {
        *id = ++t->n_speakers;
        t->speaker[*id - 1].local = e->speaker;
        snprintf(t->speaker[*id - 1].name, REPORT_NAME_BYTES, "speaker %d", *id);
        tell(t, REPORT_SPEAKER_NEW, *id, e->start, 0, now, out);
    }
    return *id;
}

static void tell_events(struct tracker *t, const struct decode_event *events, int n, int64_t now,
                        const struct track_output *out)
{
    for (int i = 0; i < n; i++)
        tell(t, events[i].on ? REPORT_SPEAKER_ON : REPORT_SPEAKER_OFF,
             identify(t, &events[i], now, out), events[i].start, events[i].end, now, out);
}

void tracker_finish(struct tracker *t, int64_t end, const struct track_output *out)
{
    struct decode_event events[POWERSET_MAX_SPEAKERS];

    tell_events(t, events, decoder_finish(&t->decoder, events), end, out);
}

void tracker_reset(struct tracker *t, int64_t end, const struct track_output *out)
{
    struct report r = {.type = REPORT_RESET, .time = frame_begin_seconds(end)};

    tracker_finish(t, end, out);
    forget(t);
    out->put(out->user, &r);
}

int tracker_rename(struct tracker *t, int id, const char *name, int64_t frame,
                   const struct track_output *out)
{
    if (id < 1 || id > t->n_speakers)
        return 0;
    snprintf(t->speaker[id - 1].name, REPORT_NAME_BYTES, "%s", name);
    tell(t, REPORT_SPEAKER_NAME, id, frame, 0, frame, out);
    return 1;
}

void tracker_block(struct tracker *t, struct report_block *block, const float *prob, int64_t frame,
                   int n_frames, const struct track_output *out)
{
    struct decode_event events[POWERSET_MAX_SPEAKERS];
    int n_local = t->decoder.n_speakers, most = 0;
    float sum[POWERSET_MAX_SPEAKERS] = {0};

    t->wall = block->wall;
    for (int i = 0; i < n_frames; i++) {
        const float *row = prob + (int64_t)i * n_local;
        int speaking = 0, n = decoder_frame(&t->decoder, events, row, frame + i);
        tell_events(t, events, n, frame + i + 1, out);
        for (int s = 0; s < n_local; s++) {
            sum[s] += row[s];
            speaking += decoder_speaking(&t->decoder, s);
        }
        most = speaking > most ? speaking : most;
    }
    block->overlap = most;
    block->n_speakers = t->n_speakers;
    for (int id = 1; id <= t->n_speakers; id++) {
        int local = t->speaker[id - 1].local;
        block->activity[id - 1] = n_frames ? sum[local] / (float)n_frames : 0.0f;
        block->speaking[id - 1] = (uint8_t)decoder_speaking(&t->decoder, local);
    }
}
