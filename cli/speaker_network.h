// SPDX-License-Identifier: MIT
/* speaker_network.h - the commands that take any model, given a speaker network. */
#ifndef SPEAKER_NETWORK_H
#define SPEAKER_NETWORK_H

#include "model/resnet_params.h"

#define SPEAKER_ARCH "resnet34" // WeSpeaker's sizes, random weights

/* The speaker network of that file, or SPEAKER_ARCH; errors name it. */
int speaker_network_open(struct resnet *r, const char *name, struct error *err);

/* `convert`: writes the one in the checkpoint, of the file `source`, to output. */
int speaker_network_convert(const struct checkpoint *c, const char *source, const char *output,
                            struct error *err);

/* `info` of a checkpoint that has one, or of SPEAKER_ARCH if c is NULL. */
int speaker_network_info(const struct checkpoint *c, const char *name, int json,
                         struct error *err);

#endif
