// SPDX-License-Identifier: MIT
#include "tests/track_measure.h"

#include <stdlib.h>
#include <string.h>

static const double FRAME = 0.02;
enum { STEADY = 5 };

/* Who is alone in each frame: a speaker, -1 nobody, -2 several. */
static int *alone(const struct recording *r, int n_frames)
{
    int *who = malloc(((size_t)n_frames + 1) * sizeof(*who));

    for (int t = 0; who && t < n_frames; t++)
        who[t] = -1;
    for (size_t i = 0; who && r && i < r->n_turns; i++) {
        int from = (int)(r->turns[i].start / FRAME + 0.5), to = (int)(r->turns[i].end / FRAME + 0.5);
        for (int t = from; t < to && t < n_frames; t++)
            who[t] = who[t] == -1 || who[t] == r->turns[i].speaker ? r->turns[i].speaker : -2;
    }
    return who;
}

static int count_switches(const int *ref, const int *sys, int n_frames, int n_reference)
{
    int n = 0, *last = malloc((size_t)(n_reference + 1) * sizeof(*last));
    int *candidate = calloc((size_t)n_reference + 1, sizeof(*candidate));
    int *run = calloc((size_t)n_reference + 1, sizeof(*run));

    for (int k = 0; last && k < n_reference; k++)
        last[k] = -1;
    for (int t = 0; last && candidate && run && t < n_frames; t++) {
        int r = ref[t], s = sys[t];
        if (r < 0 || s < 0)
            continue;
        run[r] = s == candidate[r] ? run[r] + 1 : 1;
        candidate[r] = s;
        if (run[r] != STEADY || s == last[r])
            continue;
        n += last[r] >= 0;
        last[r] = s;
    }
    free(last);
    free(candidate);
    free(run);
    return n;
}

/* Speakers with 5 s of speech or more. */
static int count_speakers(const struct recording *r)
{
    int n = 0;

    for (int k = 0; r && k < r->n_speakers; k++) {
        double seconds = 0.0;
        for (size_t i = 0; i < r->n_turns; i++)
            seconds += r->turns[i].speaker == k ? r->turns[i].end - r->turns[i].start : 0.0;
        n += seconds >= 5.0;
    }
    return n;
}

int measure_recording(struct measure *m, const struct recording *reference,
                      const struct recording *system, const struct recording *uem,
                      struct error *err)
{
    struct score_settings settings = {0.0, 0};
    double end = 0.0;
    int *ref, *sys, n_frames;

    *m = (struct measure){0};
    if (score_recording(&m->score, NULL, reference, system, uem, &settings, err))
        return -1;
    for (size_t i = 0; i < reference->n_turns; i++)
        end = reference->turns[i].end > end ? reference->turns[i].end : end;
    n_frames = (int)(end / FRAME) + 1;
    ref = alone(reference, n_frames);
    sys = alone(system, n_frames);
    if (ref && sys)
        m->n_switches = count_switches(ref, sys, n_frames, reference->n_speakers);
    free(ref);
    free(sys);
    m->n_speakers = count_speakers(system);
    m->n_reference = count_speakers(reference);
    m->hours = end / 3600.0;
    return ref && sys ? 0 : fail(err, "out of memory");
}

void measure_pool(struct measure *total, const struct measure *one)
{
    score_pool(&total->score, &one->score);
    total->n_switches += one->n_switches;
    total->n_speakers += one->n_speakers;
    total->n_reference += one->n_reference;
    total->hours += one->hours;
}
