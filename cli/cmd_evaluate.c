// SPDX-License-Identifier: MIT
/* cmd_evaluate.c - `evaluate`: frame errors of a model on meetings with a reference,
 * at several block lengths, beside an oracle. */
#include "cli/command.h"
#include "cli/json_out.h"
#include "cli/load.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/reach_list.h"
#include "model/op.h"
#include "model/powerset.h"
#include "prune/frame_error.h"
#include "prune/meetings.h"
#include "stream/audio_file.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct usage usage = {
    "FOLDER...",
    "Frame errors of a diarization model's own answer: frames of 20 ms, no collar, overlap\n"
    "counted, the likeliest class of each, the best assignment of the model's local speakers;\n"
    "no thresholds, no tracker, no clustering. Beside it the oracle that hears all speech, and\n"
    "takes it for one person's. A folder has wav.scp, rttm and all.uem, or audio files with\n"
    "NAME.rttm (and NAME.uem) beside them. `score` compares what a whole system says.\n\n"
    "  antiphon evaluate -m mine.safetensors simulated/ real/\n"
    "  antiphon evaluate --block-ms 320,whole --chunk 10 simulated/",
};

enum { MAX_BLOCKS = 8, N_ROWS = MAX_BLOCKS + 1 };

struct arguments {
    const char *model, *blocks;
    int left_ms, threads, json;
    double chunk_seconds, horizon_seconds;
    int frames[MAX_BLOCKS], n_blocks; // 0: whole
};

/* Of one recording or of all: the oracle's first, then one a block length. */
struct errors {
    struct frame_errors of[N_ROWS];
};

static struct reach reach_of(const struct arguments *a, int block_frames, int64_t n)
{
    struct reach reach = reach_defaults();

    if (block_frames == 0)
        return reach_offline(n);
    reach.block_frames = block_frames;
    reach.left_frames = a->left_ms == LIVE_UNSAID ? REACH_OWN : a->left_ms / 20;
    reach.horizon_seconds = horizon_or_own(a->horizon_seconds);
    return reach;
}

/* said [frames of n samples] */
static int listen(uint16_t *said, const struct model *m, const float *samples, int64_t n,
                  struct error *err)
{
    const struct readout_config *r = &m->config.readout;
    struct model_state state = {0};
    struct model_acts acts = {0};
    struct powerset powerset;
    struct block b;
    int status = model_state_open(&state, m, err) || model_acts_open(&acts, m, err) ? -1 : 0;

    powerset_init(&powerset, r->n_speakers, r->at_once);
    while (status == 0 && block_next(&b, &state.at, n - state.at.samples, 1,
                                     m->reach.block_frames, 0)) {
        model_forward(&acts, &state, m, samples + state.at.samples, &b, 1);
        for (int t = 0; t < b.own; t++)
            said[b.frame + t] = powerset_argmax(
                acts.readout.scores + (size_t)t * (size_t)r->n_classes, &powerset);
    }
    model_acts_close(&acts);
    model_state_close(&state);
    return status;
}

static int judge(struct errors *e, const struct arguments *a, const struct checkpoint *c,
                 const struct meeting *meeting, const float *samples, int64_t n, double from,
                 struct error *err)
{
    int n_frames = (int)blocks_frames(n), status;
    uint16_t *said = calloc((size_t)n_frames + 1, sizeof(*said));

    status = said ? frame_errors_add(&e->of[0], NULL, n_frames, from, meeting->reference,
                                     meeting->uem, err)
                  : fail(err, "out of memory");
    for (int k = 0; status == 0 && k < a->n_blocks; k++) {
        struct reach reach = reach_of(a, a->frames[k], n);
        struct model model;
        status = model_open(&model, c, &reach, err);
        if (status)
            break;
        status = listen(said, &model, samples, n, err) ||
                 frame_errors_add(&e->of[k + 1], said, n_frames, from, meeting->reference,
                                  meeting->uem, err) ? -1 : 0;
        model_close(&model);
    }
    free(said);
    return status;
}

