// SPDX-License-Identifier: MIT
/* turn_fit.c - the turn-taking model and statistics of real meetings, from their turns. */
#include "prune/turn_taking.h"

#include "stream/turns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct values {
    double *at;
    size_t n, room;
};

static int push(struct values *v, double x, struct error *err)
{
    if (v->n == v->room) {
        size_t room = v->room ? 2 * v->room : 256;
        double *at = realloc(v->at, room * sizeof(*at));
        if (!at)
            return fail(err, "out of memory for %zu turns", room);
        v->at = at;
        v->room = room;
    }
    v->at[v->n++] = x;
    return 0;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The value below which that share lies; v is sorted. */
static double quantile(const struct values *v, double share)
{
    double at = share * (double)(v->n - 1);
    size_t i = (size_t)at, next = i + 1 < v->n ? i + 1 : i;

    return v->n ? v->at[i] + (v->at[next] - v->at[i]) * (at - (double)i) : 0.0;
}

static void sort(struct values *v)
{
    if (v->n)
        qsort(v->at, v->n, sizeof(*v->at), ascending);
}

static struct quantiles table(struct values *v)
{
    struct quantiles q;

    sort(v);
    for (int i = 0; i < QUANTILES; i++)
        q.at[i] = (float)quantile(v, quantile_shares[i]);
    return q;
}

struct measures {
    struct values turn, change, same, aside, talk, all;
    size_t n_same, n_changes, n_returns, n_triples;
    double main_seconds, seconds, speech, overlap, speakers;
    int n_recordings;
};

static void measures_release(struct measures *m)
{
    free(m->turn.at);
    free(m->change.at);
    free(m->same.at);
    free(m->aside.at);
    free(m->talk.at);
    free(m->all.at);
}

static int by_start(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->end != y->end)
        return x->end > y->end ? -1 : 1;
    return x->speaker - y->speaker;
}

/* Marks the turns that lie wholly in another speaker's by a speaker of -1. The
 * two latest ends so far, of two speakers, are all one must know. */
static void find_asides(struct turn *t, size_t n)
{
    double end[2] = {-1.0, -1.0};
    int who[2] = {-1, -1};

    for (size_t i = 0; i < n; i++) {
        int speaker = t[i].speaker;
        double cover = who[0] == speaker ? end[1] : end[0], until = t[i].end;
        if (cover >= until)
            t[i].speaker = -1;
        if (who[0] == speaker) {
            end[0] = until > end[0] ? until : end[0];
        } else if (until > end[0]) {
            end[1] = end[0], who[1] = who[0];
            end[0] = until, who[0] = speaker;
        } else if (until > end[1]) {
            end[1] = until, who[1] = speaker;
        }
    }
}

static int measure_chain(struct measures *m, const struct turn *t, size_t n, struct error *err)
{
    int now = -1, before = -1;
    double end = 0.0;

    for (size_t i = 0; i < n; i++) {
        double gap = t[i].start - end;
        if (t[i].speaker < 0) {
            if (push(&m->aside, t[i].end - t[i].start, err))
                return -1;
            continue;
        }
        m->main_seconds += t[i].end - t[i].start;
        if (push(&m->turn, t[i].end - t[i].start, err))
            return -1;
        if (now >= 0 && t[i].speaker == now) {
            m->n_same++;
            if (push(&m->same, gap, err))
                return -1;
        } else if (now >= 0) {
            m->n_changes++;
            m->n_triples += before >= 0;
            m->n_returns += before == t[i].speaker;
            if (push(&m->change, gap, err))
                return -1;
        }
        if (t[i].speaker != now) {
            before = now;
            now = t[i].speaker;
        }
        end = t[i].end;
    }
    return 0;
}

/* How much longer than the (geometric) mean speaker each one speaks. */
static int measure_talk(struct measures *m, const struct turn *t, size_t n, int n_speakers,
                        struct error *err)
{
    double *seconds = calloc((size_t)n_speakers + 1, sizeof(*seconds)), mean = 0.0;
    int count = 0, status = 0;

    if (!seconds)
        return fail(err, "out of memory for %d speakers", n_speakers);
    for (size_t i = 0; i < n; i++)
        seconds[t[i].speaker] += t[i].end - t[i].start;
    for (int i = 0; i < n_speakers; i++) {
        if (seconds[i] > 0.0) {
            mean += log(seconds[i]);
            count++;
        }
    }
    m->speakers += count;
    for (int i = 0; i < n_speakers && status == 0; i++) {
        if (seconds[i] > 0.0)
            status = push(&m->talk, log(seconds[i]) - mean / count, err);
    }
    free(seconds);
    return status;
}

