// SPDX-License-Identifier: MIT
/* tiny_trainer.h - trainers of the tiny model, for tests of steps and of runs. */
#ifndef TINY_TRAINER_H
#define TINY_TRAINER_H

#include "check.h"
#include "prune/trainer.h"
#include "tiny_training.h"

#include <stdlib.h>
#include <string.h>

static inline const struct clip_source *source(void)
{
    static struct clip_source s;

    if (!s.get) // once: threads of an earlier trainer read it
        s = tiny_source();
    return &s;
}

static inline struct trainer_settings settings(void)
{
    struct trainer_settings s = trainer_defaults();

    s.batch = 6;
    s.steps = 1000;
    s.lr = 3e-3;
    s.lr_encoder = -1.0;
    s.extractor_scale = 1.0;
    s.affinity = 0.5;
    s.vector = 0.3;
    s.vector_scale = 10.0;
    s.vector_frames = 5;
    s.vector_ramp = 4;
    s.mels = 0.2;
    s.ema = 0.9;
    s.threads = 2;
    s.block_frames[0] = 8;
    s.block_frames[1] = 0;
    s.n_blocks = 2;
    s.left_frames[0] = 10;
    s.left_frames[1] = 0;
    s.n_lefts = 2;
    return s;
}

static inline struct trainer *open_trainer(const struct trainer_settings *s)
{
    struct trainer *t = calloc(1, sizeof(*t));
    struct error err;

    assert_non_null(t);
    if (trainer_open(t, tiny_config, NULL, source(), s, NULL, &err))
        check_fail("%s", err.text);
    return t;
}

static inline void close_trainer(struct trainer *t)
{
    trainer_close(t);
    free(t);
}

static inline struct step_report steps(struct trainer *t, int n)
{
    struct step_report report = {0};
    struct error err;

    for (int i = 0; i < n; i++) {
        if (trainer_step(t, &report, &err))
            check_fail("%s", err.text);
    }
    return report;
}

static inline void assert_same_bits(const struct trainer *a, const struct trainer *b)
{
    for (int i = 0; i < a->n_params; i++) {
        const struct param *p = &a->list[i];
        size_t bytes = param_count(p) * sizeof(float);
        if (memcmp(param_values(&a->model.params, p), param_values(&b->model.params, p), bytes) ||
            memcmp(param_values(&a->ema, p), param_values(&b->ema, p), bytes))
            check_fail("%s differs", p->name);
    }
    if (memcmp(a->heads.values, b->heads.values, a->heads.n_floats * sizeof(float)))
        check_fail("what losses need differs");
}

/* Clip 27 has a sample that is no number. */
static inline int poisoned_get(struct clip *clip, const struct clip_source *s, uint64_t index,
                        struct error *err)
{
    int status = tiny_get(clip, s, index, err);

    if (index == 27)
        clip->samples[1234] = NAN;
    return status;
}

#endif
