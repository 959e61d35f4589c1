// SPDX-License-Identifier: MIT
/* trainer.h - fine-tuning: clips in, a better model out.
 *
 * A step takes the next batch of clips from the source, by number; draws how
 * they are cut into blocks; every thread runs its clips forward and back
 * (walk.h) as one call; gradients are added up over threads and ranks
 * (reduce.h), clipped, and applied by AdamW. All that is random comes from the
 * seed and the step's number, so a run that was killed and resumed from its
 * last checkpoint makes the same bits as one that was not. */
#ifndef TRAINER_H
#define TRAINER_H

#include "prune/clip.h"
#include "prune/distiller.h"
#include "prune/heads.h"
#include "prune/mels.h"
#include "prune/objective.h"
#include "prune/optimizer.h"
#include "prune/reduce.h"
#include "prune/team.h"

enum { TRAINER_MAX_REACHES = 16, TRAINER_HISTORY = 1000, TRAINER_MAX_FREEZE = 16 };

struct trainer_settings {
    int batch;          // clips of a step, of this process, and
    int accumulate;     // so many batches a step
    int threads;
    long steps;         // at which the run ends
    double lr, lr_encoder; // lr_encoder < 0: lr
    struct adamw adamw;
    int decay_all;      // also norms and biases, as torch; 0: matrices only
    enum schedule schedule;
    long warmup;
    double lr_floor;    // of the cosine's end, as a share
    double clip;        // > 0: largest norm; else
    double clip_quantile; // of the norms' history, 0: none
    double ema;         // of the weights, 0: none
    double extractor_scale; // of the extractor's gradients
    double dropout;     // >= 0: instead of the model's rates
    double layer_drop;
    double scores;      // weight of the powerset loss; 0: the others alone train
    double affinity;    // weight of the deep-clustering loss
    double vector;      // weight of the loss of voice_loss.h,
    double vector_margin, vector_scale; // its margin in radians and its scale
    long vector_ramp;   // steps over which the margin grows from 0
    int vector_frames;  // that a speaker must be alone in a clip for it
    double mels;        // weight of the log-mel regression
    int exact;          // permutation by least NLL
    int frozen_batch_norm; // BatchNorm uses its running statistics
    int recompute;
    int bf16;           // products of training steps by gemm_bf16.h; validation stays exact
    int block_frames[TRAINER_MAX_REACHES], n_blocks; // drawn of these; 0: whole
    int left_frames[TRAINER_MAX_REACHES], n_lefts;   // 0: whole
    const char *freeze[TRAINER_MAX_FREEZE]; // patterns of names (fnmatch)
    int n_freeze;
    uint64_t seed;
};

struct trainer_settings trainer_defaults(void);

/* What a step tells. */
struct step_report {
    long step; // from 1
    uint64_t first_clip;
    double loss, affinity, der, missed, false_alarm, confusion; // der .. in percent
    double mels;
    double vector, vector_right;   // its loss, and percent of vectors nearest to their class
    double lr, norm, clip;
    double seconds, audio_seconds; // of this step, over all ranks
    double cpu_seconds;            // that this process computed for it
    double gemm_share;             // of the peak in single precision, this process
    int block_frames, left_frames; // 0: whole
    double sparsity, target;       // expected now and aimed at; both 0 without gates
};

struct worker; // one member's share

struct trainer {
    struct trainer_settings settings;
    const struct clip_source *source;
    struct ranks *ranks;
    struct model model;       // the weights in training
    char *config;             // its JSON
    struct param *list;       // the model's
    int n_params;
    struct model_params m, v, ema; // moments; ema: placed if settings.ema
    struct heads heads;       // what losses need besides the model
    int voices, mel_weight, mel_bias; // numbers of heads, -1: none
    struct mels mels;
    struct arena moments;
    unsigned char *frozen;    // [n_params]
    float *buffers;           // what is no weight, as it was before the step in hand
    int n_frames;             // of a clip
    int n_workers;
    struct worker *workers;
    struct gradients **gradients; // the workers'
    struct team team;
    struct reduce reduce;
    struct distiller *distiller; // or NULL: it learns from labels
    double peak;              // FLOP/s of all threads

    /* State that is saved. */
    long step;
    uint64_t next_clip;
    double history[TRAINER_HISTORY]; // of norms, the newest overwrites the oldest
    int n_history;
    double plateau_factor;

    /* Of the step in hand. */
    int block_frames, left_frames, micro;
    double lr, lr_encoder, scale;
    int stop;                 // a member failed:
    struct error error;
};

/* The model of that config, with weights from `params` (of the same list) or, if
 * NULL, random. config is copied. */
int trainer_open(struct trainer *t, const char *config, const struct checkpoint *weights,
                 const struct clip_source *source, const struct trainer_settings *settings,
                 struct ranks *ranks, struct error *err);

/* The same, to learn from a teacher: the readout, if there is one, stays as it
 * is. The distiller is the caller's, must be open for this config and the
 * source's clips, and must outlive the trainer. */
int trainer_open_distilling(struct trainer *t, const char *config,
                            const struct checkpoint *weights, const struct clip_source *source,
                            const struct trainer_settings *settings, struct distiller *distiller,
                            struct ranks *ranks, struct error *err);
void trainer_close(struct trainer *t);

/* One step. Fails on bad audio and on a loss that is no number, with where the
 * clips came from; weights are then those before the step. */
int trainer_step(struct trainer *t, struct step_report *report, struct error *err);

/* Scores the weights (the EMA if there is one) on clips first .. first+n-1 of a
 * source of the same clip length, cut into blocks of block_frames (0: whole).
 * With a distiller sums.loss / sums.frames is the loss of distillation, under
 * the gates' settled values. */
int trainer_validate(struct trainer *t, const struct clip_source *source, uint64_t first,
                     int n_clips, int block_frames, int left_frames, struct objective_sums *sums,
                     struct error *err);

/* Everything that a resumed run needs, in one safetensors file; and back: the
 * file's shape, seed and batch must be the run's. */
int trainer_save(const struct trainer *t, const char *path, struct error *err);
int trainer_resume(struct trainer *t, const char *path, struct error *err);

/* The model alone: the EMA if there is one. With gates their log_alpha too, under
 * upstream's names: such a file is no model until it is cut. */
int trainer_write_model(const struct trainer *t, const char *path, const char *provenance,
                        struct error *err);

/* The mean of models of this shape, tensor by tensor, as one model; of gates likewise. */
int trainer_average(const struct trainer *t, const char *const *paths, int n, const char *output,
                    const char *provenance, struct error *err);

/* Takes weights and gates of such a file, in place of the trainer's. */
int trainer_take_model(struct trainer *t, const char *path, struct error *err);

#endif
