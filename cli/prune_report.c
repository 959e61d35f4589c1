// SPDX-License-Identifier: MIT
#include "cli/prune_report.h"

#include "cli/load.h"
#include "model/clock.h"
#include "model/cost.h"
#include "model/json.h"
#include "stream/plot.h"
#include "stream/plot_curves.h"
#include "stream/plot_map.h"
#include "stream/scan.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STEPS = 1 << 20 };

struct track {
    double *x, *y;
    size_t n;
};

static int track_add(struct track *t, size_t *room, double x, double y)
{
    if (t->n == *room) {
        size_t more = *room ? 2 * *room : 1024;
        double *xs = realloc(t->x, more * sizeof(double));
        t->x = xs ? xs : t->x;
        double *ys = realloc(t->y, more * sizeof(double));
        t->y = ys ? ys : t->y;
        if (!xs || !ys)
            return -1;
        *room = more;
    }
    t->x[t->n] = x;
    t->y[t->n++] = y;
    return 0;
}

/* Takes `key` of a line, if it is a step's; -1: no memory for more. */
static int take_line(struct track *t, size_t *room, struct field line, const char *key)
{
    static const struct json_limits limits = {"line", "", 1 << 16, 1000, 8, 1};
    cJSON *o = json_read(line.at, line.n, &limits, NULL);
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(o, "type");
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(o, "step");
    const cJSON *y = cJSON_GetObjectItemCaseSensitive(o, key);
    int status = 0;

    if (cJSON_IsString(type) && !strcmp(type->valuestring, "step") && cJSON_IsNumber(x) &&
        cJSON_IsNumber(y) && fabs(x->valuedouble) < 1e30 && fabs(y->valuedouble) < 1e30)
        status = track_add(t, room, x->valuedouble, y->valuedouble);
    cJSON_Delete(o);
    return status;
}

/* The numbers `key` of the steps of a stage's log; none if it did not run. */
static int read_track(struct track *t, const char *folder, const char *stage, const char *key)
{
    char path[1200];
    struct scan text;
    struct scan_lines at = {0};
    struct field line;
    size_t room = 0;

    *t = (struct track){0};
    snprintf(path, sizeof(path), "%s/%s/log.jsonl", folder, stage);
    if (scan_read(&text, path, NULL))
        return 0;
    at.rest = (struct field){text.bytes, text.n};
    while (t->n < MOST_STEPS && scan_line(&at, &line)) {
        if (take_line(t, &room, line, key))
            break;
    }
    scan_release(&text);
    return t->n > 0;
}

static void track_release(struct track *t)
{
    free(t->x);
    free(t->y);
}

struct side {
    double parameters, encoder, macs, rtf;
    struct wavlm_config shape;
};

/* Live speed: seconds of computing a second of audio, one thread, B 16. */
static double measure(const struct model *m, struct error *err)
{
    enum { BLOCKS = 60 };
    struct model_state state;
    struct model_acts acts = {0};
    struct position at = {0};
    float *noise = calloc(16 * 320 + 400, sizeof(float));
    double took = -1.0;

    if (noise && model_state_open(&state, m, err) == 0) {
        if (model_acts_open(&acts, m, err) == 0) {
            double began = 0.0;
            for (int i = 0; i < 16 * 320 + 400; i++)
                noise[i] = 1e-2f * (float)((i * 7919) % 101 - 50);
            for (int i = 0; i < BLOCKS + 30; i++) { // the first fill the left context
                struct block b;
                if (i == 30)
                    began = clock_thread();
                block_next(&b, &at, 16 * 320 + 400, 0, 16, 0);
                model_forward(&acts, &state, m, noise, &b, 1);
                position_advance(&at, &b);
            }
            took = (clock_thread() - began) / (BLOCKS * 0.32);
        }
        model_acts_close(&acts);
        model_state_close(&state);
    }
    free(noise);
    return took;
}

static int read_side(struct side *s, const char *path, struct error *err)
{
    struct reach reach = reach_defaults();
    struct loaded l;
    struct cost cost;

    if (load_model(&l, path, NULL, &reach, err))
        return -1;
    cost_count(&cost, &l.model.config, l.model.list, l.model.n_params);
    *s = (struct side){.parameters = (double)cost.parameters,
                       .encoder = (double)cost.encoder_parameters,
                       .macs = cost_live_macs(&l.model.config, &reach),
                       .shape = l.model.config.wavlm};
    s->rtf = measure(&l.model, err);
    unload_model(&l);
    return s->rtf < 0.0 ? -1 : 0;
}

static struct curve curve_of(const char *name, const struct track *t)
{
    return (struct curve){name, t->x, t->y, t->n, 0};
}

static int draw(const char *output, const char *folder, const char *pruned,
                const struct side *left, const struct side *dense, struct error *err)
{
    struct track sparsity, target, prune, distill, train;
    char map[1100];

    read_track(&sparsity, folder, "1-prune", "sparsity");
    read_track(&target, folder, "1-prune", "target");
    read_track(&prune, folder, "1-prune", "loss");
    read_track(&distill, folder, "2-distill", "loss");
    read_track(&train, folder, "3-train", "loss");
    struct panel panels[] = {
        {.title = "sparsity, a share of the encoder",
         .curves = {curve_of("expected", &sparsity), curve_of("target", &target)}, .n_curves = 2},
        {.title = "loss of distillation", .curves = {curve_of("with gates", &prune),
                                                     curve_of("after the cut", &distill)},
         .n_curves = 2},
        {.title = "loss of diarization", .curves = {curve_of("training", &train)}, .n_curves = 1},
    };
    const char *dot = strrchr(output, '.');
    snprintf(map, sizeof(map), "%.*s.map.svg", (int)(dot ? dot - output : (long)strlen(output)),
             output);
    int status = plot_curves(output, folder, "step", panels, 3, err);
    if (status == 0)
        status = plot_map(map, pruned, &left->shape, &dense->shape, err);
    struct track *const all[] = {&sparsity, &target, &prune, &distill, &train};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        track_release(all[i]);
    return status;
}

int prune_report(const char *output, const char *folder, const char *dense, const char *pruned,
                 struct error *err)
{
    struct side before, after;

    if (read_side(&before, dense, err) || read_side(&after, pruned, err))
        return -1;
    printf("%-28s %12s %12s\n", "", "before", "after");
    printf("%-28s %12.2f %12.2f\n", "parameters, M", before.parameters / 1e6,
           after.parameters / 1e6);
    printf("%-28s %12.2f %12.2f\n", "of them the encoder's, M", before.encoder / 1e6,
           after.encoder / 1e6);
    printf("%-28s %12.3f %12.3f\n", "live MACs, G a second", before.macs / 1e9, after.macs / 1e9);
    printf("%-28s %12.4f %12.4f\n", "live real-time factor", before.rtf, after.rtf);
    int status = draw(output, folder, pruned, &after, &before, err);
    plot_forget_fonts();
    return status;
}
