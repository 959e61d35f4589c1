// SPDX-License-Identifier: MIT
#include "stream/score.h"

#include "model/hungarian.h"

#include <math.h>
#include <stdlib.h>

static const double FRAME_STEP = 0.01; // of dscore's frames, in seconds

/* What scoring one recording needs; zeroed, it can be released. */
struct job {
    struct turn *turns[2]; // merged: the reference's and the system's
    size_t n_turns[2];
    struct turn *regions;
    size_t n_regions;
    int n_ref, n_sys;      // speakers
    double *shared;        // [n_ref, n_sys] time both speak within the regions
    double *ref_time, *sys_time; // [n_ref], [n_sys] within the regions
    double *cost;          // [n_ref, n_sys]
    int *map;              // [n_ref]
};

int64_t score_nanoseconds(double seconds)
{
    return llround(seconds * 1e9);
}

/* The first of the frames at 0, 0.01 .. that is not before a time, as numpy's
 * searchsorted finds it among 0.01 * i. */
static int64_t frame_at(double seconds)
{
    int64_t i = (int64_t)ceil(seconds / FRAME_STEP);

    while (i > 0 && FRAME_STEP * (double)(i - 1) >= seconds)
        i--;
    while (FRAME_STEP * (double)i < seconds)
        i++;
    return i;
}

/* Without a map: from the first to the last boundary of both sides. */
static struct turn *span_of(struct turn *const turns[2], const size_t n_turns[2], size_t *n,
                            struct error *err)
{
    struct turn *span = calloc(1, sizeof(*span));

    if (!span) {
        fail(err, "out of memory");
        return NULL;
    }
    *n = 0;
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < n_turns[side]; i++) {
            const struct turn *t = &turns[side][i];
            span->start = *n && span->start < t->start ? span->start : t->start;
            span->end = *n && span->end > t->end ? span->end : t->end;
            *n = 1;
        }
    }
    return span;
}

static void *allocate(size_t n, size_t m, size_t size)
{
    return calloc(n * m + 1, size);
}

static int job_open(struct job *j, const struct recording *reference,
                    const struct recording *system, const struct recording *uem,
                    struct error *err)
{
    size_t n_ref = reference ? (size_t)reference->n_speakers : 0;
    size_t n_sys = system ? (size_t)system->n_speakers : 0;

    *j = (struct job){.n_ref = (int)n_ref, .n_sys = (int)n_sys};
    j->turns[0] = recording_merged(reference, &j->n_turns[0], err);
    j->turns[1] = recording_merged(system, &j->n_turns[1], err);
    if (!j->turns[0] || !j->turns[1])
        return -1;
    j->regions = uem ? recording_merged(uem, &j->n_regions, err)
                     : span_of(j->turns, j->n_turns, &j->n_regions, err);
    if (!j->regions)
        return -1;
    j->shared = allocate(n_ref, n_sys, sizeof(double));
    j->cost = allocate(n_ref, n_sys, sizeof(double));
    j->ref_time = allocate(n_ref, 1, sizeof(double));
    j->sys_time = allocate(n_sys, 1, sizeof(double));
    j->map = allocate(n_ref, 1, sizeof(int));
    if (!j->shared || !j->cost || !j->ref_time || !j->sys_time || !j->map)
        return fail(err, "out of memory");
    return 0;
}

static void job_close(struct job *j)
{
    free(j->turns[0]);
    free(j->turns[1]);
    free(j->regions);
    free(j->shared);
    free(j->cost);
    free(j->ref_time);
    free(j->sys_time);
    free(j->map);
}

/* Puts all on a sweep, whose unit `unit` makes of seconds; nothing is after `last`. */
static int fill_sweep(struct sweep *s, const struct job *j, int64_t (*unit)(double), int64_t last,
                      struct error *err)
{
    for (int side = 0; side < 2; side++) {
        enum sweep_kind kind = side ? SWEEP_SYSTEM : SWEEP_REFERENCE;
        for (size_t i = 0; i < j->n_turns[side]; i++) {
            const struct turn *t = &j->turns[side][i];
            if (sweep_add(s, kind, t->speaker, unit(t->start), unit(t->end), err))
                return -1;
        }
    }
    for (size_t i = 0; i < j->n_regions; i++) {
        int64_t end = unit(j->regions[i].end);
        if (sweep_add(s, SWEEP_REGION, 0, unit(j->regions[i].start), end < last ? end : last,
                      err))
            return -1;
    }
    return 0;
}

