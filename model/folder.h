// SPDX-License-Identifier: MIT
/* folder.h - what the readers of model folders share; not for others.
 *
 * The weights of a folder are checkpoints of their own, kept open as parts;
 * their tensors are used where they are. Names from a config or index are
 * checked before they are names of files. */
#ifndef FOLDER_H
#define FOLDER_H

#include "model/checkpoint_read.h"
#include "model/json.h"
#include "model/text.h"

/* The two kinds; c->storage is there and empty. */
int hf_read(struct checkpoint *c, const char *folder, struct error *err);
int diarizen_read(struct checkpoint *c, const char *folder, struct error *err);

/* Names that upstream has for shapes of a WavLM, each with its architecture's. */
enum { DIARIZEN_SHAPES = 4 };
extern const char *const diarizen_shapes[DIARIZEN_SHAPES][2];

/* The parsers of the two configs alone: config.toml's [model.args] into an object, with
 * [antiphon]'s "live", "left_ms" and "horizon_seconds" among them; config.json as upstream's
 * config. */
int diarizen_arguments(struct cJSON *arguments, const char *text, struct error *err);
int hf_config_text(struct text *t, const struct cJSON *json, struct error *err);

/* folder/name, to be freed; NULL without memory. */
char *folder_path(const char *folder, const char *name, struct error *err);

int folder_has(const char *folder, const char *name);

/* A text of the folder, terminated, to be freed; it is at most a few MB. */
char *folder_text(size_t *n, const char *folder, const char *name, struct error *err);

/* Opens path as the next part, and takes its tensors over as they are. */
int folder_part(struct checkpoint *c, const char *path, struct error *err);

/* The weights: one file, or the shards of an index. */
int folder_weights(struct checkpoint *c, const char *folder, struct error *err);

/* Takes {"wavlm": wavlm, "readout": readout, "live": live, marks} as the config; wavlm and
 * readout are JSON texts and marks members of an object; these two may be NULL. */
int folder_config(struct checkpoint *c, const char *wavlm, const char *readout,
                  const char *live, const char *marks, struct error *err);

#endif
