// SPDX-License-Identifier: MIT
#include "stream/stepper.h"

#include "stream/frame.h"

#include <assert.h>

static void place(struct stepper *s, size_t max_put)
{
    const struct reach *r = &s->model->reach;
    int S = s->powerset.n_speakers;
    int rows = r->window_frames ? r->window_frames : r->block_frames + r->right_frames;

    chunk_place(&s->chunk, r->block_frames, r->right_frames,
                (size_t)r->window_frames * FRAME_STRIDE, max_put, &s->arena);
    if (r->window_frames)
        places_place(&s->places, S, r->window_frames, &s->arena);
    else
        s->prob = arena_floats(&s->arena, (size_t)rows * (size_t)S);
    s->smoothed = arena_floats(&s->arena, (size_t)rows * (size_t)s->powerset.n_classes);
}

int stepper_open(struct stepper *s, const struct model *m, double steady_seconds, size_t max_put,
                 struct error *err)
{
    const struct readout_config *readout = &m->config.readout;

    *s = (struct stepper){.model = m};
    assert(!m->reach.window_frames ||
           m->reach.window_frames >= m->reach.block_frames + m->reach.right_frames);
    powerset_init(&s->powerset, readout->n_speakers, readout->at_once);
    smoother_init(&s->smoother, s->powerset.n_classes, steady_seconds);
    place(s, max_put);
    if (model_state_open(&s->state, m, err) || model_acts_open(&s->acts, m, err) ||
        model_try(&s->acts, &s->state, m, err) || arena_commit(&s->arena, err)) {
        stepper_close(s);
        return -1;
    }
    place(s, max_put);
    stepper_reset(s);
    return 0;
}

void stepper_reset(struct stepper *s)
{
    model_state_reset(&s->state, s->model);
    chunk_reset(&s->chunk);
    smoother_reset(&s->smoother);
    places_reset(&s->places);
}

void stepper_close(struct stepper *s)
{
    model_acts_close(&s->acts);
    model_state_close(&s->state);
    arena_release(&s->arena);
}

int stepper_memory_frames(const struct stepper *s)
{
    const struct reach *r = &s->model->reach;

    return r->window_frames ? r->window_frames : r->left_frames + r->block_frames;
}

int stepper_next(struct stepper *s, struct step *step, int ended)
{
    *step = (struct step){0};
    step->samples = s->chunk.samples;
    return chunk_next(&s->chunk, &step->block, ended);
}

static void run_block(struct stepper *s, struct step *step)
{
    model_forward(&s->acts, &s->state, s->model, step->samples, &step->block, 1);
    if (s->model->config.readout.present) {
        smoother_run(&s->smoother, s->smoothed, s->acts.readout.scores, step->block.own);
        powerset_activity(s->prob, s->smoothed, &s->powerset, step->block.own);
    }
    step->prob = s->prob;
    step->traits = s->acts.readout.traits;
}

/* The window is a stream of its own: one block, of frame 0. */
static void run_window(struct stepper *s, struct step *step)
{
    const struct block *b = &step->block;
    int64_t end = b->frame + block_rows(b), first = end - s->model->reach.window_frames;

    first = first > 0 ? first : 0;
    step->context = (int)(b->frame - first);
    int past = (int)(s->chunk.at.samples - first * FRAME_STRIDE);
    struct block whole = {.own = step->context + block_rows(b),
                          .own_samples = past + b->own_samples + b->right_samples};
    model_forward(&s->acts, &s->state, s->model, step->samples - past, &whole, 1);
    if (!s->model->config.readout.present)
        return;
    smoother_reset(&s->smoother);
    smoother_run(&s->smoother, s->smoothed, s->acts.readout.scores, whole.own);
    places_take(&s->places, s->smoothed, &s->powerset, first, whole.own);
    step->prob = s->places.prob + (int64_t)step->context * s->powerset.n_speakers;
    step->traits = s->acts.readout.traits + (int64_t)step->context * config_traits(&s->model->config);
}

void stepper_run(struct stepper *s, struct step *step)
{
    if (s->model->reach.window_frames)
        run_window(s, step);
    else
        run_block(s, step);
}

void stepper_done(struct stepper *s, const struct step *step)
{
    chunk_done(&s->chunk, &step->block);
}
