// SPDX-License-Identifier: MIT
#include "stream/textgrid.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *at, *end;
    int line;
    char *text; // the last text, its quotes undone; as long as the file
};

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

/* The next word that begins with a quote, a digit or sign, or '<': what counts.
 * A '!' begins a comment. Returns 0 at the end. */
static int find(struct reader *r)
{
    while (r->at < r->end) {
        while (r->at < r->end && is_space(*r->at))
            r->line += *r->at++ == '\n';
        if (r->at == r->end)
            break;
        if (memchr("\"<+-0123456789", *r->at, 14))
            return 1;
        int comment = *r->at == '!';
        while (r->at < r->end && (comment ? *r->at != '\n' : !is_space(*r->at)))
            r->at++;
    }
    return 0;
}

static struct field word(struct reader *r)
{
    const char *begin = r->at;

    while (r->at < r->end && !is_space(*r->at))
        r->at++;
    return (struct field){begin, (size_t)(r->at - begin)};
}

/* A number; "3rd" and the like are no free-standing numbers and are passed. */
static int number(struct reader *r, double *value, const char *what, struct error *err)
{
    while (find(r)) {
        if (*r->at == '"' || *r->at == '<')
            return fail(err, "expected a number: %s", what);
        if (scan_number(value, word(r)) == 0)
            return 0;
    }
    return fail(err, "the file ends before %s", what);
}

static int count(struct reader *r, int *value, const char *what, struct error *err)
{
    double x;

    if (number(r, &x, what, err))
        return -1;
    if (!(x >= 0.0 && x <= 1e8 && x == (double)(int)x))
        return fail(err, "%.6g is not %s", x, what);
    *value = (int)x;
    return 0;
}

/* A text in quotes, in which a quote is doubled. */
static int quoted(struct reader *r, struct field *f, const char *what, struct error *err)
{
    size_t n = 0;

    if (!find(r))
        return fail(err, "the file ends before %s", what);
    if (*r->at != '"')
        return fail(err, "expected a text in quotes: %s", what);
    for (r->at++; r->at < r->end; r->at++) {
        if (*r->at == '"' && (r->at + 1 == r->end || r->at[1] != '"')) {
            r->at++;
            *f = (struct field){r->text, n};
            return 0;
        }
        r->at += *r->at == '"';
        r->line += *r->at == '\n';
        r->text[n++] = *r->at;
    }
    return fail(err, "the file ends within a text in quotes");
}

static int interval(struct reader *r, struct turns *t, struct field recording,
                    struct field speaker, struct error *err)
{
    struct field text;
    double begin, end;

    if (number(r, &begin, "an interval's start", err) ||
        number(r, &end, "an interval's end", err) ||
        quoted(r, &text, "an interval's text", err))
        return -1;
    for (size_t i = 0; i < text.n; i++)
        r->text[i] = is_space(text.at[i]) ? ' ' : text.at[i];
    return scan_trim(text).n ? turns_add(t, recording, speaker, begin, end, err) : 0;
}

static int skip_point(struct reader *r, struct error *err)
{
    struct field mark;
    double time;

    return number(r, &time, "a point's time", err) || quoted(r, &mark, "a point's mark", err);
}

static int tier(struct reader *r, struct turns *t, struct field recording, struct error *err)
{
    struct field text;
    double begin, end;
    int points, n = 0, status;
    char *name;

    if (quoted(r, &text, "a tier's class", err))
        return -1;
    points = scan_is(text, "TextTier");
    if (!points && !scan_is(text, "IntervalTier"))
        return fail(err, "a tier is neither an IntervalTier nor a TextTier");
    if (quoted(r, &text, "a tier's name", err))
        return -1;
    name = strndup(text.at, text.n);
    if (!name)
        return fail(err, "out of memory");
    status = number(r, &begin, "a tier's start", err) || number(r, &end, "a tier's end", err) ||
             count(r, &n, "a number of intervals", err) ? -1 : 0;
    for (int i = 0; status == 0 && i < n; i++)
        status = points ? skip_point(r, err)
                        : interval(r, t, recording, (struct field){name, strlen(name)}, err);
    free(name);
    return status;
}

static int header(struct reader *r, int *n_tiers, struct error *err)
{
    struct field text;
    double begin, end;

    if (quoted(r, &text, "\"ooTextFile\"", err))
        return -1;
    if (!scan_is(text, "ooTextFile"))
        return fail(err, "is not a Praat text file: \"ooTextFile\" should come first");
    if (quoted(r, &text, "\"TextGrid\"", err))
        return -1;
    if (!scan_is(text, "TextGrid"))
        return fail(err, "is a Praat file, but no TextGrid");
    if (number(r, &begin, "the start", err) || number(r, &end, "the end", err))
        return -1;
    if (!find(r) || *r->at != '<')
        return fail(err, "expected <exists>");
    *n_tiers = 0;
    return scan_is(word(r), "<exists>") ? count(r, n_tiers, "a number of tiers", err) : 0;
}

static size_t put_utf8(char *to, uint32_t c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};

    for (size_t i = n - 1; i > 0; i--) {
        to[i] = (char)(0x80 | (c & 0x3f));
        c >>= 6;
    }
    to[0] = (char)(first[n] | c);
    return n;
}

/* Praat saves as UTF-16 what is not ASCII, with a byte order mark. Half a pair
 * of surrogates becomes a '?'. To be freed; NULL: out of memory. */
static char *from_utf16(struct field text, size_t *n)
{
    const unsigned char *in = (const unsigned char *)text.at;
    int low = in[0] == 0xff ? 0 : 1; // which byte of two is the low one
    char *out = malloc(text.n / 2 * 3 + 1);

    *n = 0;
    for (size_t i = 2; out && i + 1 < text.n; i += 2) {
        uint32_t c = in[i + (size_t)low] | (uint32_t)in[i + 1 - (size_t)low] << 8, next = 0;
        if (i + 3 < text.n)
            next = in[i + 2 + (size_t)low] | (uint32_t)in[i + 3 - (size_t)low] << 8;
        if (c >= 0xd800 && c < 0xdc00 && next >= 0xdc00 && next < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (next - 0xdc00);
            i += 2;
        } else if (c >= 0xd800 && c < 0xe000) {
            c = '?';
        }
        *n += put_utf8(out + *n, c);
    }
    return out;
}

static int parse(struct reader *r, struct turns *t, struct field recording, struct error *err)
{
    int n, status = header(r, &n, err);

    for (int i = 0; status == 0 && i < n; i++)
        status = tier(r, t, recording, err);
    return status ? fail_prefix(err, "line %d: ", r->line) : 0;
}

int textgrid_parse(struct turns *t, struct field text, struct field recording,
                   struct error *err)
{
    int utf16 = scan_begins(text, "\xff\xfe") || scan_begins(text, "\xfe\xff"), status;
    size_t n = text.n;
    char *converted = utf16 ? from_utf16(text, &n) : NULL;
    struct reader r = {.at = utf16 ? converted : text.at, .line = 1};

    r.text = malloc(n + 1);
    if (!r.text || !r.at) {
        status = fail(err, "out of memory");
    } else {
        r.end = r.at + n;
        status = parse(&r, t, recording, err);
    }
    free(r.text);
    free(converted);
    return status;
}
