// SPDX-License-Identifier: MIT
/* track_tell.c - what is told of lasting speakers: numbers, turns, who became whom.
 *
 * A voice has at most one turn open in reports, whichever slots speak as it. */
#include "stream/track_slots.h"

#include "stream/frame.h"

#include <stdio.h>
#include <string.h>

void track_tell(struct tracker *t, enum report_type type, int voice, int64_t start, int64_t end,
                int64_t now, const struct track_output *out)
{
    const struct voice *who = &t->voices.list[voice];
    struct report r = {.type = type, .time = frame_begin_seconds(now)};

    r.speaker.id = who->id;
    r.speaker.wall = t->wall;
    r.speaker.start = frame_begin_seconds(start);
    r.speaker.end = type == REPORT_SPEAKER_OFF ? frame_begin_seconds(end) : 0.0;
    memcpy(r.speaker.name, who->name, REPORT_NAME_BYTES);
    out->put(out->user, &r);
}

/* The next number; when all were given, the one that has been free longest. */
static int free_id(const struct tracker *t)
{
    int best = 0, most = t->settings.max_speakers;

    most = t->voices.n_used > most ? t->voices.n_used : most; // more may be enrolled
    if (t->n_ids < most)
        return t->n_ids + 1;
    for (int id = 1; id <= t->n_ids; id++) {
        if (t->voice_of_id[id - 1] == TRACK_NOBODY &&
            (!best || t->id_free_since[id - 1] < t->id_free_since[best - 1]))
            best = id;
    }
    return best; // there is one: as many numbers as voices
}

void track_tell_new(struct tracker *t, int voice, int64_t start, int64_t now,
                    const struct track_output *out)
{
    struct voice *who = &t->voices.list[voice];

    if (who->id)
        return;
    who->id = free_id(t);
    t->n_ids = who->id > t->n_ids ? who->id : t->n_ids;
    t->voice_of_id[who->id - 1] = voice;
    if (!who->named)
        snprintf(who->name, sizeof(who->name), "speaker %d", who->id);
    track_tell(t, REPORT_SPEAKER_NEW, voice, start, 0, now, out);
}

void track_tell_moved(struct tracker *t, const struct voices_move *move, int64_t now,
                      const struct track_output *out)
{
    struct report r = {.type = REPORT_SPEAKER_MOVED, .time = frame_begin_seconds(now)};
    const struct voice *to = &t->voices.list[move->to];

    r.speaker.merged_id = t->voices.list[move->from].id;
    if (!r.speaker.merged_id) // of whom nothing was told
        return;
    track_tell_new(t, move->to, move->since, now, out);
    r.speaker.id = to->id;
    r.speaker.wall = t->wall;
    r.speaker.start = frame_begin_seconds(move->since);
    r.speaker.end = frame_begin_seconds(move->frame + 1);
    memcpy(r.speaker.name, to->name, REPORT_NAME_BYTES);
    out->put(out->user, &r);
}

static void begin(struct tracker *t, int voice, int64_t start, int64_t now,
                  const struct track_output *out)
{
    track_tell_new(t, voice, start, now, out);
    if (t->turn[voice].open++)
        return;
    t->turn[voice].start = start;
    t->turn[voice].end = start + 1;
    track_tell(t, REPORT_SPEAKER_ON, voice, start, 0, now, out);
}

static void end(struct tracker *t, int voice, int64_t frame, int64_t now,
                const struct track_output *out)
{
    if (frame > t->turn[voice].end)
        t->turn[voice].end = frame;
    if (--t->turn[voice].open == 0)
        track_tell(t, REPORT_SPEAKER_OFF, voice, t->turn[voice].start, t->turn[voice].end, now,
                   out);
}

void track_tell_held(struct tracker *t, struct track_slot *s, int64_t now,
                     const struct track_output *out)
{
    for (int i = 0; i < s->n_held; i++) {
        if (t->turn[s->voice].open) // it speaks elsewhere already
            continue;
        begin(t, s->voice, s->held[i].start, now, out);
        end(t, s->voice, s->held[i].end, now, out);
    }
    s->n_held = 0;
    s->held_since = -1;
    if (s->open && s->told == TRACK_NOBODY) {
        s->told = s->voice;
        begin(t, s->told, s->start, now, out);
    }
}

void track_tell_switch(struct tracker *t, struct track_slot *s, int64_t frame, int64_t now,
                       const struct track_output *out)
{
    if (!s->open || s->told == TRACK_NOBODY || s->told == s->voice)
        return;
    end(t, s->told, frame, now, out);
    s->told = s->voice;
    s->start = frame;
    begin(t, s->told, frame, now, out);
}

static void hold(struct track_slot *s, int64_t end)
{
    if (s->n_held == TRACK_HELD) { // the two oldest as one
        s->held[0].end = s->held[1].end;
        memmove(&s->held[1], &s->held[2], (TRACK_HELD - 2) * sizeof(*s->held));
        s->n_held--;
    }
    s->held[s->n_held].start = s->start;
    s->held[s->n_held++].end = end;
}

void track_tell_event(struct tracker *t, const struct decode_event *e, int64_t now,
                      const struct track_output *out)
{
    struct track_slot *s = &t->slot[e->speaker];

    if (e->on) {
        s->open = 1;
        s->told = s->voice;
        s->start = e->start;
        if (s->told != TRACK_NOBODY)
            begin(t, s->told, s->start, now, out);
        else if (s->held_since < 0)
            s->held_since = now;
    } else if (s->open) {
        s->open = 0;
        if (s->told != TRACK_NOBODY)
            end(t, s->told, e->end, now, out);
        else
            hold(s, e->end);
        s->told = TRACK_NOBODY;
    }
}

void track_voice_gone(struct tracker *t, int voice, int to, int64_t now,
                      const struct track_output *out)
{
    int id = t->voices.list[voice].id;

    for (int i = 0; i < t->settings.n_local; i++) {
        struct track_slot *s = &t->slot[i];
        if (s->voice == voice)
            s->voice = to;
        s->was = s->was == voice ? to : s->was;
        if (s->open && s->told == voice) {
            end(t, voice, t->frame > s->start ? t->frame : s->start + 1, now, out);
            s->told = to;
            s->start = t->frame > s->start ? t->frame : s->start + 1;
            if (to != TRACK_NOBODY)
                begin(t, to, s->start, now, out);
        }
    }
    t->turn[voice].open = 0;
    if (id) {
        t->voice_of_id[id - 1] = TRACK_NOBODY;
        t->id_free_since[id - 1] = t->frame;
    }
}
