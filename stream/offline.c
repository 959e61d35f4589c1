// SPDX-License-Identifier: MIT
#include "stream/offline.h"

#include "stream/aggregate.h"
#include "stream/known.h"
#include "stream/reconstruct.h"

#include <math.h>
#include <stdlib.h>

struct offline_settings offline_defaults(enum clustering_method method, int compat)
{
    return (struct offline_settings){
        .clustering = clustering_defaults(method, compat),
        .binarize = binarize_defaults(compat),
        .centred = method == CLUSTERING_VOICES,
        .compat = compat,
    };
}

static int add_regions(struct regions *r, const struct reconstruction *who,
                       const struct binarize_settings *s, struct error *err)
{
    float *y = malloc((size_t)who->n_frames * sizeof(float));
    int status = y ? 0 : fail(err, "out of memory");

    for (int k = 0; status == 0 && k < who->n_columns; k++) {
        for (int64_t t = 0; t < who->n_frames; t++)
            y[t] = who->speaks[(size_t)t * (size_t)who->n_columns + (size_t)k];
        status = binarize(r, k, y, who->n_frames, s, err);
    }
    free(y);
    return status;
}

/* Ends what lies beyond the recording, and numbers by first appearance; who, of those there are,
 * or NULL, goes by the new numbers, too. */
static int tidy(struct regions *r, int *n_speakers, int *who, double seconds, struct error *err)
{
    size_t columns = (size_t)*n_speakers;
    int *number = malloc(2 * columns * sizeof(int) + 1), *was, n = 0;
    size_t to = 0;

    if (!number)
        return fail(err, "out of memory");
    was = number + columns; // who, in the new order
    for (size_t i = 0; i < r->n; i++) {
        r->list[i].end = r->list[i].end < seconds ? r->list[i].end : seconds;
        if (r->list[i].start < r->list[i].end)
            r->list[to++] = r->list[i];
    }
    r->n = to;
    for (int k = 0; k < *n_speakers; k++)
        number[k] = -1;
    for (;;) {
        const struct turn *first = NULL;
        for (size_t i = 0; i < r->n; i++) {
            const struct turn *t = &r->list[i];
            if (number[t->speaker] < 0 && (!first || t->start < first->start))
                first = t;
        }
        if (!first)
            break;
        was[n] = who ? who[first->speaker] : -1;
        number[first->speaker] = n++;
    }
    for (int k = 0; who && k < n; k++)
        who[k] = was[k];
    for (size_t i = 0; i < r->n; i++)
        r->list[i].speaker = number[r->list[i].speaker];
    *n_speakers = n;
    free(number);
    return 0;
}

/* *who [clusters] is each one's place among the known, or -1. */
static int find_known(int **who, const struct clustering *c, const struct heard *h,
                      const struct offline_settings *s, struct error *err)
{
    *who = malloc((size_t)c->n_clusters * sizeof(int) + 1);
    if (!*who)
        return fail(err, "out of memory");
    return known_find(*who, c->n_clusters, c->label, h, s->known, s->known_threshold, err);
}

static int run(struct regions *r, int *n_speakers, int **who_known, const struct heard *h,
               const struct windows *w, const struct offline_settings *s, const double *weights,
               uint8_t *count, int64_t n_frames, struct error *err)
{
    struct clustering c;
    struct reconstruction who;
    int most = s->clustering.max_speakers, status;

    for (int64_t t = 0; most && t < n_frames; t++)
        count[t] = count[t] < most ? count[t] : (uint8_t)most;
    if (clustering_run(&c, h, &s->clustering, err))
        return -1;
    status = reconstruct(&who, h, w, c.label, count, weights, s->compat, err);
    if (status == 0 && s->known && find_known(who_known, &c, h, s, err)) {
        reconstruction_release(&who);
        status = -1;
    }
    clustering_release(&c);
    if (status)
        return -1;
    *n_speakers = who.n_columns;
    if (who.n_columns)
        status = add_regions(r, &who, &s->binarize, err);
    else if (s->compat)
        status = fail(err, "nobody speaks: DiariZen stops here with an error, and so does "
                           "--compat diarizen");
    reconstruction_release(&who);
    return status;
}

/* A half at a window's ends to three halves in its middle; to be freed, NULL: no memory. */
static double *weights_from_context(int n_frames)
{
    const double at_ends = 0.5, pi = 3.14159265358979323846;
    double *weights = malloc((size_t)n_frames * sizeof(double));

    for (int t = 0; weights && t < n_frames; t++)
        weights[t] = at_ends + sin(pi * (t + 0.5) / n_frames);
    return weights;
}

int offline_run(struct regions *r, int *n_speakers, int **who, const struct heard *h,
                const struct windows *w, const struct offline_settings *s, double seconds,
                struct error *err)
{
    int *known = NULL;
    double *weights = s->centred ? weights_from_context(w->n_frames) : NULL;
    uint8_t *count = NULL;
    int64_t n_frames;
    int status = -1;

    *r = (struct regions){0};
    *n_speakers = 0;
    if (s->centred && !weights)
        fail(err, "out of memory");
    else if (aggregate_count(&count, &n_frames, h, w, 0.0, weights, err) == 0)
        status = run(r, n_speakers, &known, h, w, s, weights, count, n_frames, err);
    free(count);
    free(weights);
    if (status == 0 && !s->compat)
        status = tidy(r, n_speakers, known, seconds, err);
    if (status)
        regions_release(r);
    if (who)
        *who = status ? NULL : known;
    if (status || !who)
        free(known);
    return status;
}