static int add_collars(struct sweep *s, const struct job *j, double collar_seconds,
                       struct error *err)
{
    int64_t collar = score_nanoseconds(collar_seconds);

    for (size_t i = 0; i < j->n_turns[0]; i++) {
        int64_t start = score_nanoseconds(j->turns[0][i].start);
        int64_t end = score_nanoseconds(j->turns[0][i].end);
        if (sweep_add(s, SWEEP_COLLAR, 0, start - collar, start + collar, err) ||
            sweep_add(s, SWEEP_COLLAR, 0, end - collar, end + collar, err))
            return -1;
    }
    return 0;
}

/* How long each speaks, and each pair together, within the regions. */
static void add_times(struct job *j, struct sweep *s)
{
    for (int i = 0; i < j->n_ref * j->n_sys; i++)
        j->shared[i] = 0.0;
    for (int i = 0; i < j->n_ref; i++)
        j->ref_time[i] = 0.0;
    for (int i = 0; i < j->n_sys; i++)
        j->sys_time[i] = 0.0;
    for (sweep_start(s); sweep_next(s);) {
        double length = (double)(s->end - s->begin); // whole numbers: their sums are exact
        if (!s->region)
            continue;
        for (int i = 0; i < s->reference.n; i++) {
            int ref = s->reference.speaking[i];
            j->ref_time[ref] += length;
            for (int k = 0; k < s->system.n; k++)
                j->shared[ref * j->n_sys + s->system.speaking[k]] += length;
        }
        for (int k = 0; k < s->system.n; k++)
            j->sys_time[s->system.speaking[k]] += length;
    }
}

static int map_for_der(struct job *j, struct error *err)
{
    for (int i = 0; i < j->n_ref * j->n_sys; i++)
        j->cost[i] = -j->shared[i];
    if (hungarian(j->map, j->cost, j->n_ref, j->n_sys, err))
        return -1;
    for (int i = 0; i < j->n_ref; i++) { // who never meet are not mapped
        if (j->map[i] >= 0 && !(j->shared[i * j->n_sys + j->map[i]] > 0.0))
            j->map[i] = -1;
    }
    return 0;
}

static int joined(const struct sweep *s, const int *map)
{
    int n = 0;

    for (int i = 0; i < s->reference.n; i++) {
        int sys = map[s->reference.speaking[i]];
        n += sys >= 0 && s->system.depth[sys] > 0;
    }
    return n;
}

static void add_errors(struct score *score, struct sweep *s, const int *map, int skip_overlap)
{
    int64_t scored = 0, missed = 0, false_alarm = 0, confusion = 0;

    for (sweep_start(s); sweep_next(s);) {
        int ref = s->reference.n, sys = s->system.n, least = ref < sys ? ref : sys;
        int64_t length = s->end - s->begin;
        if (!s->region || s->collar || (skip_overlap && ref > 1))
            continue;
        scored += length * ref;
        missed += length * (ref - least);
        false_alarm += length * (sys - least);
        confusion += length * (least - joined(s, map));
    }
    score->scored = (double)scored * 1e-9;
    score->missed = (double)missed * 1e-9;
    score->false_alarm = (double)false_alarm * 1e-9;
    score->confusion = (double)confusion * 1e-9;
}

/* In percent. Without anything to score, an error is wholly wrong: dscore's rule. */
static double error_rate(const struct score *s)
{
    double errors = s->missed + s->false_alarm + s->confusion;

    if (s->scored > 0.0)
        return 100.0 * errors / s->scored;
    return errors > 0.0 ? 100.0 : 0.0;
}

static int score_der(struct score *score, struct job *j, const struct score_settings *settings,
                     struct error *err)
{
    struct sweep s;
    int status = -1;

    if (sweep_open(&s, j->n_ref, j->n_sys, err) == 0 &&
        fill_sweep(&s, j, score_nanoseconds, INT64_MAX, err) == 0 &&
        add_collars(&s, j, settings->collar_seconds, err) == 0) {
        add_times(j, &s);
        status = map_for_der(j, err);
        if (status == 0)
            add_errors(score, &s, j->map, settings->skip_overlap);
    }
    sweep_close(&s);
    for (int i = 0; i < j->n_ref; i++)
        score->n_reference += j->ref_time[i] > 0.0;
    for (int i = 0; i < j->n_sys; i++)
        score->n_system += j->sys_time[i] > 0.0;
    score->der = error_rate(score);
    return status;
}

