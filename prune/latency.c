// SPDX-License-Identifier: MIT
#include "prune/latency.h"

#include "model/json.h"
#include "model/outfile.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The piece of x[0 .. n-1] to interpolate in: its first point. */
static int piece(const double *x, int n, double at)
{
    int i = 0;

    while (i < n - 2 && at >= x[i + 1])
        i++;
    return i;
}

double latency_curve_at(const struct latency_curve *c, double x, double *slope)
{
    int i = piece(c->x, c->n, x);

    *slope = (c->ms[i + 1] - c->ms[i]) / (c->x[i + 1] - c->x[i]);
    return c->ms[i] + *slope * (x - c->x[i]);
}

/* Along `in` at one column of the grid, which may have one row only. */
static double grid_column(const struct latency_grid *g, double in, int out, double *slope)
{
    int i = piece(g->in, g->n_in, in);

    *slope = 0.0;
    if (g->n_in == 1)
        return g->ms[0][out];
    *slope = (g->ms[i + 1][out] - g->ms[i][out]) / (g->in[i + 1] - g->in[i]);
    return g->ms[i][out] + *slope * (in - g->in[i]);
}

double latency_grid_at(const struct latency_grid *g, double in, double out, double *by_in,
                       double *by_out)
{
    int k = piece(g->out, g->n_out, out);
    double low_by_in, high_by_in, low = grid_column(g, in, k, &low_by_in);
    double high = grid_column(g, in, k + 1, &high_by_in);
    double share = (out - g->out[k]) / (g->out[k + 1] - g->out[k]);

    *by_out = (high - low) / (g->out[k + 1] - g->out[k]);
    *by_in = low_by_in + share * (high_by_in - low_by_in);
    return low + share * (high - low);
}

double latency_of(const struct latency *l, const struct model_config *c)
{
    const struct wavlm_config *w = &c->wavlm;
    double in = 1.0, ms = l->fixed_ms, slope, other;

    for (int i = 0; i < w->n_convs; i++) {
        ms += latency_grid_at(&l->conv[i], in, w->conv[i].channels, &slope, &other);
        in = w->conv[i].channels;
    }
    if (w->n_convs)
        ms += latency_curve_at(&l->projection, in, &slope);
    for (int i = 0; i < config_layers_used(c); i++) {
        if (w->layer[i].has_attention)
            ms += latency_curve_at(&l->attention, w->layer[i].n_heads, &slope);
        if (w->layer[i].has_feed_forward)
            ms += latency_curve_at(&l->feed_forward, w->layer[i].ff, &slope);
    }
    return ms;
}

static void add_curve(cJSON *root, const char *key, const char *axis,
                      const struct latency_curve *c)
{
    cJSON *o = cJSON_AddObjectToObject(root, key);

    cJSON_AddItemToObject(o, axis, cJSON_CreateDoubleArray(c->x, c->n));
    cJSON_AddItemToObject(o, "ms", cJSON_CreateDoubleArray(c->ms, c->n));
}

static char *to_json(const struct latency *l)
{
    cJSON *root = cJSON_CreateObject(), *convs;

    cJSON_AddNumberToObject(root, "block_frames", l->block_frames);
    cJSON_AddNumberToObject(root, "left_frames", l->left_frames);
    cJSON_AddNumberToObject(root, "threads", l->threads);
    cJSON_AddNumberToObject(root, "fixed_ms", l->fixed_ms);
    convs = cJSON_AddArrayToObject(root, "convolutions");
    for (int i = 0; i < MAX_CONVS && l->conv[i].n_in; i++) {
        const struct latency_grid *g = &l->conv[i];
        cJSON *o = cJSON_CreateObject(), *rows = cJSON_CreateArray();
        cJSON_AddItemToObject(o, "in", cJSON_CreateDoubleArray(g->in, g->n_in));
        cJSON_AddItemToObject(o, "out", cJSON_CreateDoubleArray(g->out, g->n_out));
        for (int k = 0; k < g->n_in; k++)
            json_add(rows, cJSON_CreateDoubleArray(g->ms[k], g->n_out));
        cJSON_AddItemToObject(o, "ms", rows);
        json_add(convs, o);
    }
    if (l->projection.n)
        add_curve(root, "projection", "features", &l->projection);
    add_curve(root, "attention", "heads", &l->attention);
    add_curve(root, "feed_forward", "units", &l->feed_forward);
    char *json = cJSON_Print(root);
    cJSON_Delete(root);
    return json;
}

