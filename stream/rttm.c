// SPDX-License-Identifier: MIT
#include "stream/rttm.h"

#include <stdlib.h>
#include <string.h>

/* NIST RT-09 evaluation plan, appendix: every type but SPEAKER. */
static const char *const other_types[] = {
    "A/P", "CB", "EDIT", "FILLER", "IP", "LEXEME", "NON-LEX", "NON-SPEECH", "NOSCORE",
    "NO_RT_METADATA", "SEGMENT", "SPKR-INFO", "SU",
};

static int is_other_type(struct field type)
{
    for (size_t i = 0; i < sizeof(other_types) / sizeof(*other_types); i++) {
        if (scan_is(type, other_types[i]))
            return 1;
    }
    return 0;
}

static int is_comment(struct field line)
{
    struct field f = scan_trim(line);

    return f.n == 0 || *f.at == ';' || *f.at == '#';
}

/* At most 60 bytes of a field, for an error's text. */
static int shown(struct field f)
{
    return f.n < 60 ? (int)f.n : 60;
}

/* A recording's lines must all be of one channel: two would be mixed up. */
static int check_channel(struct turns *t, struct field name, struct field channel,
                         struct error *err)
{
    struct recording *r = turns_recording(t, name, err);

    if (!r)
        return -1;
    if (!r->channel)
        r->channel = strndup(channel.at, channel.n);
    if (!r->channel)
        return fail(err, "out of memory");
    if (!scan_is(channel, r->channel))
        return fail(err, "channel %.*s of %s, whose lines so far are of channel %.20s; give each "
                    "channel a recording's name of its own", shown(channel), channel.at, r->name,
                    r->channel);
    return 0;
}

static int parse_speaker(struct turns *t, const struct field *f, int n, struct error *err)
{
    double start, duration;

    if (n < 9 || n > 10)
        return fail(err, "a SPEAKER line has %d fields; should be 9 or 10: SPEAKER recording "
                    "channel start duration <NA> <NA> speaker <NA> <NA>", n);
    if (scan_number(&start, f[3]))
        return fail(err, "start \"%.*s\" is not a number of seconds", shown(f[3]), f[3].at);
    if (scan_number(&duration, f[4]))
        return fail(err, "duration \"%.*s\" is not a number of seconds", shown(f[4]), f[4].at);
    if (!(duration >= 0.0))
        return fail(err, "duration %.6g is negative", duration);
    if (check_channel(t, f[1], f[2], err))
        return -1;
    return turns_add(t, f[1], f[7], start, start + duration, err);
}

int rttm_parse(struct turns *t, struct field text, struct error *err)
{
    struct scan_lines at = {text, 0};
    struct field line, f[10];

    while (scan_line(&at, &line)) {
        int n = is_comment(line) ? 0 : scan_fields(f, 10, line), status = 0;
        if (n && scan_is(f[0], "SPEAKER"))
            status = parse_speaker(t, f, n, err);
        else if (n && !is_other_type(f[0]))
            status = fail(err, "begins with \"%.*s\"; should be SPEAKER or another RTTM type",
                          shown(f[0]), f[0].at);
        if (status)
            return fail_prefix(err, "line %d: ", at.number);
    }
    return 0;
}

static int parse_region(struct turns *t, const struct field *f, int n, struct error *err)
{
    const struct field scored = {"scored", 6};
    double start, end;

    if (n != 4)
        return fail(err, "has %d fields; should be 4: recording channel start end", n);
    if (scan_number(&start, f[2]))
        return fail(err, "start \"%.*s\" is not a number of seconds", shown(f[2]), f[2].at);
    if (scan_number(&end, f[3]))
        return fail(err, "end \"%.*s\" is not a number of seconds", shown(f[3]), f[3].at);
    if (!(end > start))
        return fail(err, "ends at %.6g s, which is not after its start at %.6g s", end, start);
    if (check_channel(t, f[0], f[1], err))
        return -1;
    return turns_add(t, f[0], scored, start, end, err);
}

int uem_parse(struct turns *t, struct field text, struct error *err)
{
    struct scan_lines at = {text, 0};
    struct field line, f[4];

    while (scan_line(&at, &line)) {
        int n = is_comment(line) ? 0 : scan_fields(f, 4, line);
        if (n && parse_region(t, f, n, err))
            return fail_prefix(err, "line %d: ", at.number);
    }
    return 0;
}

int uem_read(struct turns *t, const char *path, struct error *err)
{
    struct scan text;
    int status;

    if (scan_read(&text, path, err))
        return -1;
    status = uem_parse(t, (struct field){text.bytes, text.n}, err);
    if (status)
        fail_prefix(err, "%s: ", strcmp(path, "-") ? path : "stdin");
    scan_release(&text);
    return status;
}
