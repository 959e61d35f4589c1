// SPDX-License-Identifier: MIT
#include "stream/plot_curves.h"

#include "stream/plot_ink.h"
#include "stream/plot_svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double WIDTH = 860.0, LEFT = 66.0, RIGHT = 150.0, TOP = 40.0, PANEL = 150.0,
                    GAP = 34.0, SMALL = 10.0;

struct range {
    double low, high;
};

static double scaled(const struct panel *p, double y)
{
    return p->logarithmic ? log10(y) : y;
}

static int shown(const struct panel *p, double y)
{
    return isfinite(y) && (!p->logarithmic || y > 0.0);
}

static void widen(struct range *r, double x)
{
    r->low = x < r->low ? x : r->low;
    r->high = x > r->high ? x : r->high;
}

static struct range x_range(const struct panel *panels, int n)
{
    struct range r = {INFINITY, -INFINITY};

    for (int i = 0; i < n; i++) {
        for (int c = 0; c < panels[i].n_curves; c++) {
            const struct curve *curve = &panels[i].curves[c];
            for (size_t k = 0; k < curve->n; k++)
                widen(&r, curve->x[k]);
        }
    }
    if (!(r.low < r.high))
        r = (struct range){isfinite(r.low) ? r.low - 1.0 : 0.0, isfinite(r.low) ? r.low + 1.0 : 1.0};
    return r;
}

static struct range y_range(const struct panel *p)
{
    struct range r = {INFINITY, -INFINITY};

    for (int c = 0; c < p->n_curves; c++) {
        for (size_t k = 0; k < p->curves[c].n; k++) {
            if (shown(p, p->curves[c].y[k]))
                widen(&r, scaled(p, p->curves[c].y[k]));
        }
    }
    if (!isfinite(r.low))
        return (struct range){0.0, 1.0};
    double margin = 0.05 * (r.high - r.low) + (r.high == r.low ? 0.5 : 0.0);
    return (struct range){r.low - margin, r.high + margin};
}

/* 1, 2 or 5 times a power of ten, such that about n of them fill the range. */
static double tick_step(struct range r, double n)
{
    double rough = (r.high - r.low) / n, power = pow(10.0, floor(log10(rough)));
    double unit = rough / power;

    return power * (unit < 1.5 ? 1.0 : unit < 3.5 ? 2.0 : unit < 7.5 ? 5.0 : 10.0);
}

static double place(struct range r, double v, double from, double to)
{
    return from + (v - r.low) / (r.high - r.low) * (to - from);
}

static void draw_axes(cairo_t *cr, const struct panel *p, struct range x, struct range y,
                      double top, int last, const char *x_title)
{
    double bottom = top + PANEL, right = WIDTH - RIGHT, step = tick_step(y, 4.0);
    char text[64];

    ink_text(cr, p->title, LEFT, top - 7.0, 11.0, 0.1);
    for (double v = ceil(y.low / step) * step; v <= y.high; v += step) {
        double at = place(y, v, bottom, top);
        ink_line(cr, LEFT, at, right, at, 0.88);
        snprintf(text, sizeof(text), "%.4g",
                 p->logarithmic ? pow(10.0, v) : fabs(v) < step * 1e-9 ? 0.0 : v);
        ink_text(cr, text, LEFT - 6.0 - ink_text_width(cr, text, SMALL), at + 3.5, SMALL, 0.3);
    }
    step = tick_step(x, 8.0);
    for (double v = ceil(x.low / step) * step; v <= x.high; v += step) {
        double at = place(x, v, LEFT, right);
        ink_line(cr, at, bottom, at, bottom + 4.0, 0.4);
        snprintf(text, sizeof(text), "%.6g", v);
        if (last)
            ink_text(cr, text, at - ink_text_width(cr, text, SMALL) / 2.0, bottom + 15.0, SMALL,
                     0.3);
    }
    ink_line(cr, LEFT, bottom, right, bottom, 0.4);
    ink_line(cr, LEFT, top, LEFT, bottom, 0.4);
    if (last)
        ink_text(cr, x_title, right - ink_text_width(cr, x_title, SMALL), bottom + 29.0, SMALL,
                 0.3);
}

static void set_colour(cairo_t *cr, int i)
{
    static const double colours[][3] = {{0.12, 0.37, 0.66}, {0.80, 0.34, 0.13}, {0.16, 0.55, 0.34},
                                        {0.55, 0.30, 0.60}, {0.72, 0.56, 0.09}, {0.35, 0.35, 0.35}};
    const double *c = colours[(size_t)i % (sizeof(colours) / sizeof(*colours))];

    cairo_set_source_rgb(cr, c[0], c[1], c[2]);
}

static void draw_curve(cairo_t *cr, const struct panel *p, int i, struct range x, struct range y,
                       double top)
{
    const struct curve *c = &p->curves[i];
    double bottom = top + PANEL, right = WIDTH - RIGHT, before = NAN, label = top + 12.0 + 14.0 * i;

    set_colour(cr, i);
    cairo_set_line_width(cr, 1.3);
    for (size_t k = 0; k < c->n; k++) {
        if (!shown(p, c->y[k]))
            continue;
        double px = place(x, c->x[k], LEFT, right);
        double py = place(y, scaled(p, c->y[k]), bottom, top);
        if (c->dots) {
            cairo_new_sub_path(cr);
            cairo_arc(cr, px, py, 2.4, 0.0, 6.2831853);
            cairo_fill(cr);
        }
        if (isnan(before))
            cairo_move_to(cr, px, py);
        else if (px - before >= 0.4 || k + 1 == c->n) // finer than anybody sees
            cairo_line_to(cr, px, py);
        else
            continue;
        if (c->dots) {
            cairo_stroke(cr);
            cairo_move_to(cr, px, py);
        }
        before = px;
    }
    cairo_stroke(cr);
    cairo_rectangle(cr, right + 12.0, label - 8.0, 12.0, 8.0);
    cairo_fill(cr);
    ink_text(cr, c->name, right + 30.0, label, 10.5, 0.1);
}

struct curves {
    const char *title, *x_title;
    const struct panel *panels;
    int n;
};

static void draw(cairo_t *cr, const void *what)
{
    const struct curves *all = what;
    struct range x = x_range(all->panels, all->n);

    ink_text(cr, all->title, LEFT, 18.0, 13.0, 0.0);
    for (int i = 0; i < all->n; i++) {
        const struct panel *p = &all->panels[i];
        double top = TOP + 10.0 + i * (PANEL + GAP);
        struct range y = y_range(p);
        draw_axes(cr, p, x, y, top, i == all->n - 1, all->x_title);
        for (int c = 0; c < p->n_curves; c++)
            draw_curve(cr, p, c, x, y, top);
    }
}

int plot_curves(const char *path, const char *title, const char *x_title,
                const struct panel *panels, int n_panels, struct error *err)
{
    struct curves all = {title, x_title, panels, n_panels};

    return plot_svg(path, WIDTH, TOP + n_panels * (PANEL + GAP) + 24.0, draw, &all, err);
}