/* A recording whole, or in chunks that know nothing of each other. */
static int evaluate_one(struct errors *e, const struct arguments *a, const struct checkpoint *c,
                        const struct meeting *meeting, struct error *err)
{
    float *samples = NULL;
    size_t all;
    int64_t n, chunk, at = 0;
    int status;

    if (audio_file_read(&samples, &all, meeting->path, 0, err))
        return -1;
    n = (int64_t)all;
    chunk = a->chunk_seconds > 0.0 ? blocks_cover((int64_t)(a->chunk_seconds * 50.0)) : n;
    status = blocks_frames(n) < 1 ? fail(err, "%s: too short for one frame", meeting->path) : 0;
    while (status == 0 && blocks_frames(n - at) > 0) {
        int64_t length = n - at < chunk ? n - at : chunk;
        status = judge(e, a, c, meeting, samples + at, length, (double)at / 16000.0, err);
        at += 320 * blocks_frames(length); // frames go on where they stopped
    }
    free(samples);
    return status;
}

static void heading(char text[32], const struct arguments *a, int k)
{
    if (k == 0)
        snprintf(text, 32, "oracle");
    else if (a->frames[k - 1] == 0)
        snprintf(text, 32, "whole");
    else
        snprintf(text, 32, "%d ms", 20 * a->frames[k - 1]);
}

static double total(const struct frame_errors *e)
{
    return e->missed + e->false_alarm + e->confusion;
}

static void print_row(const char *what, const struct errors *e, const struct arguments *a,
                      double (*part)(const struct frame_errors *e))
{
    printf("%-28.28s", what);
    for (int k = 0; k <= a->n_blocks; k++)
        printf(" %9.2f", frame_errors_percent(&e->of[k], part(&e->of[k])));
    putchar('\n');
}

static double missed(const struct frame_errors *e)
{
    return e->missed;
}

static double false_alarm(const struct frame_errors *e)
{
    return e->false_alarm;
}

static double confusion(const struct frame_errors *e)
{
    return e->confusion;
}

static void print_table(const char *folder, const struct meetings *m, const struct errors *each,
                        const struct errors *all, const struct arguments *a)
{
    char text[32];

    printf("%-28.28s", folder);
    for (int k = 0; k <= a->n_blocks; k++) {
        heading(text, a, k);
        printf(" %9s", text);
    }
    putchar('\n');
    for (int i = 0; i < m->n; i++)
        print_row(m->list[i].name, &each[i], a, total);
    print_row("all", all, a, total);
    print_row("  missed", all, a, missed);
    print_row("  false alarm", all, a, false_alarm);
    print_row("  confused", all, a, confusion);
    printf("%-28s %9.1f\n\n", "seconds of speech", 0.02 * all->of[0].speech);
}

static cJSON *to_json(const char *name, const struct errors *e, const struct arguments *a)
{
    cJSON *o = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(o, "blocks");

    cJSON_AddStringToObject(o, "name", name);
    cJSON_AddNumberToObject(o, "scored", 0.02 * e->of[0].speech);
    for (int k = 0; k <= a->n_blocks; k++) {
        const struct frame_errors *x = &e->of[k];
        cJSON *item = cJSON_CreateObject();
        char text[32];
        heading(text, a, k);
        cJSON_AddStringToObject(item, "block", text);
        cJSON_AddNumberToObject(item, "missed", frame_errors_percent(x, x->missed));
        cJSON_AddNumberToObject(item, "false_alarm", frame_errors_percent(x, x->false_alarm));
        cJSON_AddNumberToObject(item, "confusion", frame_errors_percent(x, x->confusion));
        cJSON_AddNumberToObject(item, "der", frame_errors_percent(x, total(x)));
        cJSON_AddItemToArray(list, item);
    }
    return o;
}

static int print_json(const char *folder, const struct meetings *m, const struct errors *each,
                      const struct errors *all, const struct arguments *a, struct error *err)
{
    cJSON *o = cJSON_CreateObject(), *list;

    cJSON_AddStringToObject(o, "folder", folder);
    list = cJSON_AddArrayToObject(o, "recordings");
    for (int i = 0; i < m->n; i++)
        cJSON_AddItemToArray(list, to_json(m->list[i].name, &each[i], a));
    cJSON_AddItemToObject(o, "overall", to_json("all", all, a));
    return json_print(o, err);
}

static int evaluate(const struct arguments *a, const struct checkpoint *c, const char *folder,
                    struct error *err)
{
    struct meetings m;
    struct errors all = {0}, *each;
    struct progress bar;
    int status;

