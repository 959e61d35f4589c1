// SPDX-License-Identifier: MIT
/* labels_read.c - turns out of Audacity labels, WebVTT and Praat TextGrids. */
#include "stream/labels.h"

#include "stream/textgrid.h"

#include <stdlib.h>
#include <string.h>

static int shown(struct field f)
{
    return f.n < 60 ? (int)f.n : 60;
}

/* start TAB end TAB speaker; a line that begins with a backslash holds the
 * frequencies of the label before it. */
static int audacity_line(struct turns *t, struct field line, struct field recording,
                         struct error *err)
{
    const char *first = memchr(line.at, '\t', line.n), *second;
    struct field f[3];
    double start, end;

    second = first ? memchr(first + 1, '\t', (size_t)(line.at + line.n - first - 1)) : NULL;
    if (!second)
        return fail(err, "is no label; should be start TAB end TAB speaker");
    f[0] = scan_trim((struct field){line.at, (size_t)(first - line.at)});
    f[1] = scan_trim((struct field){first + 1, (size_t)(second - first - 1)});
    f[2] = scan_trim((struct field){second + 1, (size_t)(line.at + line.n - second - 1)});
    if (scan_number(&start, f[0]) || scan_number(&end, f[1]))
        return fail(err, "\"%.*s\" to \"%.*s\" are not two numbers of seconds", shown(f[0]),
                    f[0].at, shown(f[1]), f[1].at);
    return turns_add(t, recording, f[2], start, end, err);
}

static int parse_audacity(struct turns *t, struct field text, struct field recording,
                          struct error *err)
{
    struct scan_lines at = {text, 0};
    struct field line;

    while (scan_line(&at, &line)) {
        if (scan_trim(line).n && *line.at != '\\' && audacity_line(t, line, recording, err))
            return fail_prefix(err, "line %d: ", at.number);
    }
    return 0;
}

/* [HH:]MM:SS.mmm */
static int clock_seconds(double *seconds, struct field f)
{
    double total = 0.0, part;
    int parts = 1;

    for (const char *colon; (colon = memchr(f.at, ':', f.n)) != NULL; parts++) {
        struct field piece = {f.at, (size_t)(colon - f.at)};
        if (parts > 2 || memchr(piece.at, '.', piece.n) || scan_number(&part, piece) || part < 0.0)
            return -1;
        total = total * 60.0 + part;
        f = (struct field){colon + 1, f.n - piece.n - 1};
    }
    if (parts < 2 || scan_number(&part, f) || !(part >= 0.0 && part < 60.0))
        return -1;
    *seconds = total * 60.0 + part;
    return 0;
}

/* A voice's name without the escapes, to be freed. */
static char *unescaped(struct field f)
{
    static const struct {
        const char *escape, *text;
    } table[] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&nbsp;", " "}};
    char *out = malloc(f.n + 1), *to = out;

    while (out && f.n) {
        const char *text = NULL;
        size_t taken = 1;
        for (size_t i = 0; i < sizeof(table) / sizeof(*table) && !text; i++) {
            if (scan_begins(f, table[i].escape)) {
                text = table[i].text;
                taken = strlen(table[i].escape);
            }
        }
        *to++ = text ? *text : *f.at;
        f = (struct field){f.at + taken, f.n - taken};
    }
    if (out)
        *to = 0;
    return out;
}

/* Every <v NAME> or <v.class NAME> of a payload line is a turn of the cue. */
static int voices(struct turns *t, struct field line, struct field recording, const double *cue,
                  int *n, struct error *err)
{
    for (size_t i = 0; i + 2 < line.n; i++) {
        struct field rest = {line.at + i, line.n - i};
        const char *end, *blank;
        if (!scan_begins(rest, "<v ") && !scan_begins(rest, "<v.") && !scan_begins(rest, "<v\t"))
            continue;
        end = memchr(rest.at, '>', rest.n);
        if (!end)
            return fail(err, "a voice tag is not closed");
        for (blank = rest.at; blank < end && *blank != ' ' && *blank != '\t';)
            blank++;
        char *name = unescaped(scan_trim((struct field){blank, (size_t)(end - blank)}));
        int status = name ? turns_add(t, recording, (struct field){name, strlen(name)}, cue[0],
                                      cue[1], err)
                          : fail(err, "out of memory");
        free(name);
        if (status)
            return -1;
        i = (size_t)(end - line.at);
        ++*n;
    }
    return 0;
}

static int cue_times(double *cue, struct field line, struct error *err)
{
    struct field f[3];

    if (scan_fields(f, 3, line) < 3 || !scan_is(f[1], "-->") || clock_seconds(&cue[0], f[0]) ||
        clock_seconds(&cue[1], f[2]))
        return fail(err, "\"%.*s\" are no times; should be 00:00:01.000 --> 00:00:02.000",
                    shown(line), line.at);
    return 0;
}

static int has_arrow(struct field line)
{
    for (size_t i = 0; i + 3 <= line.n; i++) {
        if (!memcmp(line.at + i, "-->", 3))
            return 1;
    }
    return 0;
}

/* A block is what stands between empty lines: the header, notes, styles and
 * regions have no arrow, a cue has one in its first or second line. */
static int parse_webvtt(struct turns *t, struct field text, struct field recording,
                        struct error *err)
{
    struct scan_lines at = {text, 0};
    struct field line;
    double cue[2];
    int in_cue = 0, n_voices = 0, status = 0;

    if (!scan_line(&at, &line) || !scan_begins(line, "WEBVTT"))
        return fail(err, "line 1: does not begin with WEBVTT");
    while (status == 0 && scan_line(&at, &line)) {
        int empty = line.n == 0;
        if (empty && in_cue && n_voices == 0)
            status = fail(err, "the cue that ends here names no speaker; should have <v NAME>");
        else if (!empty && in_cue)
            status = voices(t, line, recording, cue, &n_voices, err);
        else if (!empty && has_arrow(line))
            status = cue_times(cue, line, err);
        in_cue = !empty && (in_cue || has_arrow(line));
        n_voices = in_cue ? n_voices : 0;
    }
    if (status == 0 && in_cue && n_voices == 0)
        status = fail(err, "the last cue names no speaker; should have <v NAME>");
    return status ? fail_prefix(err, "line %d: ", at.number) : 0;
}

int labels_parse(struct turns *t, struct field text, enum labels_format format,
                 struct field recording, struct error *err)
{
    if (!turns_recording(t, recording, err))
        return -1;
    switch (format) {
    case LABELS_AUDACITY: return parse_audacity(t, text, recording, err);
    case LABELS_WEBVTT: return parse_webvtt(t, text, recording, err);
    case LABELS_TEXTGRID: return textgrid_parse(t, text, recording, err);
    case LABELS_NONE: break;
    }
    return fail(err, "is no format of labels");
}
