// SPDX-License-Identifier: MIT
/* worker.h - one thread's share of a training batch. */
#ifndef WORKER_H
#define WORKER_H

#include "prune/reader.h"
#include "prune/trainer.h"
#include "prune/voice_loss.h"

struct worker {
    struct member member;
    struct model_state state;
    struct model_acts acts;
    struct gradients gradients;
    struct training training;
    struct objective objective;
    struct objective_sums sums;
    struct clip *clips; // [n_clips]
    struct clip_reader *reader;        // makes the next batch's while this one is learned
    uint64_t reader_first, reader_due; // its first clip; the one it gives next
    int stride;                        // clips of a batch, of all ranks
    int first, n_clips; // of a batch's clips
    struct block *blocks;
    float *samples;       // of all its clips, one after another
    float *score_slopes;  // [rows,CLASSES]
    float *trait_slopes;  // [rows,TRAITS]
    float *vectors, *vector_slopes; // [rows,E]
    float *scratch;       // of the affinity loss
    struct voice_loss voice;
    float *voice_scratch;
    float *mel_targets, *mel_guess; // [rows,MELS]
    float *mel_scratch;
    float *projection_slopes; // [rows,C]
    struct model_state teacher_state; // of a distiller
    struct model_acts teacher_acts;
    struct block *teacher_blocks; // [n_clips] whole clips
    float *rep_slopes;    // [layers compared][rows,C]
    double flops;
};

int worker_open(struct worker *w, struct trainer *t, int index, struct error *err);
void worker_close(struct worker *w);

/* For team_run: a trainer's step; user is the trainer. */
void worker_train(void *trainer, int member);

/* Blocks of n_clips clips, one after another; block_frames 0: each is whole. Their number. */
int worker_plan(struct block *blocks, int n_clips, int n_frames, int64_t n_samples,
                int block_frames);

/* rows: of the worker's clips. */
int worker_open_teacher(struct worker *w, const struct trainer *t, size_t rows, struct error *err);

/* The teacher's representations of the first n_clips clips, whole; slopes by the
 * student's, which forward has just made. weight: 1 / clips of a step. */
void worker_compare(struct worker *w, struct trainer *t, int n_clips, float weight,
                    const float **reps);

/* The loss of distillation that the sums of a distilling trainer make. */
double worker_distance(const struct trainer *t, const struct objective_sums *sums);

/* For team_run: scores clips, or compares them. */
struct validation {
    struct trainer *trainer;
    const struct clip_source *source;
    uint64_t first;
    int n_clips, block_frames, left_frames;
};

void worker_validate(void *validation, int member);

#endif
