// SPDX-License-Identifier: MIT
/* magnitude.h - the simple way to choose what goes: the smallest weights.
 *
 * A unit's size is the norm of all matrix elements that its cut would take: of
 * a channel its filter and what the next layer makes of it, of a head its rows
 * of q, k, v and its columns behind them, of an inner unit its row and column.
 * Every layer loses the same share of its units, the smallest, and keeps one at
 * least. Nothing is learned: what learned gates are compared with. */
#ifndef MAGNITUDE_H
#define MAGNITUDE_H

#include "prune/distiller.h"

/* Sets the distiller's gates fully open or closed, so that its target is met as
 * nearly as whole units allow. m: the model they are on. */
int magnitude_close(struct distiller *d, const struct model *m, struct error *err);

#endif