int latency_write(const struct latency *l, const char *path, struct error *err)
{
    char *json = to_json(l);
    struct outfile f;
    int status = -1;

    if (!json)
        return fail(err, "out of memory");
    if (outfile_open(&f, path, err) == 0) {
        status = outfile_write(&f, json, strlen(json), err) ||
                         outfile_write(&f, "\n", 1, err)
                     ? -1 : 0;
        if (status)
            outfile_discard(&f);
        else
            status = outfile_commit(&f, err);
    }
    free(json);
    return status;
}

/* Numbers of an array, ascending strictly (or, `rising` 0, not falling), from 0 to 1e9. */
static int take_numbers(double *to, int most, const cJSON *array, int rising)
{
    int n = 0;
    const cJSON *item;

    if (!cJSON_IsArray(array))
        return -1;
    cJSON_ArrayForEach(item, array) {
        if (n == most || !cJSON_IsNumber(item) || !(item->valuedouble >= 0.0) ||
            !(item->valuedouble < 1e9))
            return -1;
        to[n] = item->valuedouble;
        if (n && (rising ? !(to[n] > to[n - 1]) : !(to[n] >= to[n - 1])))
            return -1;
        n++;
    }
    return n;
}

static int take_curve(struct latency_curve *c, const cJSON *root, const char *key,
                      const char *axis)
{
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(root, key);
    double ms[LATENCY_POINTS] = {0};
    int n = take_numbers(ms, LATENCY_POINTS, cJSON_GetObjectItemCaseSensitive(o, "ms"), 0);

    c->n = take_numbers(c->x, LATENCY_POINTS, cJSON_GetObjectItemCaseSensitive(o, axis), 1);
    if (c->n < 2 || n != c->n)
        return -1;
    memcpy(c->ms, ms, sizeof(ms));
    return 0;
}

static int take_grid(struct latency_grid *g, const cJSON *o)
{
    const cJSON *ms = cJSON_GetObjectItemCaseSensitive(o, "ms");

    g->n_in = take_numbers(g->in, LATENCY_GRID, cJSON_GetObjectItemCaseSensitive(o, "in"), 1);
    g->n_out = take_numbers(g->out, LATENCY_GRID, cJSON_GetObjectItemCaseSensitive(o, "out"), 1);
    if (g->n_in < 1 || g->n_out < 2 || cJSON_GetArraySize(ms) != g->n_in)
        return -1;
    for (int k = 0; k < g->n_in; k++) {
        if (take_numbers(g->ms[k], LATENCY_GRID, cJSON_GetArrayItem(ms, k), 0) != g->n_out)
            return -1;
    }
    return 0;
}

static int number(int *to, const cJSON *root, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);

    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0.0 && item->valuedouble < 1e6))
        return -1;
    *to = (int)item->valuedouble;
    return 0;
}

static int from_json(struct latency *l, const char *json, size_t n_bytes,
                     const struct model_config *c)
{
    static const struct json_limits limits = {"table", "", 1 << 20, 1 << 16, 8, 1};
    cJSON *root = json_read(json, n_bytes, &limits, NULL);
    const cJSON *convs = cJSON_GetObjectItemCaseSensitive(root, "convolutions");
    const cJSON *fixed = cJSON_GetObjectItemCaseSensitive(root, "fixed_ms");
    int n = c->wavlm.n_convs;
    int bad = number(&l->block_frames, root, "block_frames") ||
              number(&l->left_frames, root, "left_frames") || number(&l->threads, root, "threads") ||
              !cJSON_IsNumber(fixed) || !(fixed->valuedouble >= 0.0 && fixed->valuedouble < 1e9) ||
              cJSON_GetArraySize(convs) != n || (n && take_curve(&l->projection, root, "projection", "features")) ||
              take_curve(&l->attention, root, "attention", "heads") ||
              take_curve(&l->feed_forward, root, "feed_forward", "units");

    for (int i = 0; !bad && i < n; i++)
        bad = take_grid(&l->conv[i], cJSON_GetArrayItem(convs, i));
    if (!bad)
        l->fixed_ms = fixed->valuedouble;
    cJSON_Delete(root);
    return bad ? -1 : 0;
}

int latency_read(struct latency *l, const char *path, const struct model_config *c,
                 struct error *err)
{
    enum { MOST = 1 << 20 };
    char *json = calloc(1, MOST);
    FILE *f = fopen(path, "rb");
    size_t n = json && f ? fread(json, 1, MOST, f) : MOST;
    int status;

    *l = (struct latency){0};
    if (f)
        fclose(f);
    status = n < MOST && from_json(l, json, n, c) == 0
                 ? 0
                 : fail(err, "%s: no table of layer shapes against ms for this model: make one with "
                             "antiphon bench --latency", path);
    free(json);
    return status;
}
