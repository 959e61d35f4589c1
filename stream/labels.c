// SPDX-License-Identifier: MIT
#include "stream/labels.h"

#include "model/outfile.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* Stream time after which a TextGrid is written anew: what a crash may cost. */
static const double REWRITE_SECONDS = 60.0;

/* What 6 digits of a second do not tell apart from nothing. */
static const double SHORTEST = 2e-6;

struct labels {
    enum labels_format format;
    char *path;
    FILE *file;         // NULL for a TextGrid
    struct turns turns; // all of them, in one recording
    int out_of_order;   // a turn began before the one written before it
    double last_start, next_rewrite;
};

enum labels_format labels_format_of(const char *path)
{
    const char *dot = strrchr(path, '.');

    if (!dot)
        return LABELS_NONE;
    if (!strcasecmp(dot, ".txt"))
        return LABELS_AUDACITY;
    if (!strcasecmp(dot, ".vtt"))
        return LABELS_WEBVTT;
    return strcasecmp(dot, ".TextGrid") ? LABELS_NONE : LABELS_TEXTGRID;
}

static void labels_free(struct labels *l)
{
    turns_release(&l->turns);
    free(l->path);
    free(l);
}

static const char *shown_path(const struct labels *l)
{
    return strcmp(l->path, "-") ? l->path : "stdout";
}

static int check_written(struct labels *l, struct error *err)
{
    if (fflush(l->file) == 0 && !ferror(l->file))
        return 0;
    return fail(err, "%s: cannot write: %s", shown_path(l), strerror(errno));
}

/* The name in WebVTT, where these three begin something. */
static void put_escaped(FILE *file, const char *name)
{
    for (; *name; name++) {
        if (*name == '&')
            fputs("&amp;", file);
        else if (*name == '<')
            fputs("&lt;", file);
        else if (*name == '>')
            fputs("&gt;", file);
        else
            fputc(*name, file);
    }
}

static void put_clock(FILE *file, double seconds)
{
    long long ms = llround(seconds * 1000.0);

    fprintf(file, "%02lld:%02lld:%02lld.%03lld", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60,
            ms % 1000);
}

static void put_cue(FILE *file, const char *name, double start, double end)
{
    put_clock(file, start);
    fputs(" --> ", file);
    put_clock(file, end - start < 0.001 ? start + 0.001 : end); // a cue has a length
    fputs("\n<v ", file);
    put_escaped(file, name);
    fputc('>', file);
    put_escaped(file, name);
    fputs("</v>\n\n", file);
}

static int by_start(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* A text that was written into memory becomes the file, whole; frees it. */
static int replace_file(const char *path, FILE *memory, char **text, size_t *n, struct error *err)
{
    struct outfile f;
    int bad = ferror(memory), status;

    bad |= fclose(memory);
    if (bad)
        status = fail(err, "%s: out of memory", path);
    else
        status = outfile_open(&f, path, err);
    if (status == 0) {
        status = outfile_write(&f, *text, *n, err);
        if (status == 0)
            status = outfile_commit(&f, err);
        else
            outfile_discard(&f);
    }
    free(*text);
    return status;
}

/* The cues again, in the order WebVTT wants, under the same name at once. */
static int sort_webvtt(struct labels *l, struct error *err)
{
    struct recording *r = &l->turns.list[0];
    char *text = NULL;
    size_t n = 0;
    FILE *memory;
    struct stat st;

    if (stat(l->path, &st) || !S_ISREG(st.st_mode)) // stdout, a pipe: it has been read
        return 0;
    memory = open_memstream(&text, &n);
    if (!memory)
        return fail(err, "%s: out of memory", l->path);
    qsort(r->turns, r->n_turns, sizeof(*r->turns), by_start);
    fputs("WEBVTT\n\n", memory);
    for (size_t i = 0; i < r->n_turns; i++)
        put_cue(memory, r->speakers[r->turns[i].speaker], r->turns[i].start, r->turns[i].end);
    return replace_file(l->path, memory, &text, &n, err);
}

static void put_quoted(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        fputc(*text, file);
        if (*text == '"')
            fputc('"', file);
    }
    fputc('"', file);
}

static void put_interval(FILE *file, size_t number, double begin, double end, const char *text)
{
    if (!file)
        return;
    fprintf(file, "        intervals [%zu]:\n            xmin = %.6f\n            xmax = %.6f\n"
            "            text = ", number, begin, end);
    put_quoted(file, text);
    fputs(" \n", file);
}

/* One speaker's intervals, what is spoken and what is between, without a gap:
 * a tier must cover its whole time. Returns how many; file NULL only counts. */
static size_t put_intervals(FILE *file, const char *name, const struct turn *turns, size_t n,
                            double end)
{
    size_t count = 0;
    double at = 0.0;

    for (size_t i = 0; i <= n; i++) {
        double begin = i < n ? turns[i].start : end;
        if (i < n && turns[i].end - at < SHORTEST)
            continue;
        if (begin - at >= SHORTEST) {
            count++;
            put_interval(file, count, at, begin, "");
            at = begin;
        }
        if (i == n)
            break;
        count++;
        put_interval(file, count, at, turns[i].end, name);
        at = turns[i].end;
    }
    return count;
}

