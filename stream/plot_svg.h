// SPDX-License-Identifier: MIT
/* plot_svg.h - a picture as an SVG file that is there whole or not at all. */
#ifndef PLOT_SVG_H
#define PLOT_SVG_H

#include "model/error.h"

#include <cairo.h>

/* Writes path ("-": stdout): white paper of that size, and what draw puts on it. */
int plot_svg(const char *path, double width, double height,
             void (*draw)(cairo_t *cr, const void *what), const void *what, struct error *err);

/* Draws onto paper that is thrown away: for who measures by drawing. */
int plot_svg_try(double width, void (*draw)(cairo_t *cr, const void *what), const void *what,
                 struct error *err);

#endif
