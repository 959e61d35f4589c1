// SPDX-License-Identifier: MIT
/* model.h - a whole model: its constant weights, the state of a stream, and the
 * one forward pass for live, offline and training.
 *
 *   forward(kept intermediates with the results, state, model, new samples)
 *
 * live      one block a call; the state carries the caches; the acts are scratch
 * offline   the whole recording as one block on a fresh state
 * training  many blocks in one call, streams one after another, each from its
 *           frame 0; every intermediate has its own place: the tape
 *
 * A model is constant after opening and may be shared by streams of the same
 * reach; a state and its acts belong to one thread. */
#ifndef MODEL_H
#define MODEL_H

#include "model/encoder.h"
#include "model/extractor.h"
#include "model/readout.h"

/* What a block may see, and how many blocks a call has at most. */
struct reach {
    int block_frames; // B: the most own frames of a block
    int left_frames;  // L; REACH_OWN: what the model's config says
    int right_frames; // R
    /* Not 0: window mode. B is the step, and each step's call is one block, on a
     * fresh state, of so many frames at most, L = 0 (stream/stepper.h). */
    int window_frames;
    double horizon_seconds; // of the cumulative statistics, 0: they never forget; or REACH_OWN
    int n_blocks;     // of a call
    int n_rows;       // of a call, 0: n_blocks full blocks
    int stream_frames; // of the longest stream, 0: no limit
    enum keep keep;   // acts are scratch or a tape
};

enum { REACH_OWN = -1 };

/* B 16, L 400, R 0, horizon 60 s, one block a call, scratch. */
struct reach reach_defaults(void);

/* One block over a whole recording of n samples. */
struct reach reach_offline(int64_t n_samples);

/* The audio of a whole window: 399 frames are upstream's of 8 s. 0 without windows. */
int reach_window_ms(const struct reach *reach);

/* How large its calls are. */
struct call_size reach_call(const struct reach *reach);

struct model {
    struct model_config config;
    struct model_params params;
    struct param *list; // every tensor
    int n_params;
    struct reach reach;
    struct extractor_weights extractor;
    struct encoder_weights encoder;
    struct readout_weights readout;
    struct arena arena; // derived weights, converted tensors
};

/* Binds a checkpoint's tensors and derives what a reach needs. The checkpoint
 * must outlive the model. */
int model_open(struct model *m, const struct checkpoint *c, const struct reach *reach,
               struct error *err);

/* A named architecture with seeded random weights. */
int model_open_arch(struct model *m, const char *arch, uint64_t seed, const struct reach *reach,
                    struct error *err);

/* A model of that config (JSON) in memory of its own, zeroed, to be filled: of
 * parameters that training writes. */
int model_open_config(struct model *m, const char *json, const struct reach *reach,
                      struct error *err);

/* The tensor of that name, or NULL. */
const struct param *model_find_param(const struct model *m, const char *name);

/* Derives the weights anew from the parameters. */
void model_derive(struct model *m);

void model_close(struct model *m);

/* Where the time of a call goes. */
enum stage { STAGE_EXTRACTOR, STAGE_INPUT, STAGE_LAYERS, STAGE_READOUT, N_STAGES };

extern const char *const stage_names[N_STAGES];

struct model_state {
    struct position at;
    struct extractor_state extractor;
    struct encoder_state encoder;
    struct readout_state readout;
    struct arena arena;
};

struct model_acts {
    const struct training *training; // what the next calls do besides; NULL: infer
    struct extractor_acts extractor;
    float *features; // [T,FEATURES] `conv`: what enters the projection
    struct encoder_acts encoder;
    struct readout_acts readout;
    double seconds[N_STAGES]; // of all calls so far
    struct arena arena;
};

int model_state_open(struct model_state *s, const struct model *m, struct error *err);

/* From now on attention sees `left` frames before a block, at most the reach's. */
void model_state_set_left(struct model_state *s, const struct model *m, int left);

/* As just opened; no allocation. */
void model_state_reset(struct model_state *s, const struct model *m);
void model_state_close(struct model_state *s);

int model_acts_open(struct model_acts *a, const struct model *m, struct error *err);
void model_acts_close(struct model_acts *a);

/* Computes the given blocks, which follow each other and the state's position
 * (blocks.h), from the samples behind that position. Results are in the acts
 * until the next call: features, encoder.projection, encoder.rep, readout.sum,
 * readout.scores. No allocation. */
void model_forward(struct model_acts *a, struct model_state *s, const struct model *m,
                   const float *samples, const struct block *blocks, int n_blocks);

/* Computes a short block of noise and resets the state: fails if the scores (without a
 * readout, the last representation) are no numbers, as those of a model are whose
 * weights are finite but far too large. No allocation. */
int model_try(struct model_acts *a, struct model_state *s, const struct model *m,
              struct error *err);

/* The speaker vectors of n rows of traits (readout.traits after a forward,
 * or means of its rows: both give the same, the map being affine). Only for a
 * model with an embedding readout, config.readout.embedding > 0. No allocation.
 *
 *   vectors [n,EMBEDDING]    traits [n,TRAITS] */
void model_vectors(float *vectors, const struct model *m, const float *traits, int n);

/* A number that tells models apart: of every tensor's size and first values. */
uint64_t model_fingerprint(const struct model *m);

#endif
