// SPDX-License-Identifier: MIT
#include "stream/plot_map.h"

#include "stream/plot_ink.h"
#include "stream/plot_svg.h"

#include <math.h>
#include <stdio.h>

static const double WIDTH = 860.0, LEFT = 120.0, RIGHT = 60.0, TOP = 58.0, ROW = 19.0, BAR = 12.0,
                    HEADS = 300.0; // pixels of the heads' column

struct map {
    const char *title;
    const struct wavlm_config *w, *dense;
    int channels, ff; // the widest
};

static void set_left(cairo_t *cr, int left)
{
    if (left)
        cairo_set_source_rgb(cr, 0.12, 0.37, 0.66);
    else
        cairo_set_source_rgb(cr, 0.90, 0.91, 0.93);
}

static void draw_bar(cairo_t *cr, double x, double width, double y, int n, int of)
{
    char text[48];

    set_left(cr, 0);
    cairo_rectangle(cr, x, y, width, BAR);
    cairo_fill(cr);
    set_left(cr, 1);
    cairo_rectangle(cr, x, y, of > 0 ? width * n / of : 0.0, BAR);
    cairo_fill(cr);
    if (n == of)
        snprintf(text, sizeof(text), "%d", n);
    else
        snprintf(text, sizeof(text), "%d of %d", n, of);
    ink_text(cr, text, x + width + 6.0, y + BAR - 2.0, 9.5, 0.2);
}

static void draw_heads(cairo_t *cr, const struct layer_shape *l, double y)
{
    double pitch = fmin(HEADS / l->total_heads, BAR + 6.0), side = fmin(BAR, pitch - 2.0);

    for (int h = 0, k = 0; h < l->total_heads; h++) {
        int left = l->has_attention && k < l->n_heads && l->heads[k] == h;
        k += left;
        set_left(cr, left);
        cairo_rectangle(cr, LEFT + h * pitch, y, side, BAR);
        cairo_fill(cr);
    }
}

static void draw(cairo_t *cr, const void *what)
{
    const struct map *m = what;
    double y = TOP, ff = LEFT + HEADS + 30.0;
    char text[48];

    ink_text(cr, m->title, 16.0, 20.0, 13.0, 0.0);
    if (m->w->n_convs)
        ink_text(cr, "channels", LEFT, y - 8.0, 10.0, 0.3);
    for (int i = 0; i < m->w->n_convs; i++, y += ROW) {
        snprintf(text, sizeof(text), "convolution %d", i);
        ink_text(cr, text, 16.0, y + BAR - 2.0, 10.5, 0.1);
        draw_bar(cr, LEFT, HEADS, y, m->w->conv[i].channels,
                 m->dense ? m->dense->conv[i].channels : m->channels);
    }
    y += m->w->n_convs ? 26.0 : 0.0;
    ink_text(cr, "attention heads", LEFT, y - 8.0, 10.0, 0.3);
    ink_text(cr, "inner units", ff, y - 8.0, 10.0, 0.3);
    for (int i = 0; i < m->w->n_layers; i++, y += ROW) {
        snprintf(text, sizeof(text), "layer %d", i);
        ink_text(cr, text, 16.0, y + BAR - 2.0, 10.5, 0.1);
        draw_heads(cr, &m->w->layer[i], y);
        draw_bar(cr, ff, WIDTH - ff - RIGHT - 20.0, y, m->w->layer[i].ff,
                 m->dense ? m->dense->layer[i].ff : m->ff);
    }
}

int plot_map(const char *path, const char *title, const struct wavlm_config *w,
             const struct wavlm_config *dense, struct error *err)
{
    struct map m = {.title = title, .w = w};

    if (dense && dense->n_convs == w->n_convs && dense->n_layers == w->n_layers)
        m.dense = dense;
    for (int i = 0; i < w->n_convs; i++)
        m.channels = w->conv[i].channels > m.channels ? w->conv[i].channels : m.channels;
    for (int i = 0; i < w->n_layers; i++)
        m.ff = w->layer[i].ff > m.ff ? w->layer[i].ff : m.ff;
    double height = TOP + (w->n_convs ? 26.0 : 0.0) + ROW * (w->n_convs + w->n_layers) + 12.0;
    return plot_svg(path, WIDTH, height, draw, &m, err);
}