static int measure_time(struct measures *m, const struct turn *t, size_t n, double length,
                        struct error *err)
{
    struct values start = {0}, end = {0};
    double last = 0.0;
    int status = 0;
    size_t k = 0;

    for (size_t i = 0; i < n && status == 0; i++)
        status = push(&start, t[i].start, err) || push(&end, t[i].end, err) ||
                 push(&m->all, t[i].end - t[i].start, err) ? -1 : 0;
    sort(&start);
    sort(&end);
    for (size_t i = 0; status == 0 && k < end.n;) { // i have begun, k of them have ended
        double now = i < start.n && start.at[i] <= end.at[k] ? start.at[i] : end.at[k];
        m->speech += i > k ? now - last : 0.0;
        m->overlap += i > k + 1 ? now - last : 0.0;
        last = now;
        if (i < start.n && start.at[i] <= end.at[k])
            i++;
        else
            k++;
    }
    m->seconds += length > last ? length : last;
    free(start.at);
    free(end.at);
    return status;
}

static int measure(struct measures *m, const struct recording *r, double length,
                   struct error *err)
{
    size_t n;
    struct turn *t = recording_merged(r, &n, err);
    int status;

    if (!t)
        return -1;
    qsort(t, n, sizeof(*t), by_start);
    m->n_recordings++;
    status = measure_talk(m, t, n, r->n_speakers, err);
    if (status == 0)
        status = measure_time(m, t, n, length, err);
    find_asides(t, n);
    if (status == 0)
        status = measure_chain(m, t, n, err);
    free(t);
    return status;
}

static int measure_all(struct measures *m, const struct turns *ref, const struct turns *uem,
                       struct error *err)
{
    for (int i = 0; i < ref->n; i++) {
        const struct recording *map = uem ? turns_find(uem, ref->list[i].name) : NULL;
        double length = 0.0;
        for (size_t k = 0; map && k < map->n_turns; k++)
            length = map->turns[k].end > length ? map->turns[k].end : length;
        if (measure(m, &ref->list[i], length, err))
            return -1;
    }
    return 0;
}

static double deviation(const struct values *v)
{
    double sum = 0.0;

    for (size_t i = 0; i < v->n; i++)
        sum += v->at[i] * v->at[i];
    return v->n ? sqrt(sum / (double)v->n) : 0.0;
}

int turn_model_fit(struct turn_model *model, const struct turns *ref, struct error *err)
{
    enum { LEAST = 20 };
    struct measures m = {0};
    int status = measure_all(&m, ref, NULL, err);

    if (status == 0 && (m.change.n < LEAST || m.same.n < LEAST || m.aside.n < LEAST))
        status = fail(err, "%zu changes of speaker, %zu returns of one, %zu turns inside another: "
                      "%d of each at least are needed to fit turn-taking", m.change.n, m.same.n,
                      m.aside.n, LEAST);
    if (status == 0) {
        *model = (struct turn_model){
            .turn = table(&m.turn), .change = table(&m.change), .same = table(&m.same),
            .aside = table(&m.aside),
            .p_same = (float)m.n_same / (float)(m.n_same + m.n_changes),
            .p_return = m.n_triples ? (float)m.n_returns / (float)m.n_triples : 0.0f,
            .asides_per_s = (float)((double)m.aside.n / m.main_seconds),
            .talk_sd = (float)deviation(&m.talk),
        };
    }
    measures_release(&m);
    return status;
}

int turn_stats_of(struct turn_stats *s, const struct turns *ref, const struct turns *uem,
                  struct error *err)
{
    struct measures m = {0};
    int status = measure_all(&m, ref, uem, err);

    *s = (struct turn_stats){
        .n_recordings = m.n_recordings, .n_turns = (int)m.all.n, .seconds = m.seconds,
        .speech = m.speech, .overlap = m.overlap,
        .speakers = m.n_recordings ? m.speakers / m.n_recordings : 0.0,
        .turns_per_minute = m.seconds > 0.0 ? 60.0 * (double)m.all.n / m.seconds : 0.0,
    };
    sort(&m.all);
    sort(&m.change);
    for (int i = 0; i < 3; i++) {
        s->turn[i] = quantile(&m.all, 0.25 * (i + 1));
        s->gap[i] = quantile(&m.change, 0.25 * (i + 1));
    }
    measures_release(&m);
    return status;
}
