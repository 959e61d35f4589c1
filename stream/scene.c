// SPDX-License-Identifier: MIT
#include "stream/scene.h"

#include <string.h>

void scene_init(struct scene *s)
{
    memset(s, 0, sizeof(*s));
}

static struct scene_speaker *speaker(struct scene *s, int id)
{
    if (id < 1 || id > REPORT_MAX_SPEAKERS)
        return NULL;
    if (id > s->n_speakers)
        s->n_speakers = id;
    return &s->speaker[id - 1];
}

static void take_speaker(struct scene *s, const struct report *r)
{
    struct scene_speaker *who = speaker(s, r->speaker.id), *gone;

    if (!who)
        return;
    memcpy(who->name, r->speaker.name, sizeof(who->name));
    if (r->type == REPORT_SPEAKER_ON) {
        who->speaking = 1;
        who->turn_start = r->speaker.start;
    } else if (r->type == REPORT_SPEAKER_OFF) {
        who->speaking = 0;
        who->talk_seconds += r->speaker.end - r->speaker.start;
        who->last_heard = r->speaker.end;
    } else if (r->type == REPORT_SPEAKER_MERGE && (gone = speaker(s, r->speaker.merged_id))) {
        who->talk_seconds += gone->talk_seconds;
        gone->gone = 1;
        gone->speaking = 0;
    }
}

static void take_block(struct scene *s, const struct report_block *b)
{
    int column = (int)(b->number % SCENE_HISTORY);

    s->block = *b;
    s->seconds = b->end;
    for (int i = 0; i < REPORT_MAX_SPEAKERS; i++) {
        int known = i < b->n_speakers;
        s->activity[i][column] = known ? (uint8_t)(b->activity[i] * 255.0f + 0.5f) : 0;
        s->spoke[i][column] = known && b->speaking[i];
        if (known && b->speaking[i])
            s->speaker[i].last_heard = b->end;
    }
}

void scene_take(struct scene *s, const struct report *r)
{
    switch (r->type) {
    case REPORT_START: s->start = r->start; break;
    case REPORT_SPEAKER_NEW:
    case REPORT_SPEAKER_ON:
    case REPORT_SPEAKER_OFF:
    case REPORT_SPEAKER_MERGE:
    case REPORT_SPEAKER_NAME: take_speaker(s, r); break;
    case REPORT_BLOCK: take_block(s, &r->block); break;
    case REPORT_RESET:
        s->n_speakers = 0;
        memset(s->speaker, 0, sizeof(s->speaker));
        memset(s->activity, 0, sizeof(s->activity));
        memset(s->spoke, 0, sizeof(s->spoke));
        break;
    case REPORT_END: s->ended = 1; break;
    case REPORT_SPEAKER_MOVED:
    case REPORT_HELLO: break;
    }
}

double scene_talk_seconds(const struct scene *s, int i)
{
    const struct scene_speaker *who = &s->speaker[i];
    double open = who->speaking ? s->seconds - who->turn_start : 0.0;

    return who->talk_seconds + (open > 0.0 ? open : 0.0);
}

/* Number of speakers heard later than i; of equals the newer counts as later. */
static int later(const struct scene *s, int i)
{
    int n = 0;

    for (int k = 0; k < s->n_speakers; k++) {
        double a = s->speaker[k].last_heard, b = s->speaker[i].last_heard;
        n += !s->speaker[k].gone && k != i && (a > b || (a == b && k > i));
    }
    return n;
}

int scene_rows(const struct scene *s, int *rows, int n, int *hidden)
{
    int shown = 0;

    *hidden = 0;
    for (int i = 0; i < s->n_speakers; i++) {
        if (s->speaker[i].gone)
            continue;
        if (later(s, i) < n)
            rows[shown++] = i;
        else
            ++*hidden;
    }
    return shown;
}
