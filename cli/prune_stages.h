// SPDX-License-Identifier: MIT
/* prune_stages.h - the stages of `prune`, each a run of its own that can be killed
 * and gone on with.
 *
 *   1 prune    gates under distillation, then the cut   RUN/1-prune,   RUN/cut.safetensors
 *   2 distill  what is left learns on from the teacher  RUN/2-distill, RUN/distilled.safetensors
 *   3 train    diarization                              RUN/3-train,   RUN/trained.safetensors
 *
 * The last one's result is copied to the output. RUN/gated.safetensors is what was
 * cut: the mean of the best models from the loss's peak on, once the target has
 * risen. RUN/latency.json is the table of --target time, if it was measured. */
#ifndef PRUNE_STAGES_H
#define PRUNE_STAGES_H

#include "cli/prune_arguments.h"

/* Runs what is left to run. */
int prune_run(const struct prune_arguments *a, struct error *err);

#endif
