// SPDX-License-Identifier: MIT
/* worker_distill.c - a worker's part in distillation: its teacher, and how far the
 * student is from it. */
#include "prune/worker.h"

#include <stdlib.h>

int worker_open_teacher(struct worker *w, const struct trainer *t, size_t rows, struct error *err)
{
    struct distiller *d = t->distiller;
    struct model view = d->teacher;

    view.reach.n_rows = (int)rows;
    view.reach.n_blocks = w->n_clips;
    w->teacher_blocks = calloc((size_t)w->n_clips, sizeof(*w->teacher_blocks));
    w->rep_slopes = calloc((size_t)d->settings.n_layers * rows *
                               (size_t)t->model.config.wavlm.embed, sizeof(float));
    if (!w->teacher_blocks || !w->rep_slopes)
        return fail(err, "out of memory for a batch of %d clips", t->settings.batch);
    return model_state_open(&w->teacher_state, &view, err) ||
                   model_acts_open(&w->teacher_acts, &view, err)
               ? -1 : 0;
}

void worker_compare(struct worker *w, struct trainer *t, int n_clips, float weight,
                    const float **reps)
{
    struct distiller *d = t->distiller;
    struct distill_sums sums = {0};
    struct model view = d->teacher;
    int C = t->model.config.wavlm.embed, rows = n_clips * t->n_frames;
    int n = worker_plan(w->teacher_blocks, n_clips, t->n_frames, t->source->n_samples, 0);

    view.reach.n_blocks = n;
    model_forward(&w->teacher_acts, &w->teacher_state, &view, w->samples, w->teacher_blocks, n);
    for (int k = 0; k < d->settings.n_layers; k++) {
        float *slopes = w->rep_slopes + (size_t)k * (size_t)rows * (size_t)C;
        int layer = d->settings.layers[k];
        distill_loss(&d->settings.weights, &sums, slopes, w->acts.encoder.rep[layer],
                     w->teacher_acts.encoder.rep[layer], rows, C,
                     (double)d->settings.n_layers * t->n_frames / weight);
        reps[layer] = slopes;
    }
    w->sums.l2 += sums.l2;
    w->sums.l1 += sums.l1;
    w->sums.cos += sums.cos;
    w->sums.frames += rows;
    w->sums.clips += n_clips;
}

double worker_distance(const struct trainer *t, const struct objective_sums *sums)
{
    const struct distiller_settings *s = &t->distiller->settings;

    return distill_total(&s->weights, &(struct distill_sums){sums->l2, sums->l1, sums->cos},
                         sums->frames * s->n_layers, t->model.config.wavlm.embed);
}
