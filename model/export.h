// SPDX-License-Identifier: MIT
/* export.h - a model as a file or folder, in each of the layouts it may have.
 *
 *   antiphon  one safetensors file with everything (checkpoint.h)
 *   torch     what upstream loads with strict=True: {"state_dict", "config"} for a bare
 *             WavLM; for a diarization model a plain state dict, and as a folder
 *             (a path that is one, or ends in '/') DiariZen's: pytorch_model.bin,
 *             config.toml and, unless upstream has a name for its shape, wavlm.pt
 *   hf        Hugging Face's folder of the encoder: config.json, model.safetensors
 *             and preprocessor_config.json; of dense models only
 *
 * Files are written beside their names and renamed; a folder that was made stays, should
 * a file of it fail. Thread: any. */
#ifndef EXPORT_H
#define EXPORT_H

#include "model/model.h"
#include "model/pool.h"

/* A model's tensors, to be written. They refer to model and checkpoint. */
struct export {
    const struct model *model;
    const char *config; // {"wavlm": ..., "readout": ...}
    struct tensor *tensors; // as in the model's list
    int n_tensors;
    struct pool pool; // those of less than float32
};

/* Weights of dtype (F32, F16 or BF16) where param_may_be_reduced, all else float32, counters
 * I64; refused are numbers that float16 cannot hold. */
int export_open(struct export *e, const struct model *m, const struct checkpoint *c,
                enum dtype dtype, struct error *err);
void export_close(struct export *e);

/* left_out gets what the layout has no place for, in words, or NULL. */
int export_antiphon(const struct export *e, const char *path, const char *config,
                    const char *provenance, struct error *err);
int export_torch(const struct export *e, const char *path, const char **left_out,
                 struct error *err);
int export_hf(const struct export *e, const char *path, const char **left_out,
              struct error *err);

/* Whether a tensor is kept in fewer bits on request: matrices and kernels are. Not so what
 * many values are scaled by or added to (norms, biases, weight norm's lengths, gates,
 * weight_sum, dummy_weight), BatchNorm's statistics, and the embedding readout. */
int param_may_be_reduced(const struct param *p);

/* A folder for path, made if it is not there; its name without a '/' at the end,
 * to be freed. */
char *export_folder(const char *path, struct error *err);

#endif