/* 1 - shared / united time of a pair. */
static double jaccard_error(const struct job *j, int ref, int sys)
{
    double shared = j->shared[ref * j->n_sys + sys];
    double united = j->ref_time[ref] + j->sys_time[sys] - shared;

    return united > 0.0 ? 1.0 - shared / united : 1.0;
}

/* Who does not speak in the regions does not count; of the system's speakers
 * it would change nothing. present: in nanoseconds, before the frames. */
static int add_jaccard_errors(struct score *score, struct job *j, const double *present,
                              struct error *err)
{
    int *map, n = 0;

    for (int i = 0; i < j->n_ref; i++) {
        if (!(present[i] > 0.0))
            continue;
        for (int k = 0; k < j->n_sys; k++)
            j->cost[n * j->n_sys + k] = jaccard_error(j, i, k);
        n++;
    }
    map = allocate((size_t)n, 1, sizeof(*map));
    if (!map)
        return fail(err, "out of memory");
    int status = hungarian(map, j->cost, n, j->n_sys, err);
    for (int i = 0; status == 0 && i < n; i++)
        score->jer_sum += map[i] >= 0 ? 100.0 * j->cost[i * j->n_sys + map[i]] : 100.0;
    free(map);
    return status;
}

static double jer_of(const struct score *s)
{
    if (s->n_reference > 0)
        return s->jer_sum / s->n_reference;
    return s->n_system > 0 ? 100.0 : 0.0;
}

static int score_jer(struct score *score, struct job *j, struct error *err)
{
    double *present = allocate((size_t)j->n_ref, 1, sizeof(*present)), end = 0.0;
    struct sweep s = {0};
    int status = present ? 0 : fail(err, "out of memory");

    for (int i = 0; present && i < j->n_ref; i++)
        present[i] = j->ref_time[i];
    for (size_t i = 0; i < j->n_regions; i++)
        end = j->regions[i].end > end ? j->regions[i].end : end;
    if (status == 0)
        status = sweep_open(&s, j->n_ref, j->n_sys, err);
    if (status == 0) // a frame that does not end within the last region is none
        status = fill_sweep(&s, j, frame_at, (int64_t)(end / FRAME_STEP), err);
    if (status == 0) {
        add_times(j, &s);
        status = add_jaccard_errors(score, j, present, err);
    }
    score->jer = jer_of(score);
    sweep_close(&s);
    free(present);
    return status;
}

int score_recording(struct score *score, int *map, const struct recording *reference,
                    const struct recording *system, const struct recording *uem,
                    const struct score_settings *settings, struct error *err)
{
    struct job j;
    int status = job_open(&j, reference, system, uem, err);

    *score = (struct score){0};
    if (status == 0)
        status = score_der(score, &j, settings, err);
    for (int i = 0; status == 0 && map && i < j.n_ref; i++)
        map[i] = j.map[i];
    if (status == 0)
        status = score_jer(score, &j, err);
    job_close(&j);
    return status;
}

void score_pool(struct score *total, const struct score *one)
{
    total->scored += one->scored;
    total->missed += one->missed;
    total->false_alarm += one->false_alarm;
    total->confusion += one->confusion;
    total->jer_sum += one->jer_sum;
    total->n_reference += one->n_reference;
    total->n_system += one->n_system;
    total->der = error_rate(total);
    total->jer = jer_of(total);
}

int score_sweep(struct sweep *s, const struct recording *reference,
                const struct recording *system, const struct recording *uem,
                double collar_seconds, struct error *err)
{
    struct job j;
    int status = job_open(&j, reference, system, uem, err);

    if (status == 0)
        status = sweep_open(s, j.n_ref, j.n_sys, err);
    else
        *s = (struct sweep){0};
    if (status == 0)
        status = fill_sweep(s, &j, score_nanoseconds, INT64_MAX, err);
    if (status == 0)
        status = add_collars(s, &j, collar_seconds, err);
    job_close(&j);
    return status;
}
