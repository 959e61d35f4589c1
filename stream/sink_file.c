// SPDX-License-Identifier: MIT
/* sink_file.c - RTTM and JSON lines, to a file or stdout, each line as it comes. An RTTM file
 * is written anew when it is closed, if somebody turned out to be somebody else or was named
 * later than they first spoke.
 *
 * A reader of a pipe may stop reading for as long as it likes. Lines are
 * therefore not written through stdio, whose lock such a reader would hold to
 * the end of the program, but in pieces that a ready pipe takes at once, so that
 * the wait is always in poll(), where stop_fd can end it. */
#include "stream/sink.h"

#include "model/outfile.h"
#include "stream/rttm_write.h"
#include "stream/told.h"
#include "stream/utf8.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A stream by nature: written in place, so that it can be followed. */
struct text {
    int fd;
    const char *name; // for errors
    char recording[REPORT_NAME_BYTES];
    double next_status; // stream seconds
    int broken;         // a line is missing
    struct told told;   // RTTM's
};

static int text_open(struct sink *s, struct error *err)
{
    struct text *t = calloc(1, sizeof(*t));
    int is_stdout = !strcmp(s->target, "-");

    if (!t)
        return fail(err, "out of memory");
    t->name = is_stdout ? "stdout" : s->target;
    t->fd = is_stdout ? STDOUT_FILENO
                      : open(s->target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (t->fd < 0) {
        free(t);
        return fail(err, "%s: cannot write: %s", s->target, strerror(errno));
    }
    strcpy(t->recording, "_");
    s->own = t;
    return 0;
}

static int text_close(struct sink *s, struct error *err)
{
    struct text *t = s->own;
    int status = 0;

    if (!t)
        return 0;
    if (t->fd != STDOUT_FILENO && close(t->fd) && errno != EINTR)
        status = fail(err, "%s: cannot write: %s", t->name, strerror(errno));
    free(t);
    s->own = NULL;
    return status;
}

/* Waits until some bytes can be written. */
static int await_room(const struct sink *s, struct error *err)
{
    const struct text *t = s->own;
    struct pollfd fds[] = {{.fd = t->fd, .events = POLLOUT},
                           {.fd = s->stop_fd, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0) {
        if (errno != EINTR)
            return fail(err, "%s: cannot write: %s", t->name, strerror(errno));
    }
    if (!fds[0].revents)
        return fail(err, "%s: nobody reads it; it ends in the middle", t->name);
    return 0;
}

static int put_text(const struct sink *s, const char *bytes, size_t n, struct error *err)
{
    struct text *t = s->own;

    t->broken = 1; // until it is all there
    while (n > 0) {
        if (await_room(s, err))
            return -1;
        ssize_t done = write(t->fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
        if (done < 0 && errno != EINTR && errno != EAGAIN)
            return fail(err, "%s: cannot write: %s; this output has ended", t->name,
                        strerror(errno));
        if (done > 0) {
            bytes += done;
            n -= (size_t)done;
        }
    }
    t->broken = 0;
    return 0;
}

static int rttm_take(struct sink *s, const struct report *r, struct error *err)
{
    struct text *t = s->own;
    char name[REPORT_NAME_BYTES], line[4 * REPORT_NAME_BYTES];

    if (r->type == REPORT_START)
        utf8_field(t->recording, sizeof(t->recording), r->start.recording);
    if (told_take(&t->told, r, err))
        return -1;
    if (r->type != REPORT_SPEAKER_OFF)
        return 0;
    utf8_field(name, sizeof(name), r->speaker.name);
    int n = snprintf(line, sizeof(line), "SPEAKER %s 1 %.3f %.3f <NA> <NA> %s <NA> <NA>\n",
                     t->recording, r->speaker.start, r->speaker.end - r->speaker.start, name);
    if (n < 0 || (size_t)n >= sizeof(line)) // a time of a hundred digits: our mistake
        return fail(err, "%s: a turn at %g s does not fit its line", t->name, r->speaker.start);
    return put_text(s, line, (size_t)n, err);
}

/* The file as it should have been, if it is one that can be replaced. */
static int put_right(const struct sink *s, struct error *err)
{
    struct text *t = s->own;
    struct stat is;
    struct outfile out;

    if (!t->told.put_right || t->broken || fstat(t->fd, &is) || !S_ISREG(is.st_mode) ||
        t->fd == STDOUT_FILENO)
        return 0;
    if (outfile_open(&out, s->target, NULL))
        return 0; // in a folder that is not ours: it stays as it was told
    char *text = NULL;
    if (told_settle(&t->told, err) == 0) {
        told_join_names(&t->told);
        text = rttm_text(&t->told.regions, t->recording, (const char *const *)t->told.names, err);
    }
    int status = text ? outfile_write(&out, text, strlen(text), err) : -1;
    free(text);
    if (status == 0)
        return outfile_commit(&out, err);
    outfile_discard(&out);
    return -1;
}

static int rttm_close(struct sink *s, struct error *err)
{
    struct text *t = s->own;
    int status;

    if (!t)
        return 0;
    status = put_right(s, err);
    told_release(&t->told);
    return text_close(s, status ? NULL : err) || status ? -1 : 0;
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

/* JSON is UTF-8; cJSON escapes what has to be, but passes any bytes on. */
static void add_text(cJSON *json, const char *key, const char *value)
{
    char text[3 * REPORT_TEXT_BYTES]; // a bad byte becomes three

    utf8_copy(text, sizeof(text), value);
    cJSON_AddStringToObject(json, key, text);
}

static void add_start(cJSON *json, const struct report_start *start)
{
    cJSON_AddStringToObject(json, "version", ANTIPHON_VERSION);
    add_text(json, "model", start->model);
    add_text(json, "source", start->source);
    add_text(json, "recording", start->recording);
    cJSON_AddNumberToObject(json, "sample_rate", start->rate_hz);
    cJSON_AddNumberToObject(json, "block_ms", start->block_ms);
    cJSON_AddStringToObject(json, "live", start->window_ms ? "window" : "block-causal");
    if (start->window_ms)
        cJSON_AddNumberToObject(json, "window_ms", start->window_ms);
    add_wall(json, start->wall);
}

static void add_speaker(cJSON *json, const struct report *r)
{
    cJSON_AddNumberToObject(json, "speaker", r->speaker.id);
    if (r->type == REPORT_SPEAKER_MERGE)
        cJSON_AddNumberToObject(json, "merged", r->speaker.merged_id);
    if (r->type == REPORT_SPEAKER_MOVED)
        cJSON_AddNumberToObject(json, "from", r->speaker.merged_id);
    add_text(json, "name", r->speaker.name);
    add_fixed(json, "start", r->speaker.start, 4);
    if (r->type == REPORT_SPEAKER_OFF || r->type == REPORT_SPEAKER_MOVED)
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
    case REPORT_SPEAKER_MOVED: return "speaker_moved";
    case REPORT_BLOCK: return "activity";
    case REPORT_END: return "end";
    case REPORT_SPEAKER_NAME: // the next event of the speaker has the name
    case REPORT_HELLO:
    case REPORT_RESET: break;
    }
    return NULL;
}

static int put_line(const struct sink *s, cJSON *json, struct error *err)
{
    const struct text *t = s->own;
    char *line = cJSON_PrintUnformatted(json);
    size_t n = line ? strlen(line) : 0;
    int status;

    cJSON_Delete(json);
    if (!line)
        return fail(err, "%s: out of memory", t->name);
    line[n++] = '\n'; // in the place of the ending 0
    status = put_text(s, line, n, err);
    free(line);
    return status;
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

const struct sink_kind sink_rttm = {"rttm", 1, text_open, rttm_take, rttm_close};
const struct sink_kind sink_jsonl = {"jsonl", 1, text_open, jsonl_take, text_close};
