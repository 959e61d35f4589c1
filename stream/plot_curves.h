// SPDX-License-Identifier: MIT
/* plot_curves.h - numbers over steps as an SVG: panels below each other, sharing
 * their x axis. */
#ifndef PLOT_CURVES_H
#define PLOT_CURVES_H

#include "model/error.h"

#include <stddef.h>

enum { PLOT_MAX_CURVES = 12 };

struct curve {
    const char *name;
    const double *x, *y; // [n], x ascending
    size_t n;
    int dots; // a mark at each point, as few points want it
};

struct panel {
    const char *title; // with the unit
    struct curve curves[PLOT_MAX_CURVES];
    int n_curves;
    int logarithmic; // y; points that are not above 0 are left out
};

/* Writes path ("-": stdout), whole or not at all. x_title: what x counts. */
int plot_curves(const char *path, const char *title, const char *x_title,
                const struct panel *panels, int n_panels, struct error *err);

#endif
