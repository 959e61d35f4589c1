// SPDX-License-Identifier: MIT
/* sink_labels.c - turns as Audacity labels, WebVTT or a Praat TextGrid, by the
 * file's extension. */
#include "stream/labels.h"
#include "stream/sink.h"

#include <stdlib.h>

struct own {
    struct labels *labels;
    double end; // of the stream, once it is known
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
    if (r->type != REPORT_SPEAKER_OFF)
        return 0;
    return labels_turn(own->labels, r->speaker.name, r->speaker.start, r->speaker.end, err);
}

static int close_labels(struct sink *s, struct error *err)
{
    struct own *own = s->own;
    int status;

    if (!own)
        return 0;
    status = labels_close(&own->labels, own->end, err);
    free(own);
    s->own = NULL;
    return status;
}

const struct sink_kind sink_labels = {"labels", 1, open_labels, take_labels, close_labels};
