// SPDX-License-Identifier: MIT
#include "stream/binarize.h"

#include "stream/frame.h"

#include <stdlib.h>

static const double PRECISION = 1e-6; // what is not longer is nothing: pyannote.core's

struct binarize_settings binarize_defaults(int compat)
{
    return (struct binarize_settings){.onset = 0.5, .offset = 0.5, .compat = compat};
}

/* Upstream's in its own order of operations: the third decimal hangs on it. */
double binarize_stamp(int64_t frame, int compat)
{
    double start = (double)frame * FRAME_SECONDS;

    return compat ? 0.5 * (start + (start + 0.025)) : frame_begin_seconds(frame);
}

int regions_add(struct regions *r, int speaker, double start, double end, struct error *err)
{
    if (r->n == r->room) {
        size_t room = r->room ? 2 * r->room : 64;
        struct turn *list = realloc(r->list, room * sizeof(*list));
        if (!list)
            return fail(err, "out of memory: %zu turns", r->n);
        r->list = list;
        r->room = room;
    }
    r->list[r->n++] = (struct turn){start, end, speaker};
    return 0;
}

static int add(struct regions *r, int speaker, double start, double end, struct error *err)
{
    return end - start > PRECISION ? regions_add(r, speaker, start, end, err) : 0;
}

static int find(struct regions *r, int speaker, const float *y, int64_t n_frames,
                const struct binarize_settings *s, struct error *err)
{
    int active = n_frames > 0 && (double)y[0] > s->onset;
    double start = binarize_stamp(0, s->compat), stamp = start;

    for (int64_t t = 1; t < n_frames; t++) {
        stamp = binarize_stamp(t, s->compat);
        if (active && (double)y[t] < s->offset) {
            if (add(r, speaker, start - s->pad_onset, stamp + s->pad_offset, err))
                return -1;
            active = 0;
        } else if (!active && (double)y[t] > s->onset) {
            start = stamp;
            active = 1;
        }
    }
    return active ? add(r, speaker, start - s->pad_onset, stamp + s->pad_offset, err) : 0;
}

/* Regions from `first` on: gaps shorter than the least, and none at all, filled. */
static void fill_gaps(struct regions *r, size_t first, double least)
{
    size_t to = first;

    for (size_t i = first + 1; i < r->n; i++) {
        double gap = r->list[i].start - r->list[to].end;
        if (!(gap > PRECISION) || gap < least)
            r->list[to].end = r->list[i].end > r->list[to].end ? r->list[i].end : r->list[to].end;
        else
            r->list[++to] = r->list[i];
    }
    r->n = first < r->n ? to + 1 : r->n;
}

static void drop_short(struct regions *r, size_t first, double least)
{
    size_t to = first;

    for (size_t i = first; i < r->n; i++) {
        if (!(r->list[i].end - r->list[i].start < least))
            r->list[to++] = r->list[i];
    }
    r->n = to;
}

int binarize(struct regions *r, int speaker, const float *y, int64_t n_frames,
             const struct binarize_settings *s, struct error *err)
{
    size_t first = r->n;

    if (find(r, speaker, y, n_frames, s, err))
        return -1;
    if (s->pad_onset > 0.0 || s->pad_offset > 0.0 || s->min_off > 0.0)
        fill_gaps(r, first, s->min_off);
    if (s->min_on > 0.0)
        drop_short(r, first, s->min_on);
    return 0;
}

void regions_release(struct regions *r)
{
    free(r->list);
    *r = (struct regions){0};
}
