// SPDX-License-Identifier: MIT
/* turn_overlap.c - how much overlap a setting gives, and which gives so much: by trial. */
#include "prune/draw.h"
#include "prune/turn_taking.h"
#include "stream/turns.h"

#include <stdio.h>
#include <string.h>

static int add_plan(struct turns *t, const struct turn_plan *plan, int number, struct error *err)
{
    char name[32], speaker[32];

    snprintf(name, sizeof(name), "%d", number);
    for (int i = 0; i < plan->n; i++) {
        const struct plan_turn *p = &plan->turns[i];
        snprintf(speaker, sizeof(speaker), "%d", p->speaker);
        if (turns_add(t, (struct field){name, strlen(name)},
                      (struct field){speaker, strlen(speaker)}, p->start, p->end, err))
            return -1;
    }
    return 0;
}

/* Share of the speech of about four hours of plans; always the same ones. */
static int measure(double *share, const struct turn_settings *s, int min_speakers,
                   int max_speakers, double seconds, struct error *err)
{
    int n = seconds < 14400.0 ? (int)(14400.0 / seconds) : 1, status = 0;
    struct turn_plan plan = {0};
    struct turns t = {0};
    struct turn_stats stats = {0};
    struct random rng;

    random_init(&rng, 1);
    n = n > 400 ? 400 : n < 12 ? 12 : n;
    for (int i = 0; i < n && status == 0; i++) {
        int speakers = min_speakers + i % (max_speakers - min_speakers + 1);
        status = turn_plan_draw(&plan, s, speakers, seconds, &rng, err);
        if (status == 0)
            status = add_plan(&t, &plan, i, err);
    }
    if (status == 0)
        status = turn_stats_of(&stats, &t, NULL, err);
    *share = stats.speech > 0.0 ? stats.overlap / stats.speech : 0.0;
    turn_plan_release(&plan);
    turns_release(&t);
    return status;
}

int turn_overlap_for(struct turn_settings *s, double share, int min_speakers, int max_speakers,
                     double seconds, struct error *err)
{
    double got, low = 0.0, high = 16.0;

    s->overlap = (float)high;
    if (measure(&got, s, min_speakers, max_speakers, seconds, err))
        return -1;
    if (got < share)
        return fail(err, "an overlap of %.1f %% of the speech: %d to %d speakers with such turns "
                    "reach %.1f %%", 100.0 * share, min_speakers, max_speakers, 100.0 * got);
    for (int i = 0; i < 12; i++) {
        s->overlap = (float)(0.5 * (low + high));
        if (measure(&got, s, min_speakers, max_speakers, seconds, err))
            return -1;
        if (got < share)
            low = s->overlap;
        else
            high = s->overlap;
    }
    s->overlap = share > 0.0 ? s->overlap : 0.0f;
    return 0;
}
