// SPDX-License-Identifier: MIT
#include "stream/turns.h"

#include "stream/labels.h"
#include "stream/rttm.h"

#include <stdlib.h>
#include <string.h>

static char *copy(struct field f)
{
    char *text = malloc(f.n + 1);

    if (text) {
        memcpy(text, f.at, f.n);
        text[f.n] = 0;
    }
    return text;
}

static int compare(struct field f, const char *name)
{
    size_t n = strlen(name), least = f.n < n ? f.n : n;
    int order = memcmp(f.at, name, least);

    return order ? order : (f.n > n) - (f.n < n);
}

/* The place of the name among the sorted recordings, or where it belongs. */
static int place_of(const struct turns *t, struct field name, int *found)
{
    int low = 0, high = t->n;

    while (low < high) {
        int middle = low + (high - low) / 2, order = compare(name, t->list[middle].name);
        if (order == 0) {
            *found = 1;
            return middle;
        }
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = 0;
    return low;
}

static int check_name(const char *what, struct field name, struct error *err)
{
    if (name.n == 0)
        return fail(err, "the %s has no name", what);
    if (name.n > 1000)
        return fail(err, "the name of the %s is longer than 1000 bytes", what);
    if (!scan_printable(name))
        return fail(err, "the name of the %s is not UTF-8 text", what);
    return 0;
}

struct recording *turns_recording(struct turns *t, struct field name, struct error *err)
{
    int found, at = place_of(t, name, &found);
    char *own;

    if (found)
        return &t->list[at];
    if (check_name("recording", name, err))
        return NULL;
    if (t->n == TURNS_MAX_RECORDINGS) {
        fail(err, "more than %d recordings", TURNS_MAX_RECORDINGS);
        return NULL;
    }
    if (t->n == t->room) {
        int room = t->room ? 2 * t->room : 16;
        struct recording *more = realloc(t->list, (size_t)room * sizeof(*more));
        if (!more) {
            fail(err, "out of memory");
            return NULL;
        }
        t->list = more;
        t->room = room;
    }
    own = copy(name);
    if (!own) {
        fail(err, "out of memory");
        return NULL;
    }
    memmove(t->list + at + 1, t->list + at, (size_t)(t->n - at) * sizeof(*t->list));
    t->list[at] = (struct recording){.name = own};
    t->n++;
    return &t->list[at];
}

const struct recording *turns_find(const struct turns *t, const char *name)
{
    int found, at = place_of(t, (struct field){name, strlen(name)}, &found);

    return found ? &t->list[at] : NULL;
}

/* The index of a speaker, who is added if new; -1 with err filled. */
static int speaker_of(struct recording *r, struct field name, struct error *err)
{
    char **more;

    for (int i = 0; i < r->n_speakers; i++) {
        if (scan_is(name, r->speakers[i]))
            return i;
    }
    if (check_name("speaker", name, err))
        return -1;
    if (r->n_speakers == TURNS_MAX_SPEAKERS)
        return fail(err, "recording %s has more than %d speakers", r->name, TURNS_MAX_SPEAKERS);
    more = realloc(r->speakers, (size_t)(r->n_speakers + 1) * sizeof(*more));
    if (!more)
        return fail(err, "out of memory");
    r->speakers = more;
    r->speakers[r->n_speakers] = copy(name);
    if (!r->speakers[r->n_speakers])
        return fail(err, "out of memory");
    return r->n_speakers++;
}

static int add(struct recording *r, struct field name, double start, double end,
               struct error *err)
{
    int speaker = speaker_of(r, name, err);

    if (speaker < 0)
        return -1;
    if (r->n_turns == r->room) {
        size_t room = r->room ? 2 * r->room : 64;
        struct turn *more = realloc(r->turns, room * sizeof(*more));
        if (!more)
            return fail(err, "out of memory");
        r->turns = more;
        r->room = room;
    }
    r->turns[r->n_turns++] = (struct turn){start, end, speaker};
    return 0;
}

int turns_add(struct turns *t, struct field recording, struct field speaker, double start,
              double end, struct error *err)
{
    struct recording *r;

    if (!(start >= 0.0))
        return fail(err, "starts at %.6g s, before the recording", start);
    if (!(end >= start))
        return fail(err, "ends at %.6g s, before its start at %.6g s", end, start);
    if (end > TURNS_MAX_SECONDS)
        return fail(err, "ends at %.6g s; times are seconds, 100 days at most", end);
    r = turns_recording(t, recording, err);
    return r ? add(r, speaker, start, end, err) : -1;
}

int turns_append(struct turns *t, const struct turns *other, struct error *err)
{
    for (int i = 0; i < other->n; i++) {
        const struct recording *from = &other->list[i];
        struct recording *r = turns_recording(t, (struct field){from->name, strlen(from->name)},
                                              err);
        for (size_t k = 0; r && k < from->n_turns; k++) {
            const struct turn *turn = &from->turns[k];
            const char *speaker = from->speakers[turn->speaker];
            if (add(r, (struct field){speaker, strlen(speaker)}, turn->start, turn->end, err))
                return -1;
        }
        if (!r)
            return -1;
    }
    return 0;
}

void turns_release(struct turns *t)
{
    for (int i = 0; i < t->n; i++) {
        struct recording *r = &t->list[i];
        for (int k = 0; k < r->n_speakers; k++)
            free(r->speakers[k]);
        free(r->speakers);
        free(r->turns);
        free(r->channel);
        free(r->name);
    }
    free(t->list);
    *t = (struct turns){0};
}

static int by_speaker_and_start(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    if (x->speaker != y->speaker)
        return x->speaker < y->speaker ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* start + duration in floating point may miss the next start by a rounding:
 * less than a nanosecond is not an overlap. */
static int overlap(const struct turn *earlier, const struct turn *later)
{
    return later->speaker == earlier->speaker && later->start < earlier->end - 5e-10;
}

struct turn *recording_merged(const struct recording *r, size_t *n, struct error *err)
{
    size_t all = r ? r->n_turns : 0, kept = 0;
    struct turn *turns = malloc((all + 1) * sizeof(*turns));

    *n = 0;
    if (!turns) {
        fail(err, "out of memory");
        return NULL;
    }
    if (all)
        memcpy(turns, r->turns, all * sizeof(*turns));
    qsort(turns, all, sizeof(*turns), by_speaker_and_start);
    for (size_t i = 0; i < all; i++) {
        if (kept == 0 || !overlap(&turns[kept - 1], &turns[i]))
            turns[kept++] = turns[i];
        else if (turns[i].end > turns[kept - 1].end)
            turns[kept - 1].end = turns[i].end;
    }
    *n = kept;
    return turns;
}

/* The file's name without folder and extension. */
static struct field stem(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');

    return (struct field){name, dot && dot > name ? (size_t)(dot - name) : strlen(name)};
}

int turns_read(struct turns *t, const char *path, struct error *err)
{
    enum labels_format format = labels_format_of(path);
    struct scan text;
    struct field all;
    int status;

    if (scan_read(&text, path, err))
        return -1;
    all = (struct field){text.bytes, text.n};
    if (format == LABELS_NONE)
        status = rttm_parse(t, all, err);
    else
        status = labels_parse(t, all, format, stem(path), err);
    if (status)
        fail_prefix(err, "%s: ", strcmp(path, "-") ? path : "stdin");
    scan_release(&text);
    return status;
}
