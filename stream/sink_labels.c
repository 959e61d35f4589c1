// SPDX-License-Identifier: MIT
/* sink_labels.c - turns as Audacity labels, WebVTT or a Praat TextGrid, by the
 * file's extension; written anew when it is closed, as RTTM is (sink_file.c). */
#include "stream/labels.h"
#include "stream/sink.h"
#include "stream/told.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct own {
    struct labels *labels;
    double end; // of the stream, once it is known
    struct told told;
};

static int open_labels(struct sink *s, struct error *err)
{
    enum labels_format format = labels_format_of(s->target);
    struct own *own;

    if (format == LABELS_NONE)
        return fail(err, "%s: expected a name that ends in .txt (Audacity), .vtt or .TextGrid",
                    s->target);
    own = calloc(1, sizeof(*own));
    if (!own)
        return fail(err, "out of memory");
    if (labels_open(&own->labels, s->target, format, err)) {
        free(own);
        return -1;
    }
    s->own = own;
    return 0;
}

static int take_labels(struct sink *s, const struct report *r, struct error *err)
{
    struct own *own = s->own;

    if (r->type == REPORT_END)
        own->end = r->time;
    if (told_take(&own->told, r, err))
        return -1;
    if (r->type != REPORT_SPEAKER_OFF)
        return 0;
    return labels_turn(own->labels, r->speaker.name, r->speaker.start, r->speaker.end, err);
}

static int by_start(const void *a, const void *b)
{
    const struct turn *x = a, *y = b;

    return x->start < y->start ? -1 : x->start > y->start;
}

static int put_turns(struct labels **labels, struct own *own, struct error *err)
{
    struct regions *r = &own->told.regions;
    int status = told_settle(&own->told, err);

    if (r->n)
        qsort(r->list, r->n, sizeof(*r->list), by_start);
    for (size_t i = 0; status == 0 && i < r->n; i++)
        status = labels_turn(*labels, own->told.names[r->list[i].speaker], r->list[i].start,
                             r->list[i].end, err);
    return labels_close(labels, own->end, status ? NULL : err) || status ? -1 : 0;
}

/* The file as it should have been, if it is one that can be replaced. */
static int put_right(struct sink *s, struct error *err)
{
    struct own *own = s->own;
    char beside[sizeof(s->target) + 8];
    struct labels *labels;
    struct stat is;

    if (!own->told.put_right || lstat(s->target, &is) || !S_ISREG(is.st_mode))
        return 0;
    snprintf(beside, sizeof(beside), "%s.anew", s->target);
    if (labels_open(&labels, beside, labels_format_of(s->target), NULL))
        return 0; // in a folder that is not ours: it stays as it was told
    if (put_turns(&labels, own, err) == 0) {
        if (rename(beside, s->target) == 0)
            return 0;
        fail(err, "%s: cannot write: %s", s->target, strerror(errno));
    }
    unlink(beside);
    return -1;
}

static int close_labels(struct sink *s, struct error *err)
{
    struct own *own = s->own;
    int status;

    if (!own)
        return 0;
    status = labels_close(&own->labels, own->end, err) || put_right(s, err) ? -1 : 0;
    told_release(&own->told);
    free(own);
    s->own = NULL;
    return status;
}

const struct sink_kind sink_labels = {"labels", 1, open_labels, take_labels, close_labels};
