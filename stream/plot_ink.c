// SPDX-License-Identifier: MIT
#include "stream/plot_ink.h"

/* Okabe and Ito, "Color Universal Design" (2008), without black, which is for
 * errors and words. */
static const double palette[][3] = {
    {0.000, 0.447, 0.698}, // blue
    {0.902, 0.624, 0.000}, // orange
    {0.000, 0.620, 0.451}, // bluish green
    {0.835, 0.369, 0.000}, // vermilion
    {0.337, 0.706, 0.914}, // sky blue
    {0.800, 0.475, 0.655}, // reddish purple
    {0.941, 0.894, 0.259}, // yellow
};
enum { N_COLOURS = sizeof(palette) / sizeof(*palette) };

/* Diagonals from below left to above right, cut at the sides. */
static void stripes(cairo_t *cr, double x, double y, double width, double height, double step)
{
    cairo_set_line_width(cr, 1.0);
    for (double at = x - height + step; at < x + width; at += step) {
        double x0 = at > x ? at : x;
        double x1 = at + height < x + width ? at + height : x + width;
        cairo_move_to(cr, x0, y + height - (x0 - at));
        cairo_line_to(cr, x1, y + height - (x1 - at));
    }
    cairo_stroke(cr);
}

static void outline(cairo_t *cr, double x, double y, double width, double height)
{
    if (width < 1.5)
        return;
    cairo_set_line_width(cr, 0.6);
    cairo_rectangle(cr, x + 0.3, y + 0.3, width - 0.6, height - 0.6);
    cairo_stroke(cr);
}

void ink_bar(cairo_t *cr, int ink, double x, double y, double width, double height)
{
    width = width < 0.5 ? 0.5 : width;
    if (ink >= 0)
        cairo_set_source_rgb(cr, palette[ink % N_COLOURS][0], palette[ink % N_COLOURS][1],
                             palette[ink % N_COLOURS][2]);
    else if (ink == INK_NOBODY)
        cairo_set_source_rgb(cr, 0.72, 0.72, 0.72);
    else if (ink == INK_FALSE_ALARM)
        cairo_set_source_rgb(cr, 0.15, 0.15, 0.15);
    else
        cairo_set_source_rgb(cr, 1.0, 1.0, 1.0);
    cairo_rectangle(cr, x, y, width, height);
    cairo_fill(cr);
    cairo_set_source_rgb(cr, 0.15, 0.15, 0.15);
    if (ink == INK_CONFUSED)
        stripes(cr, x, y, width, height, 3.0);
    else if (ink / N_COLOURS % 2 == 1 && ink > 0)
        stripes(cr, x, y, width, height, 4.0);
    if ((ink == INK_MISSED || ink == INK_CONFUSED) && width < 1.5) {
        cairo_rectangle(cr, x, y, width, height);
        cairo_fill(cr);
    }
    if (ink != INK_NOBODY)
        outline(cr, x, y, width, height);
}

static void set_font(cairo_t *cr, double size)
{
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
}

void ink_text(cairo_t *cr, const char *text, double x, double y, double size, double grey)
{
    set_font(cr, size);
    cairo_set_source_rgb(cr, grey, grey, grey);
    cairo_move_to(cr, x, y);
    cairo_show_text(cr, text);
}

double ink_text_width(cairo_t *cr, const char *text, double size)
{
    cairo_text_extents_t extents;

    set_font(cr, size);
    cairo_text_extents(cr, text, &extents);
    return extents.x_advance;
}

void ink_line(cairo_t *cr, double x0, double y0, double x1, double y1, double grey)
{
    cairo_set_source_rgb(cr, grey, grey, grey);
    cairo_set_line_width(cr, 0.6);
    cairo_move_to(cr, x0, y0);
    cairo_line_to(cr, x1, y1);
    cairo_stroke(cr);
}