static void put_tier(FILE *file, const char *name, int number, const struct turn *turns, size_t n,
                     double end)
{
    fprintf(file, "    item [%d]:\n        class = \"IntervalTier\" \n        name = ", number);
    put_quoted(file, name);
    fprintf(file, " \n        xmin = 0 \n        xmax = %.6f \n        intervals: size = %zu \n",
            end, put_intervals(NULL, name, turns, n, end));
    put_intervals(file, name, turns, n, end);
}

static void put_textgrid(FILE *file, const struct recording *r, const struct turn *turns, size_t n,
                         double end)
{
    int n_speakers = r ? r->n_speakers : 0;
    size_t at = 0;

    fprintf(file, "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\nxmin = 0 \n"
            "xmax = %.6f \ntiers? <exists> \nsize = %d \nitem []: \n", end,
            n_speakers ? n_speakers : 1);
    if (n_speakers == 0) // a TextGrid has at least one tier
        put_tier(file, "speakers", 1, NULL, 0, end);
    for (int i = 0; i < n_speakers; i++) {
        size_t begin = at;
        while (at < n && turns[at].speaker == i)
            at++;
        put_tier(file, r->speakers[i], i + 1, turns + begin, at - begin, end);
    }
}

static int write_textgrid(struct labels *l, double end, struct error *err)
{
    const struct recording *r = l->turns.n ? &l->turns.list[0] : NULL;
    size_t n_turns, n = 0;
    struct turn *turns = recording_merged(r, &n_turns, err);
    char *text = NULL;
    FILE *memory = turns ? open_memstream(&text, &n) : NULL;

    if (!memory) {
        free(turns);
        return fail(err, "%s: out of memory", l->path);
    }
    for (size_t i = 0; i < n_turns; i++)
        end = turns[i].end > end ? turns[i].end : end;
    put_textgrid(memory, r, turns, n_turns, end > 0.001 ? end : 0.001);
    free(turns);
    return replace_file(l->path, memory, &text, &n, err);
}

static int open_file(struct labels *l, struct error *err)
{
    if (l->format == LABELS_TEXTGRID)
        return strcmp(l->path, "-") ? write_textgrid(l, 0.0, err)
                                    : fail(err, "stdout cannot take a TextGrid, which is written "
                                           "anew when it grows");
    l->file = strcmp(l->path, "-") ? fopen(l->path, "w") : stdout;
    if (!l->file)
        return fail(err, "%s: cannot write: %s", l->path, strerror(errno));
    if (l->format == LABELS_WEBVTT)
        fputs("WEBVTT\n\n", l->file);
    return check_written(l, err);
}

int labels_open(struct labels **out, const char *path, enum labels_format format,
                struct error *err)
{
    struct labels *l = calloc(1, sizeof(*l));

    *out = NULL;
    if (!l)
        return fail(err, "out of memory");
    l->format = format;
    l->next_rewrite = REWRITE_SECONDS;
    l->path = strdup(path);
    if ((l->path ? open_file(l, err) : fail(err, "out of memory")) != 0) {
        if (l->file && l->file != stdout)
            fclose(l->file);
        labels_free(l);
        return -1;
    }
    *out = l;
    return 0;
}

static int keep(struct labels *l, const char *name, double start, double end, struct error *err)
{
    const struct field recording = {"recording", 9};

    if (turns_add(&l->turns, recording, (struct field){name, strlen(name)}, start, end, err))
        return fail_prefix(err, "%s: ", shown_path(l));
    if (start < l->last_start)
        l->out_of_order = 1;
    l->last_start = start;
    return 0;
}

/* A copy of the name that every format can bear: one line of UTF-8. */
static char *clean(const char *speaker)
{
    char *name = strdup(*speaker ? speaker : "?");
    int utf8;

    if (!name)
        return NULL;
    for (char *c = name; *c; c++)
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    utf8 = scan_printable((struct field){name, strlen(name)});
    for (char *c = name; *c && !utf8; c++)
        *c = (unsigned char)*c < 0x80 ? *c : '?';
    return name;
}

int labels_turn(struct labels *l, const char *speaker, double start, double end,
                struct error *err)
{
    char *name = clean(speaker);
    int status = name ? 0 : fail(err, "out of memory");

    if (status == 0 && l->format == LABELS_AUDACITY)
        fprintf(l->file, "%.6f\t%.6f\t%s\n", start, end, name);
    else if (status == 0)
        status = keep(l, name, start, end, err);
    if (status == 0 && l->format == LABELS_WEBVTT)
        put_cue(l->file, name, start, end);
    if (status == 0 && l->file)
        status = check_written(l, err);
    if (status == 0 && l->format == LABELS_TEXTGRID && end >= l->next_rewrite) {
        status = write_textgrid(l, end, err);
        l->next_rewrite = end + REWRITE_SECONDS;
    }
    free(name);
    return status;
}

int labels_close(struct labels **out, double end, struct error *err)
{
    struct labels *l = *out;
    int status = 0;

    if (!l)
        return 0;
    *out = NULL;
    if (l->file) {
        status = check_written(l, err);
        if (l->file != stdout && fclose(l->file) && status == 0)
            status = fail(err, "%s: cannot write: %s", l->path, strerror(errno));
    }
    if (status == 0 && l->format == LABELS_WEBVTT && l->out_of_order)
        status = sort_webvtt(l, err);
    if (status == 0 && l->format == LABELS_TEXTGRID)
        status = write_textgrid(l, end, err);
    labels_free(l);
    return status;
}
