// SPDX-License-Identifier: MIT
#include "prune/data_lists.h"

#include "stream/audio_file.h"
#include "stream/rttm.h"
#include "stream/scan.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BEYOND 0.1 // s that a region may end behind its audio: rounding in lists

/* Room for one more; the array and its room are the caller's. */
static void *grown(void *array, int n, int *room, size_t size, struct error *err)
{
    int more = *room ? 2 * *room : 16;

    if (n < *room)
        return array;
    array = realloc(array, (size_t)more * size);
    if (array)
        *room = more;
    else
        fail(err, "out of memory for %d lines", more);
    return array;
}

static int shown(struct field f)
{
    return f.n < 60 ? (int)f.n : 60;
}

/* A path as the program can open it; to be freed. */
static char *resolve(const char *folder, struct field path, struct error *err)
{
    char *inside = NULL, *plain = strndup(path.at, path.n);

    if (!plain || asprintf(&inside, "%s/%s", folder, plain) < 0) {
        free(plain);
        fail(err, "out of memory");
        return NULL;
    }
    if (*plain != '/' && access(inside, F_OK) == 0) {
        free(plain);
        return inside;
    }
    free(inside);
    return plain;
}

static int check_audio(struct data_recording *r, struct error *err)
{
    struct audio_file f;

    if (audio_file_open(&f, r->path, err))
        return -1;
    r->rate_hz = f.rate_hz;
    r->seconds = (double)f.n_ticks / f.rate_hz;
    audio_file_close(&f);
    return 0;
}

static int add_recording(struct data_lists *l, const char *folder, struct field line, int number,
                         struct error *err)
{
    struct field name, path;
    void *grow;

    scan_fields(&name, 1, line);
    path = scan_trim((struct field){name.at + name.n,
                                    (size_t)(line.at + line.n - name.at - (long)name.n)});
    if (path.n == 0)
        return fail(err, "only \"%.*s\"; should be a recording's name and its audio file",
                    shown(name), name.at);
    if (path.at[path.n - 1] == '|')
        return fail(err, "a command instead of a file; run it once and name its output");
    if (path.n >= PATH_MAX || !scan_printable(name) || !scan_printable(path))
        return fail(err, "no proper name or path of an audio file");
    grow = grown(l->recordings, l->n, &l->room, sizeof(*l->recordings), err);
    if (!grow)
        return -1;
    l->recordings = grow;
    struct data_recording *r = &l->recordings[l->n++];
    *r = (struct data_recording){.line = number};
    r->name = strndup(name.at, name.n);
    r->path = resolve(folder, path, err);
    if (!r->name || !r->path)
        return fail(err, "out of memory");
    return check_audio(r, err);
}

static int by_name(const void *a, const void *b, void *recordings)
{
    const struct data_recording *r = recordings;
    int x = *(const int *)a, y = *(const int *)b, order = strcmp(r[x].name, r[y].name);

    return order ? order : x - y;
}

/* Sorts the names and refuses a name that is there twice. */
static int index_names(struct data_lists *l, struct error *err)
{
    l->by_name = malloc(((size_t)l->n + 1) * sizeof(*l->by_name));
    if (!l->by_name)
        return fail(err, "out of memory for %d recordings", l->n);
    for (int i = 0; i < l->n; i++)
        l->by_name[i] = i;
    qsort_r(l->by_name, (size_t)l->n, sizeof(*l->by_name), by_name, l->recordings);
    for (int i = 1; i < l->n; i++) {
        const struct data_recording *a = &l->recordings[l->by_name[i - 1]];
        const struct data_recording *b = &l->recordings[l->by_name[i]];
        if (!strcmp(a->name, b->name))
            return fail(err, "line %d: recording \"%.60s\" was in line %d already; give each a "
                        "name of its own", b->line, b->name, a->line);
    }
    return 0;
}

static struct data_recording *find(const struct data_lists *l, struct field name)
{
    int low = 0, high = l->n;

