// SPDX-License-Identifier: MIT
#include "stream/through.h"

#include <string.h>

static void place(struct through *t)
{
    t->vectors = arena_floats(&t->arena, 2 * (size_t)t->keep * (size_t)t->width);
}

int through_open(struct through *t, const struct model *m, int keep, size_t max_put,
                 struct error *err)
{
    int most = m->reach.block_frames; // of a step

    *t = (struct through){.width = m->config.readout.embedding,
                          .keep = keep > most ? keep : most};
    place(t);
    if (stepper_open(&t->stepper, m, 0.0, max_put, err) || arena_commit(&t->arena, err))
        return -1;
    place(t);
    return 0;
}

void through_close(struct through *t)
{
    stepper_close(&t->stepper);
    arena_release(&t->arena);
    *t = (struct through){0};
}

static float *row(const struct through *t, int64_t frame)
{
    return t->vectors + (size_t)(frame - t->first) * (size_t)t->width;
}

/* Room for n more frames. */
static void make_room(struct through *t, int n)
{
    size_t bytes = (size_t)t->keep * (size_t)t->width * sizeof(float);

    if (t->end + n - t->first <= 2 * t->keep)
        return;
    memmove(t->vectors, row(t, t->end - t->keep), bytes);
    t->first = t->end - t->keep;
}

void through_put(struct through *t, const float *samples, size_t n)
{
    struct stepper *s = &t->stepper;
    struct step step;

    memcpy(chunk_tail(&s->chunk), samples, n * sizeof(float));
    chunk_put(&s->chunk, n);
    while (stepper_next(s, &step, 0)) {
        stepper_run(s, &step);
        make_room(t, step.block.own);
        model_vectors(row(t, t->end), s->model, step.traits, step.block.own);
        t->end += step.block.own;
        stepper_done(s, &step);
    }
}

int through_copy(float *dst, const struct through *t, int64_t frame, int n)
{
    int64_t there = t->end - frame;

    if (frame < t->first || there <= 0)
        return 0;
    n = n < there ? n : (int)there;
    memcpy(dst, row(t, frame), (size_t)n * (size_t)t->width * sizeof(float));
    return n;
}
