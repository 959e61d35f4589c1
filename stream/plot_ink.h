// SPDX-License-Identifier: MIT
/* plot_ink.h - how things look in a plot: colours, fillings, words. */
#ifndef PLOT_INK_H
#define PLOT_INK_H

#include <cairo.h>

/* Speakers count from 0 in colours; these are the others. */
enum { INK_NOBODY = -1, INK_MISSED = -2, INK_FALSE_ALARM = -3, INK_CONFUSED = -4 };

/* Fills a bar; width and height in pixels. Fine bars keep half a pixel. */
void ink_bar(cairo_t *cr, int ink, double x, double y, double width, double height);

/* Writes a line whose baseline begins at x, y, in grey (0 black .. 1 white). */
void ink_text(cairo_t *cr, const char *text, double x, double y, double size, double grey);

/* How wide that would be. */
double ink_text_width(cairo_t *cr, const char *text, double size);

/* A thin line, in grey. */
void ink_line(cairo_t *cr, double x0, double y0, double x1, double y1, double grey);

#endif
