// SPDX-License-Identifier: MIT
#include "cli/plot_log.h"

#include "model/json.h"
#include "stream/plot_curves.h"
#include "stream/scan.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of one kind, step by step. */
struct series {
    char name[48];
    double *x, *y;
    size_t n, room;
};

#define LARGEST 1e30 // what an axis can hold; no run gets there

enum { LOSS, DER, MISSED, FALSE_ALARM, CONFUSION, LR, NORM, RATE, AFFINITY, VECTOR, MELS, RIGHT,
       SHARE, STEP_KEYS, MAX_DEV = 10 };

static const char *const step_keys[STEP_KEYS] = {
    "loss", "der", "missed", "false_alarm", "confusion", "lr", "norm", "rate", "affinity", "vector",
    "mels", "vector_right", "gemm_share",
};

struct log {
    struct series step[STEP_KEYS];
    struct series dev[MAX_DEV]; // by block length
    int n_dev;
};

static int series_add(struct series *s, double x, double y, struct error *err)
{
    if (s->n == s->room) {
        size_t room = s->room ? 2 * s->room : 256;
        double *more_x = realloc(s->x, room * sizeof(double));
        s->x = more_x ? more_x : s->x;
        double *more_y = realloc(s->y, room * sizeof(double));
        s->y = more_y ? more_y : s->y;
        if (!more_x || !more_y)
            return fail(err, "out of memory");
        s->room = room;
    }
    s->x[s->n] = x;
    s->y[s->n++] = y;
    return 0;
}

static void log_release(struct log *l)
{
    for (int i = 0; i < STEP_KEYS; i++) {
        free(l->step[i].x);
        free(l->step[i].y);
    }
    for (int i = 0; i < MAX_DEV; i++) {
        free(l->dev[i].x);
        free(l->dev[i].y);
    }
}

static int number(double *x, const cJSON *o, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

    int is_one = cJSON_IsNumber(item) && fabs(item->valuedouble) < LARGEST;

    *x = is_one ? item->valuedouble : 0.0;
    return is_one;
}

static int take_step(struct log *l, const cJSON *o, double step, struct error *err)
{
    double seconds, audio;

    for (int i = 0; i < STEP_KEYS; i++) {
        struct series *s = &l->step[i];
        double y;
        if (!number(&y, o, step_keys[i]) && strcmp(step_keys[i], "rate"))
            continue;
        if (!strcmp(step_keys[i], "rate")) {
            if (!number(&seconds, o, "seconds") || !number(&audio, o, "audio_seconds") ||
                seconds <= 0.0)
                continue;
            y = audio / seconds;
        } else if (i == SHARE) {
            y *= 100.0;
        } else if (s->n) { // a step is one small batch: what one wants to see is its drift
            y = s->y[s->n - 1] + 0.02 * (y - s->y[s->n - 1]);
        }
        if (series_add(s, step, y, err))
            return -1;
    }
    return 0;
}

static int take_validation(struct log *l, const cJSON *o, double step, struct error *err)
{
    double block, der;
    char name[48];
    int i = 0;

    if (!number(&block, o, "block") || !number(&der, o, "der"))
        return 0; // the mean
    snprintf(name, sizeof(name), block > 0.0 ? "validation, %.0f ms" : "validation, whole",
             20.0 * block);
    while (i < l->n_dev && strcmp(l->dev[i].name, name))
        i++;
    if (i == MAX_DEV)
        return 0;
    if (i == l->n_dev)
        snprintf(l->dev[l->n_dev++].name, sizeof(name), "%s", name);
    return series_add(&l->dev[i], step, der, err);
}

static int take_line(struct log *l, struct field line, int number_of, struct error *err)
{
    static const struct json_limits limits = {"line", "", 1 << 16, 1000, 8, 1};
    cJSON *o = json_read(line.at, line.n, &limits, NULL);
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(o, "type");
    double step;
    int status = 0;

    if (!cJSON_IsString(type) || !number(&step, o, "step"))
        status = fail(err, "line %d: not a line of a training log (an object with type and step)",
                      number_of);
    else if (!strcmp(type->valuestring, "step"))
        status = take_step(l, o, step, err);
    else if (!strcmp(type->valuestring, "validation"))
        status = take_validation(l, o, step, err);
    cJSON_Delete(o);
    return status;
}

int plot_log_is(const char *path)
{
    char start[16] = "";
    FILE *f = fopen(path, "r");

    if (!f)
        return 0;
    size_t n = fread(start, 1, 8, f);
    fclose(f);
    return n > 0 && start[0] == '{';
}

static struct curve curve_of(const struct series *s, const char *name, int dots)
{
    return (struct curve){name, s->x, s->y, s->n, dots};
}

/* Only losses that the run had. */
static void add_if_any(struct panel *panel, const struct series *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->y[i] > 0.0) {
            panel->curves[panel->n_curves++] = curve_of(s, name, 0);
            return;
        }
    }
}

static int draw(const char *output, const char *path, const struct log *l, struct error *err)
{
    const struct series *s = l->step;
    struct panel panels[6] = {
        {.title = "losses", .curves = {curve_of(&s[LOSS], "who speaks", 0)}, .n_curves = 1},
        {.title = "DER, %", .curves = {curve_of(&s[DER], "training", 0)}, .n_curves = 1},
        {.title = "DER in training, its parts, %",
         .curves = {curve_of(&s[MISSED], "missed", 0), curve_of(&s[FALSE_ALARM], "false alarm", 0),
                    curve_of(&s[CONFUSION], "confusion", 0)}, .n_curves = 3},
        {.title = "learning rate; norm of the gradient",
         .curves = {curve_of(&s[LR], "learning rate", 0), curve_of(&s[NORM], "norm", 0)},
         .n_curves = 2, .logarithmic = 1},
        {.title = "speed, seconds of audio a second", .curves = {curve_of(&s[RATE], "speed", 0)},
         .n_curves = 1},
        {.title = "shares, %", .curves = {curve_of(&s[SHARE], "of the GEMM peak", 0)},
         .n_curves = 1},
    };

    add_if_any(&panels[0], &s[AFFINITY], "affinity");
    add_if_any(&panels[0], &s[VECTOR], "speaker vectors");
    add_if_any(&panels[0], &s[MELS], "log-mels");
    panels[0].logarithmic = panels[0].n_curves > 1; // they are of different sizes
    add_if_any(&panels[5], &s[RIGHT], "vectors right");
    for (int i = 0; i < l->n_dev; i++)
        panels[1].curves[panels[1].n_curves++] = curve_of(&l->dev[i], l->dev[i].name, 1);
    return plot_curves(output, path, "step", panels, 6, err);
}

int plot_log(const char *output, const char *path, struct error *err)
{
    struct scan text;
    struct scan_lines at = {0};
    struct field line;
    struct log log = {0};
    int status = 0;

    if (scan_read(&text, path, err))
        return -1;
    at.rest = (struct field){text.bytes, text.n};
    while (status == 0 && scan_line(&at, &line))
        status = take_line(&log, line, at.number, err);
    scan_release(&text);
    if (status == 0 && log.step[0].n == 0)
        status = fail(err, "no step in it yet");
    if (status)
        fail_prefix(err, "%s: ", path);
    else
        status = draw(output, path, &log, err);
    log_release(&log);
    return status;
}
