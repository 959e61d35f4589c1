// SPDX-License-Identifier: MIT
/* track_known.c - named voices into the tracker and out of it. */
#include "stream/track_slots.h"

#include <stdio.h>

int tracker_enroll(struct tracker *t, const struct speakers *known, struct error *err)
{
    if (!t->settings.embedding && known->n)
        return fail(err, "this model has no speaker vectors, so it cannot know anybody again");
    for (int i = 0; i < known->n; i++) {
        const struct known_speaker *who = &known->list[i];
        int voice = voices_add(&t->voices, 0);
        if (voice < 0)
            return fail(err, "more than %d enrolled speakers", i);
        struct voice *v = &t->voices.list[voice];
        v->named = v->enrolled = 1;
        snprintf(v->name, sizeof(v->name), "%s", who->name);
        for (int k = 0; k < who->n; k++) {
            int at = voices_learn(&t->voices, voice, who->vectors + k * known->width,
                                  who->frames[k], -1, 0, 0);
            if (at < 0)
                return fail(err, "too many enrolled prototypes");
            t->voices.prototype[at].enrolled = 1;
        }
    }
    voices_settle(&t->voices);
    return 0;
}

int tracker_export(const struct tracker *t, struct speakers *known, struct error *err)
{
    const struct voices *v = &t->voices;

    for (int k = 0; k < VOICE_PROTOTYPES && known->width; k++) {
        const struct prototype *p = &v->prototype[k];
        if (p->voice < 0 || !v->list[p->voice].named)
            continue;
        struct known_speaker *who = speakers_get(known, v->list[p->voice].name, err);
        if (!who)
            return -1;
        speakers_add(known, who, v->prototype_raw + (size_t)k * (size_t)v->width, p->n);
    }
    return 0;
}
