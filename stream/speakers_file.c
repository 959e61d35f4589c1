// SPDX-License-Identifier: MIT
#include "stream/speakers_file.h"

#include "model/json.h"
#include "model/outfile.h"
#include "model/text.h"
#include "stream/scan.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double MOST_FRAMES = 1e6, MOST_VALUE = 1e6;

void speakers_init(struct speakers *s, uint64_t model, int width)
{
    *s = (struct speakers){.model = model, .width = width};
}

void speakers_release(struct speakers *s)
{
    for (int i = 0; i < s->n; i++)
        free(s->list[i].vectors);
    free(s->list);
    *s = (struct speakers){0};
}

static int check_name(const char *name, struct error *err)
{
    size_t n = strlen(name);

    if (n == 0 || n >= REPORT_NAME_BYTES || !utf8_valid(name, n))
        return fail(err, "a name is 1 to %d bytes of UTF-8", REPORT_NAME_BYTES - 1);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] < ' ' || name[i] == 127)
            return fail(err, "a name has no control characters");
    }
    return 0;
}

struct known_speaker *speakers_get(struct speakers *s, const char *name, struct error *err)
{
    struct known_speaker *list, *who;

    if (check_name(name, err))
        return NULL;
    for (int i = 0; i < s->n; i++) {
        if (!strcmp(s->list[i].name, name))
            return &s->list[i];
    }
    if (s->n == SPEAKERS_KNOWN_MAX) {
        fail(err, "more than %d speakers", SPEAKERS_KNOWN_MAX);
        return NULL;
    }
    list = realloc(s->list, (size_t)(s->n + 1) * sizeof(*list));
    if (list)
        s->list = list;
    float *vectors = calloc((size_t)SPEAKER_MAX_PROTOTYPES * (size_t)s->width, sizeof(float));
    if (!list || !vectors) {
        free(vectors);
        fail(err, "out of memory");
        return NULL;
    }
    who = &s->list[s->n++];
    *who = (struct known_speaker){.vectors = vectors};
    snprintf(who->name, sizeof(who->name), "%s", name);
    return who;
}

/* Adds to a prototype: the mean of both. */
static void join(const struct speakers *s, struct known_speaker *who, int k, const float *vector,
                 float frames)
{
    float share = who->frames[k] / (who->frames[k] + frames);
    float *to = who->vectors + (size_t)k * (size_t)s->width;

    for (int e = 0; e < s->width; e++)
        to[e] = share * to[e] + (1.0f - share) * vector[e];
    who->frames[k] += frames;
}

void speakers_add(const struct speakers *s, struct known_speaker *who, const float *vector,
                  float frames)
{
    int light = 0;

    if (who->n < SPEAKER_MAX_PROTOTYPES) {
        memcpy(who->vectors + (size_t)who->n * (size_t)s->width, vector,
               (size_t)s->width * sizeof(float));
        who->frames[who->n++] = frames;
        return;
    }
    for (int k = 1; k < who->n; k++)
        light = who->frames[k] < who->frames[light] ? k : light;
    join(s, who, light, vector, frames);
}

static int read_prototype(struct speakers *s, struct known_speaker *who, const cJSON *json,
                          float *vector, struct error *err)
{
    const cJSON *frames = cJSON_GetObjectItemCaseSensitive(json, "frames"), *value;
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(json, "vector");
    int n = 0;

    if (!cJSON_IsNumber(frames) ||
        !(frames->valuedouble >= 1.0 && frames->valuedouble <= MOST_FRAMES))
        return fail(err, "%s: \"frames\" should be 1 to 1000000", who->name);
    if (!cJSON_IsArray(values))
        return fail(err, "%s: no \"vector\"", who->name);
    cJSON_ArrayForEach(value, values) {
        if (n == s->width || !cJSON_IsNumber(value) || !(fabs(value->valuedouble) <= MOST_VALUE))
            return fail(err, "%s: \"vector\" should be %d numbers", who->name, s->width);
        vector[n++] = (float)value->valuedouble;
    }
    if (n != s->width)
        return fail(err, "%s: \"vector\" has %d numbers, the model %d", who->name, n, s->width);
    speakers_add(s, who, vector, (float)frames->valuedouble);
    return 0;
}

