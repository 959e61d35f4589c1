// SPDX-License-Identifier: MIT
/* resnet_params.h - the tensors of the speaker network, once: names and shapes for
 * loading, writing and counting. */
#ifndef RESNET_PARAMS_H
#define RESNET_PARAMS_H

#include "model/resnet.h"

enum resnet_kind { RESNET_WEIGHT, RESNET_BUFFER, RESNET_COUNTER };

struct resnet_param {
    char name[64]; // "resnet.layer2.0.conv1.weight", as pyannote's state dict has it
    enum resnet_kind kind; // trained; running statistics; an I64 scalar
    int n_axes;
    int64_t size[4];
};

enum { RESNET_MAX_PARAMS = 224 };

/* Channels, blocks and stride of the four stages. */
extern const int resnet_blocks[RESNET_STAGES];

/* Fills list with all tensors of that shape in upstream's order; returns how many. */
int resnet_params_list(struct resnet_param list[RESNET_MAX_PARAMS],
                       const struct resnet_shape *shape);

/* The tensor of that (upstream) name, also where a file leaves "resnet." out. */
const struct tensor *resnet_find(const struct checkpoint *c, const char *name);

/* Whether these look like a speaker network's tensors: for a clear message. */
int resnet_recognize(const struct checkpoint *c);

/* -1 and a line that says so if they do: for whoever wants a diarization model. */
int resnet_refuse(const struct checkpoint *c, struct error *err);

/* The shape, from conv1 and seg_1 and the config if there is one; every tensor is
 * then looked for and its shape compared. */
int resnet_params_check(struct resnet_shape *shape, const struct checkpoint *c,
                        struct error *err);

/* Writes the checked network as an antiphon model: its own tensors only, in
 * float32, with its shape as config. */
int resnet_write(const char *path, const struct checkpoint *c, const char *provenance,
                 struct error *err);

struct resnet_cost {
    int64_t parameters; // trained ones
    double macs;        // of a second of sound, in windows of 16 s
    double stage_macs[RESNET_STAGES + 1]; // of it: first convolution, stages
};

void resnet_count(struct resnet_cost *cost, const struct resnet_shape *shape);

#endif