    while (low < high) {
        int middle = low + (high - low) / 2;
        struct data_recording *r = &l->recordings[l->by_name[middle]];
        size_t n = strlen(r->name);
        int order = strncmp(r->name, name.at, name.n);
        if (order == 0 && n == name.n)
            return r;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* One list: every line that is none of comment's or empty goes to `take`. */
static int read_list(struct data_lists *l, const char *folder, const char *file,
                     int (*take)(struct data_lists *l, const char *folder, struct field line,
                                 int number, struct error *err),
                     int (*check)(struct turns *t, struct field text, struct error *err),
                     struct error *err)
{
    struct scan text = {0};
    struct scan_lines at = {0};
    struct turns t = {0};
    struct field line;
    char path[PATH_MAX];
    int status = 0;

    if (snprintf(path, sizeof(path), "%s/%s", folder, file) >= (int)sizeof(path))
        return fail(err, "%.60s...: the name of a folder is too long", folder);
    if (scan_read(&text, path, err))
        return -1;
    if (check && check(&t, (struct field){text.bytes, text.n}, err))
        status = fail_prefix(err, "%s: ", path);
    turns_release(&t);
    at.rest = (struct field){text.bytes, text.n};
    while (status == 0 && scan_line(&at, &line)) {
        line = scan_trim(line);
        if (line.n == 0 || *line.at == '#' || *line.at == ';')
            continue;
        status = take(l, folder, line, at.number, err);
        if (status)
            fail_prefix(err, "%s: line %d: ", path, at.number);
    }
    scan_release(&text);
    return status;
}

/* Where the name stands in the table, or where it would. */
static int *slot_of(const struct data_lists *l, struct field name)
{
    uint64_t hash = 14695981039346656037u; // FNV-1a

    for (size_t i = 0; i < name.n; i++)
        hash = (hash ^ (unsigned char)name.at[i]) * 1099511628211u;
    size_t at = (size_t)(hash ^ hash >> 32) & (l->n_slots - 1);
    while (l->slots[at] && !scan_is(name, l->speakers[l->slots[at] - 1]))
        at = (at + 1) & (l->n_slots - 1);
    return &l->slots[at];
}

/* Keeps half of the table free. */
static int grow_slots(struct data_lists *l, struct error *err)
{
    size_t n = l->n_slots ? 2 * l->n_slots : 64;
    int *slots;

    if (2 * ((size_t)l->n_speakers + 1) <= l->n_slots)
        return 0;
    slots = calloc(n, sizeof(*slots));
    if (!slots)
        return fail(err, "out of memory for %d speakers", l->n_speakers);
    free(l->slots);
    l->slots = slots;
    l->n_slots = n;
    for (int i = 0; i < l->n_speakers; i++)
        *slot_of(l, (struct field){l->speakers[i], strlen(l->speakers[i])}) = i + 1;
    return 0;
}

/* A speaker's number is that of the order of mention. */
static int speaker_number(struct data_lists *l, struct field name, struct error *err)
{
    void *grow;
    int *slot;

    if (grow_slots(l, err))
        return -1;
    slot = slot_of(l, name);
    if (*slot)
        return *slot - 1;
    grow = grown(l->speakers, l->n_speakers, &l->speakers_room, sizeof(*l->speakers), err);
    if (!grow)
        return -1;
    l->speakers = grow;
    l->speakers[l->n_speakers] = strndup(name.at, name.n);
    if (!l->speakers[l->n_speakers])
        return fail(err, "out of memory");
    *slot = ++l->n_speakers;
    return l->n_speakers - 1;
}

static int add_turn(struct data_lists *l, const char *folder, struct field line, int number,
                    struct error *err)
{
    struct data_recording *r;
    struct field f[10];
    double start, duration;
    void *grow;
    int speaker;

    (void)folder, (void)number;
    scan_fields(f, 10, line);
    if (!scan_is(f[0], "SPEAKER"))
        return 0;
    r = find(l, f[1]);
    if (!r)
        return fail(err, "recording \"%.*s\" is not in wav.scp", shown(f[1]), f[1].at);
    scan_number(&start, f[3]); // rttm_parse has checked both
    scan_number(&duration, f[4]);
    if (start > r->seconds + BEYOND)
        return fail(err, "a turn at %.2f s, but the audio of %.60s ends at %.2f s", start,
                    r->name, r->seconds);
    speaker = speaker_number(l, f[7], err);
    grow = grown(r->turns, r->n_turns, &r->turns_room, sizeof(*r->turns), err);
    if (!grow)
        return -1;
    r->turns = grow;
    if (speaker < 0)
        return -1;
    r->turns[r->n_turns++] = (struct data_turn){(float)start, (float)(start + duration), speaker};
    return 0;
}

static int add_region(struct data_lists *l, const char *folder, struct field line, int number,
                      struct error *err)
{
    struct data_recording *r;
    struct field f[4];
    double start, end;
    void *grow;

    (void)folder;
    scan_fields(f, 4, line);
    r = find(l, f[0]);
    if (!r)
        return fail(err, "recording \"%.*s\" is not in wav.scp", shown(f[0]), f[0].at);
    scan_number(&start, f[2]); // uem_parse has checked both
    scan_number(&end, f[3]);
    if (end > r->seconds + BEYOND)
        return fail(err, "ends at %.2f s, but the audio of %.60s ends at %.2f s", end, r->name,
                    r->seconds);
    grow = grown(r->regions, r->n_regions, &r->regions_room, sizeof(*r->regions), err);
    if (!grow)
        return -1;
    r->regions = grow;
    r->regions[r->n_regions++] = (struct data_region){start, end, number};
    return 0;
}

static int whole_recordings(struct data_lists *l, struct error *err)
{
    for (int i = 0; i < l->n; i++) {
        struct data_recording *r = &l->recordings[i];
        r->regions = malloc(sizeof(*r->regions));
        if (!r->regions)
            return fail(err, "out of memory");
        r->regions[0] = (struct data_region){0.0, r->seconds, 0};
        r->n_regions = r->regions_room = 1;
    }
    return 0;
}

static int read_scp(struct data_lists *l, const char *folder, struct error *err)
{
    if (read_list(l, folder, "wav.scp", add_recording, NULL, err))
        return -1;
    if (l->n == 0)
        return fail(err, "%s/wav.scp: no recording in it", folder);
    return index_names(l, err) ? fail_prefix(err, "%s/wav.scp: ", folder) : 0;
}

int data_lists_read(struct data_lists *l, const char *folder, struct error *err)
{
    char uem[PATH_MAX];
    int status, has_uem;

    *l = (struct data_lists){0};
    snprintf(uem, sizeof(uem), "%s/all.uem", folder);
    has_uem = access(uem, F_OK) == 0;
    status = read_scp(l, folder, err);
    if (status == 0)
        status = read_list(l, folder, "rttm", add_turn, rttm_parse, err);
    if (status == 0)
        status = has_uem ? read_list(l, folder, "all.uem", add_region, uem_parse, err)
                         : whole_recordings(l, err);
    if (status)
        data_lists_release(l);
    return status;
}

void data_lists_release(struct data_lists *l)
{
    for (int i = 0; i < l->n; i++) {
        free(l->recordings[i].name);
        free(l->recordings[i].path);
        free(l->recordings[i].turns);
        free(l->recordings[i].regions);
    }
    for (int i = 0; i < l->n_speakers; i++)
        free(l->speakers[i]);
    free(l->recordings);
    free(l->by_name);
    free(l->speakers);
    free(l->slots);
    *l = (struct data_lists){0};
}
