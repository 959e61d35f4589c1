// SPDX-License-Identifier: MIT
/* run.h - a training run from its first step to the finished model.
 *
 * The run's folder holds
 *   last.safetensors         the whole state, after every `save_every` steps
 *   model-STEP.safetensors   the models of the best validations
 *   log.jsonl                one JSON object a line, `type` one of
 *     step        step, loss, affinity, vector, vector_right (percent of speakers'
 *                 vectors nearest to their own), mels, der, missed, false_alarm, confusion, lr, norm,
 *                 clip, block, left (frames; 0: whole), seconds, cpu_seconds,
 *                 audio_seconds,
 *                 gemm_share
 *     validation  step, block, der, missed, false_alarm, confusion; and with
 *                 block absent the mean over blocks, by which models are judged;
 *                 of distillation step, block, loss = distill + penalty
 * A run begun again in its folder goes on from last.safetensors; lines of the
 * log behind that step are dropped, and what a kill left half written is removed. */
#ifndef RUN_H
#define RUN_H

#include "prune/trainer.h"

#include <signal.h>

struct run_settings {
    const char *folder;
    const char *output;          // the finished model
    const char *provenance;
    const struct clip_source *dev; // NULL: no validation; the model is the last one's
    uint64_t dev_first;
    int dev_clips;
    int dev_blocks[TRAINER_MAX_REACHES], n_dev_blocks; // frames, 0: whole
    int dev_left;                // frames, 0: whole
    long validate_every, save_every;
    int average;  // so many of the best models are averaged,
    long best_from;     // of those from this step on,
    int best_from_peak; // and, as upstream prunes, from the worst validation on
    int patience; // validations without a better one, then the run ends; 0: any
    double max_seconds; // then it saves and stops, to be gone on with; 0: never
    volatile sig_atomic_t *interrupted; // set to 1: likewise; may be NULL

    /* Told after each step, and after each validation (report NULL): DER, or a
     * distiller's loss. */
    void (*tell)(void *user, const struct step_report *report, double score);
    void *user;
};

enum run_end { RUN_DONE, RUN_INTERRUPTED };

/* Returns how it ended, or -1 with err: the last good state is on the disk. */
int run_training(struct trainer *t, const struct run_settings *s, struct error *err);

#endif
