// SPDX-License-Identifier: MIT
/* plot_map.h - what pruning left of an encoder, layer by layer, as an SVG: a bar for
 * each convolution's channels, a square for each attention head, kept or gone, and a
 * bar for each feed-forward's inner units. */
#ifndef PLOT_MAP_H
#define PLOT_MAP_H

#include "model/config.h"

/* Writes path ("-": stdout). dense: what bars are a share of; NULL: of the widest. */
int plot_map(const char *path, const char *title, const struct wavlm_config *w,
             const struct wavlm_config *dense, struct error *err);

#endif
