// SPDX-License-Identifier: MIT
/* online.h - the live engine over a whole file: who spoke when, as a listener would
 * have been told, but with the merges known afterwards. Thread: any, one file each. */
#ifndef ONLINE_H
#define ONLINE_H

#include "stream/engine.h"
#include "stream/told.h"

#include <stdatomic.h>

/* settings: the model, decoding and tracking; source, sinks and on_report are set
 * here. samples counts up by those heard, or NULL. What was told, settled, is the
 * caller's to release, also after a failure. */
int online_run(struct told *told, const char *path, const struct engine_settings *settings,
               atomic_llong *samples, struct error *err);

#endif
