// SPDX-License-Identifier: MIT
/* params.h - every tensor of a model, once.
 *
 * A table has one row a tensor: its upstream name, its field and its axes. Load,
 * save, counting, gradients, optimiser moments and shrinking all walk the table;
 * weights are one instance of struct model_params, gradients are another. An
 * axis is a width and the unit in which pruning cuts.
 *
 * Fields of weights may point into a read-only mapping of the model file: they
 * are written only in an instance whose memory was placed by params_place. */
#ifndef PARAMS_H
#define PARAMS_H

#include "model/arena.h"
#include "model/checkpoint.h"
#include "model/config.h"

enum axis {
    AXIS_ONE,
    AXIS_CONV,       // channels out of conv layer i
    AXIS_CONV_IN,    // channels into it (1 for the first)
    AXIS_CONV_KERNEL,
    AXIS_FEATURES,   // channels out of the last conv layer
    AXIS_C,          // model width
    AXIS_POS_IN,     // C / groups of the positional convolution
    AXIS_POS_KERNEL,
    AXIS_HEADS,      // all heads, pruned ones too
    AXIS_A,          // kept heads times head width, of layer i
    AXIS_HEAD_WIDTH,
    AXIS_GATE,       // 8
    AXIS_BUCKETS,
    AXIS_F,          // inner units of layer i's feed-forward
    AXIS_REPS,       // representations in the weighted sum
    AXIS_R,          // readout width
    AXIS_R2,         // twice that: in front of the GLU
    AXIS_RF,         // inner units of the readout's feed-forwards
    AXIS_R_KERNEL,
    AXIS_R_HEAD,     // head width of the readout
    AXIS_POSI,       // 2000 relative positions
    AXIS_CLASSES,
    AXIS_EMBEDDING,
    AXIS_TRAITS,     // what speaker vectors are made of
    N_AXES
};

enum { PARAM_MAX_AXES = 4, POSI_RANGE = 1000, GATE_WIDTH = 8 };

struct linear_params {
    float *weight; // [out,in]
    float *bias;   // [out]
};

struct norm_params {
    float *weight, *bias; // [width]
};

struct conv_params {
    float *weight; // [CONV,CONV_IN,CONV_KERNEL]
    float *bias;   // [CONV] or absent
    struct norm_params norm; // absent where the extractor has none
};

struct attention_params {
    struct linear_params q, k, v; // [A,C]
    struct linear_params out;     // [C,A]
    float *rel_embed;             // [BUCKETS,HEADS], layer 0 only
    struct linear_params gate;    // gru_rel_pos_linear [GATE,HEAD_WIDTH]
    float *gate_const;            // gru_rel_pos_const [1,HEADS,1,1]
};

struct layer_params {
    struct attention_params attention;
    struct norm_params norm;      // layer_norm
    struct linear_params up;      // [F,C]
    struct linear_params down;    // [C,F]
    struct norm_params final_norm;
};

struct feed_forward_params {
    struct norm_params norm;
    struct linear_params up, down; // [RF,R], [R,RF]
};

struct conformer_params {
    struct feed_forward_params ffn1, ffn2;
    struct {
        struct norm_params norm;
        struct linear_params q, k, v, out; // [R,R]
    } mha;
    struct {
        struct norm_params norm;
        struct linear_params pointwise1; // [R2,R,1]
        struct linear_params depthwise;  // [R,1,R_KERNEL]
        struct norm_params batch_norm;
        float *running_mean, *running_var; // [R] buffers, not trained
        float *batches;                    // scalar I64 counter, not used
        struct linear_params pointwise2;   // [R,R,1]
    } conv;
    struct norm_params norm;
};

struct model_params {
    struct conv_params conv[MAX_CONVS];
    float *dummy_weight; // [FEATURES] scale left by pruning, not trained
    struct norm_params features_norm;   // [FEATURES]
    struct linear_params projection;    // [C,FEATURES]
    float *pos_g;    // [1,1,POS_KERNEL] weight norm: one length per tap
    float *pos_v;    // [C,POS_IN,POS_KERNEL] and the direction
    float *pos_bias; // [C]
    struct norm_params encoder_norm;
    struct layer_params layer[MAX_LAYERS];
    float *layer_weights; // [1,REPS] weighted sum of representations
    struct linear_params readout_projection; // [R,C]
    struct norm_params readout_norm;
    float *posi; // [POSI,R_HEAD] relative positions of the conformer
    struct conformer_params conformer[MAX_CONFORMER_LAYERS];
    struct linear_params classifier; // [CLASSES,R]
    struct linear_params embedding;  // [EMBEDDING,TRAITS]
};

enum param_kind {
    PARAM_WEIGHT,
    PARAM_BUFFER,  // saved, but not trained: running statistics, dummy_weight
    PARAM_COUNTER, // an I64 scalar, kept for upstream's sake
};

/* One tensor of one model: a row of the table with its index filled in. */
struct param {
    char name[160];  // as in the state dict
    size_t offset;   // of its float * in struct model_params
    enum param_kind kind;
    int encoder;     // 1: WavLM, 0: readout
    int n_axes;
    enum axis axis[PARAM_MAX_AXES];
    int64_t size[PARAM_MAX_AXES];
    int group_index; // number of the conv, layer or conformer block it belongs to
};

/* All tensors of a model of this shape, in upstream's order of modules. The
 * list is the caller's to free; NULL without memory. */
struct param *params_list(const struct model_config *c, int *n);

/* Number of elements. */
size_t param_count(const struct param *p);

/* The field of that tensor in an instance. */
float **param_slot(struct model_params *params, const struct param *p);
const float *param_values(const struct model_params *params, const struct param *p);

/* Points every field at memory of the arena (NULL while it counts). */
void params_place(struct model_params *params, const struct param *list, int n,
                  struct arena *arena);

/* Points every field at its tensor in the checkpoint, in place where it is
 * float32, else converted into the arena; called twice, like all that takes an
 * arena. Refuses missing tensors, foreign ones, wrong shapes, NaN and infinity. */
int params_bind(struct model_params *params, const struct param *list, int n,
                const struct checkpoint *c, struct arena *arena, struct error *err);

/* 0, or -1 with the tensor's name in err if one of its n values is NaN or infinite. */
int params_check_finite(const char *name, const float *x, size_t n, struct error *err);

/* Fills placed params with seeded random weights of sensible scale, for timing
 * an architecture that has no checkpoint. */
void params_randomize(struct model_params *params, const struct param *list, int n, uint64_t seed);

/* Number of elements on axis a. index: conv, layer or conformer block. */
int64_t axis_size(const struct model_config *c, enum axis a, int index);

#endif