static int read_speaker(struct speakers *s, const cJSON *json, float *vector, struct error *err)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(json, "name"), *prototype;
    const cJSON *prototypes = cJSON_GetObjectItemCaseSensitive(json, "prototypes");
    int before = s->n, n = 0;
    struct known_speaker *who;

    if (!cJSON_IsString(name) || !cJSON_IsArray(prototypes))
        return fail(err, "a speaker without \"name\" or \"prototypes\"");
    who = speakers_get(s, name->valuestring, err);
    if (!who)
        return -1;
    if (s->n == before)
        return fail(err, "%s: stands there twice", who->name);
    cJSON_ArrayForEach(prototype, prototypes) {
        if (n++ == SPEAKER_MAX_PROTOTYPES)
            return fail(err, "%s: more than %d prototypes", who->name, SPEAKER_MAX_PROTOTYPES);
        if (read_prototype(s, who, prototype, vector, err))
            return -1;
    }
    return who->n ? 0 : fail(err, "%s: no prototypes", who->name);
}

static int read_json(struct speakers *s, const cJSON *json, struct error *err)
{
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(json, "format"), *one;
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(json, "model");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "speakers");
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(json, "version");
    char want[20];
    int status = 0;

    if (!cJSON_IsString(format) || strcmp(format->valuestring, "antiphon speakers"))
        return fail(err, "is no file of speakers; `antiphon enroll` makes them");
    if (!cJSON_IsNumber(version) || version->valuedouble != 1.0)
        return fail(err, "of another version; this program reads version 1");
    snprintf(want, sizeof(want), "%016" PRIx64, s->model);
    if (!cJSON_IsString(model) || strcmp(model->valuestring, want))
        return fail(err, "made by another model; enroll these people again with this one (-m)");
    if (!cJSON_IsArray(list))
        return fail(err, "no list of \"speakers\"");
    float *vector = calloc((size_t)s->width + 1, sizeof(*vector));
    if (!vector)
        return fail(err, "out of memory");
    cJSON_ArrayForEach(one, list) {
        status = status ? status : read_speaker(s, one, vector, err);
    }
    free(vector);
    return status;
}

int speakers_parse(struct speakers *s, const char *text, size_t n, struct error *err)
{
    static const struct json_limits limits = {
        "it", "; `antiphon enroll` makes files of speakers", 64 << 20, 1 << 22, 8, 1,
    };
    cJSON *json = json_read(text, n, &limits, err);
    int status = json ? read_json(s, json, err) : -1;

    cJSON_Delete(json);
    return status;
}

int speakers_read(struct speakers *s, const char *path, struct error *err)
{
    struct scan text;
    int status;

    if (scan_read(&text, path, err))
        return -1;
    status = speakers_parse(s, text.bytes, text.n, err);
    if (status)
        fail_prefix(err, "%s: ", path);
    scan_release(&text);
    return status;
}

static void write_speaker(struct text *t, const struct speakers *s, const struct known_speaker *who)
{
    text_puts(t, "{\"name\": ");
    text_json_string(t, who->name, strlen(who->name));
    text_puts(t, ", \"prototypes\": [");
    for (int k = 0; k < who->n; k++) {
        text_printf(t, "%s\n  {\"frames\": %d, \"vector\": [", k ? "," : "",
                    (int)fmin((double)who->frames[k], MOST_FRAMES));
        for (int e = 0; e < s->width; e++) {
            text_puts(t, e ? ", " : "");
            text_json_double(t, (double)who->vectors[k * s->width + e]);
        }
        text_puts(t, "]}");
    }
    text_puts(t, "]}");
}

int speakers_write(const struct speakers *s, const char *path, struct error *err)
{
    struct text t = {0};
    struct outfile f;
    int status = -1;

    text_printf(&t, "{\"format\": \"antiphon speakers\", \"version\": 1, \"model\": \"%016" PRIx64
                    "\", \"width\": %d, \"speakers\": [", s->model, s->width);
    for (int i = 0; i < s->n; i++) {
        text_puts(&t, i ? ",\n " : "\n ");
        write_speaker(&t, s, &s->list[i]);
    }
    text_puts(&t, "]}\n");
    if (text_check(&t, path, err) == 0 && outfile_open(&f, path, err) == 0) {
        if (outfile_write(&f, t.bytes, t.n, err))
            outfile_discard(&f);
        else
            status = outfile_commit(&f, err);
    }
    text_release(&t);
    return status;
}