    if (meetings_open(&m, folder, err))
        return -1;
    each = calloc((size_t)m.n, sizeof(*each));
    status = each ? 0 : fail(err, "out of memory");
    progress_begin(&bar, "evaluating", "recordings", m.n);
    for (int i = 0; status == 0 && i < m.n; i++) {
        status = evaluate_one(&each[i], a, c, &m.list[i], err);
        for (int k = 0; k < N_ROWS; k++) {
            all.of[k].speech += each[i].of[k].speech;
            all.of[k].missed += each[i].of[k].missed;
            all.of[k].false_alarm += each[i].of[k].false_alarm;
            all.of[k].confusion += each[i].of[k].confusion;
        }
        progress_at(&bar, i + 1);
    }
    progress_end(&bar);
    if (status == 0 && a->json)
        status = print_json(folder, &m, each, &all, a, err);
    else if (status == 0)
        print_table(folder, &m, each, &all, a);
    free(each);
    meetings_close(&m);
    return status;
}

static int check_arguments(struct arguments *a, struct error *err)
{
    const struct option_range threads = {"threads", a->threads, 1, 64};

    if (a->left_ms != LIVE_UNSAID && (a->left_ms < 0 || a->left_ms % 20 || a->left_ms > 600000))
        return fail(err, "--left-ms %d: a multiple of 20 ms up to ten minutes was expected",
                    a->left_ms);
    if (a->chunk_seconds < 0.0 || (a->chunk_seconds > 0.0 && a->chunk_seconds < 1.0))
        return fail(err, "--chunk %g: at least a second, or 0 for whole recordings",
                    a->chunk_seconds);
    if (options_in_range(&threads, 1, err) || horizon_check(a->horizon_seconds, err))
        return -1;
    return reach_list_parse(a->frames, &a->n_blocks, MAX_BLOCKS, "--block-ms", a->blocks, err);
}

/* Opened once to see that it is a model of diarization. */
static int open_model(struct checkpoint *c, const char *path, struct error *err)
{
    struct reach least = reach_defaults();
    struct model m;
    int status = 0;

    if (load_checkpoint(c, path, err))
        return -1;
    checkpoint_take_model(c);
    if (model_open(&m, c, &least, err))
        return fail_prefix(err, "%s: ", path ? path : BUILTIN_NAME);
    if (!m.config.readout.present)
        status = fail(err, "%s: the model has no readout: nothing says who speaks", path);
    model_close(&m);
    return status;
}

int cmd_evaluate(int argc, const char **argv, struct error *err)
{
    struct arguments a = {.blocks = "whole,160,320,1000", .left_ms = LIVE_UNSAID, .threads = 1,
                          .chunk_seconds = 30.0, .horizon_seconds = LIVE_UNSAID};
    const struct poptOption table[] = {
        {"model", 'm', POPT_ARG_STRING, &a.model, 0, "model file (built-in)", "FILE"},
        {"block-ms", 0, POPT_ARG_STRING, &a.blocks, 0,
         "block lengths, or whole (whole,160,320,1000)", "LIST"},
        {"left-ms", 0, POPT_ARG_INT, &a.left_ms, 0, "context before a block (the model's)", "MS"},
        {"chunk", 0, POPT_ARG_DOUBLE, &a.chunk_seconds, 0,
         "recordings are cut into pieces that know nothing of each other; 0: not (30)", "SEC"},
        HORIZON_OPTION(a.horizon_seconds),
        {"threads", 0, POPT_ARG_INT, &a.threads, 0, "for the matrix products (1)", "N"},
        {"json", 0, POPT_ARG_NONE, &a.json, 0, "one JSON object a folder", NULL},
        POPT_TABLEEND,
    };
    struct checkpoint c = {0};
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped) {
            status = STATUS_DONE;
        } else if (options_expect(&o, 1, 1000, &usage, err) == 0 && check_arguments(&a, err) == 0) {
            op_set_threads(a.threads);
            status = open_model(&c, a.model, err) ? STATUS_FAILED : STATUS_DONE;
            for (int i = 0; status == STATUS_DONE && i < o.n_arguments; i++)
                status = evaluate(&a, &c, o.arguments[i], err) ? STATUS_FAILED : STATUS_DONE;
            checkpoint_close(&c);
        }
    }
    options_close(&o);
    return status;
}
