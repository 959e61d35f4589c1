// SPDX-License-Identifier: MIT
/* sink_file.c - RTTM and JSON lines, to a file or stdout, flushed per event. */
#include "stream/sink.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A stream by nature: written in place, so that it can be followed. */
struct text {
    FILE *file;
    char recording[REPORT_NAME_BYTES];
    double next_status; // stream seconds
};

static int text_open(struct sink *s, struct error *err)
{
    struct text *t = calloc(1, sizeof(*t));

    if (!t)
        return fail(err, "out of memory");
    t->file = strcmp(s->target, "-") ? fopen(s->target, "w") : stdout;
    if (!t->file) {
        free(t);
        return fail(err, "%s: cannot write: %s", s->target, strerror(errno));
    }
    s->own = t;
    return 0;
}

static int check_written(struct sink *s, struct error *err)
{
    struct text *t = s->own;

    if (fflush(t->file) == 0 && !ferror(t->file))
        return 0;
    return fail(err, "%s: cannot write: %s; this output has ended",
                strcmp(s->target, "-") ? s->target : "stdout", strerror(errno));
}

static int text_close(struct sink *s, struct error *err)
{
    struct text *t = s->own;
    int status;

    if (!t)
        return 0;
    status = check_written(s, err);
    if (t->file != stdout && fclose(t->file) && status == 0)
        status = fail(err, "%s: cannot write: %s", s->target, strerror(errno));
    free(t);
    s->own = NULL;
    return status;
}

static int rttm_take(struct sink *s, const struct report *r, struct error *err)
{
    struct text *t = s->own;
    char name[REPORT_NAME_BYTES];

    if (r->type == REPORT_START)
        memcpy(t->recording, r->start.recording, sizeof(t->recording));
    if (r->type != REPORT_SPEAKER_OFF)
        return 0;
    memcpy(name, r->speaker.name, sizeof(name));
    for (char *c = name; *c; c++)
        *c = (unsigned char)*c <= ' ' ? '_' : *c;
    fprintf(t->file, "SPEAKER %s 1 %.3f %.3f <NA> <NA> %s <NA> <NA>\n", t->recording,
            r->speaker.start, r->speaker.end - r->speaker.start, name);
    return check_written(s, err);
}

/* A number with so many decimals and no more. */
static void add_fixed(cJSON *json, const char *key, double value, int decimals)
{
    char text[40];

    snprintf(text, sizeof(text), "%.*f", decimals, isfinite(value) ? value : 0.0);
    if (key)
        cJSON_AddRawToObject(json, key, text);
    else
        cJSON_AddItemToArray(json, cJSON_CreateRaw(text));
}

static void add_wall(cJSON *json, double wall)
{
    time_t seconds = (time_t)wall;
    struct tm utc;
    char text[40], date[32];

    gmtime_r(&seconds, &utc);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, sizeof(text), "%s.%03dZ", date, (int)((wall - (double)seconds) * 1000.0));
    cJSON_AddStringToObject(json, "time", text);
}

static void add_start(cJSON *json, const struct report_start *start)
{
    cJSON_AddStringToObject(json, "version", ANTIPHON_VERSION);
    cJSON_AddStringToObject(json, "model", start->model);
    cJSON_AddStringToObject(json, "source", start->source);
    cJSON_AddStringToObject(json, "recording", start->recording);
    cJSON_AddNumberToObject(json, "sample_rate", start->rate_hz);
    cJSON_AddNumberToObject(json, "block_ms", start->block_ms);
    add_wall(json, start->wall);
}

static void add_speaker(cJSON *json, const struct report *r)
{
    cJSON_AddNumberToObject(json, "speaker", r->speaker.id);
    if (r->type == REPORT_SPEAKER_MERGE)
        cJSON_AddNumberToObject(json, "merged", r->speaker.merged_id);
    cJSON_AddStringToObject(json, "name", r->speaker.name);
    add_fixed(json, "start", r->speaker.start, 4);
    if (r->type == REPORT_SPEAKER_OFF)
        add_fixed(json, "end", r->speaker.end, 4);
}

/* probabilities: one per lasting speaker, in order of first appearance. */
static void add_activity(cJSON *json, const struct report_block *b)
{
    cJSON *speaking, *probabilities;

    cJSON_AddNumberToObject(json, "block", (double)b->number);
    add_fixed(json, "start", b->start, 4);
    add_fixed(json, "end", b->end, 4);
    add_fixed(json, "level", b->level_dbfs, 1);
    cJSON_AddNumberToObject(json, "overlap", b->overlap);
    probabilities = cJSON_AddArrayToObject(json, "probabilities");
    speaking = cJSON_AddArrayToObject(json, "speaking");
    for (int i = 0; i < b->n_speakers; i++) {
        add_fixed(probabilities, NULL, b->activity[i], 4);
        if (b->speaking[i])
            cJSON_AddItemToArray(speaking, cJSON_CreateNumber(i + 1));
    }
}

static void add_status(cJSON *json, const struct report_block *b)
{
    add_fixed(json, "seconds", b->end, 4);
    cJSON_AddNumberToObject(json, "dropped", (double)b->dropped_samples);
    cJSON_AddNumberToObject(json, "overruns", b->overruns);
    add_fixed(json, "load", b->load, 4);
    add_fixed(json, "latency_ms", b->latency_ms, 1);
}

static const char *type_name(enum report_type type)
{
    switch (type) {
    case REPORT_START: return "start";
    case REPORT_SPEAKER_NEW: return "speaker_new";
    case REPORT_SPEAKER_ON: return "speaker_on";
    case REPORT_SPEAKER_OFF: return "speaker_off";
    case REPORT_SPEAKER_MERGE: return "speaker_merge";
    case REPORT_BLOCK: return "activity";
    case REPORT_END: return "end";
    case REPORT_SPEAKER_NAME: // the next event of the speaker has the name
    case REPORT_HELLO:
    case REPORT_RESET: break;
    }
    return NULL;
}

static int put_line(struct sink *s, cJSON *json, struct error *err)
{
    struct text *t = s->own;
    char *line = cJSON_PrintUnformatted(json);

    cJSON_Delete(json);
    if (!line)
        return fail(err, "%s: out of memory", s->target);
    fprintf(t->file, "%s\n", line);
    free(line);
    return check_written(s, err);
}

static cJSON *typed(const char *type)
{
    cJSON *json = cJSON_CreateObject();

    cJSON_AddStringToObject(json, "type", type);
    return json;
}

static int jsonl_take(struct sink *s, const struct report *r, struct error *err)
{
    struct text *t = s->own;
    cJSON *json;

    if (!type_name(r->type))
        return 0;
    json = typed(type_name(r->type));
    if (r->type == REPORT_START)
        add_start(json, &r->start);
    else if (r->type == REPORT_BLOCK)
        add_activity(json, &r->block);
    else if (r->type == REPORT_END)
        add_fixed(json, "end", r->time, 4);
    else
        add_speaker(json, r);
    if (put_line(s, json, err))
        return -1;
    if (r->type != REPORT_BLOCK || r->block.end < t->next_status)
        return 0;
    t->next_status = r->block.end + 1.0; // a status about once a second
    json = typed("status");
    add_status(json, &r->block);
    return put_line(s, json, err);
}

const struct sink_kind sink_rttm = {"rttm", text_open, rttm_take, text_close};
const struct sink_kind sink_jsonl = {"jsonl", text_open, jsonl_take, text_close};
