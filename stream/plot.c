// SPDX-License-Identifier: MIT
#include "stream/plot.h"

#include "stream/plot_ink.h"
#include "stream/plot_svg.h"
#include "stream/score.h"

#include <fontconfig/fontconfig.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pixels. */
static const double WIDTH = 1200.0, LEFT = 130.0, RIGHT = 24.0, MARGIN = 16.0;
static const double LANE = 13.0, BAR = 10.0, STRIP = 9.0, STRIP_BAR = 6.5;
static const double GAP = 5.0, AXIS = 18.0, ROW_GAP = 16.0, SMALL = 9.5;
enum { MAX_ROWS = 2000, N_ERRORS = 3 };

static const struct {
    int ink;
    const char *name;
} errors[N_ERRORS] = {
    {INK_MISSED, "missed"}, {INK_FALSE_ALARM, "false alarm"}, {INK_CONFUSED, "confused"},
};

struct picture {
    cairo_t *cr;
    const struct recording *side[2]; // reference, system; the second may be NULL
    struct turn *turns[2];
    size_t n_turns[2];
    struct score score;
    struct sweep sweep;              // of both, where they differ
    int *map;                        // [reference's speakers] the system's, or -1
    int *ink[2], *lane[2];           // [speakers] lane -1: does not speak
    int n_lanes[2];
    double from, to, row_seconds;
    int n_rows;
    double lanes_top[2], strip_top, axis_top, row_height; // within a row
    double rows_top, height;
};

struct plot_settings plot_defaults(void)
{
    return (struct plot_settings){.names = {"reference", "system"}};
}

static int n_speakers(const struct picture *p, int side)
{
    return p->side[side] ? p->side[side]->n_speakers : 0;
}

/* Reference speakers in order of first mention; the system's in the order of
 * those they were mapped to, then the rest. */
static void assign_lanes(struct picture *p)
{
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < n_speakers(p, side); i++) {
            p->lane[side][i] = -1;
            p->ink[side][i] = side == 0 ? i : INK_NOBODY;
        }
    }
    for (size_t i = 0; i < p->n_turns[0]; i++) { // sorted by speaker
        int *lane = &p->lane[0][p->turns[0][i].speaker];
        if (*lane < 0)
            *lane = p->n_lanes[0]++;
    }
    for (int i = 0; i < n_speakers(p, 0); i++) {
        if (p->map[i] >= 0) {
            p->lane[1][p->map[i]] = p->n_lanes[1]++;
            p->ink[1][p->map[i]] = i;
        }
    }
    for (size_t i = 0; i < p->n_turns[1]; i++) {
        int *lane = &p->lane[1][p->turns[1][i].speaker];
        if (*lane < 0)
            *lane = p->n_lanes[1]++;
    }
}

static double last_end(const struct picture *p)
{
    double last = 0.0;

    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < p->n_turns[side]; i++)
            last = p->turns[side][i].end > last ? p->turns[side][i].end : last;
    }
    return last;
}

/* The shortest round length that makes at most 20 rows. */
static double choose_row(double seconds)
{
    static const double round[] = {60, 120, 300, 600, 1200, 1800, 3600};

    if (seconds <= 60.0)
        return seconds;
    for (size_t i = 0; i < sizeof(round) / sizeof(*round); i++) {
        if (seconds <= 20.0 * round[i])
            return round[i];
    }
    return seconds / 20.0;
}

static int lay_out(struct picture *p, const struct plot_settings *settings, struct error *err)
{
    double y = 0.0, rows;

    p->from = settings->from;
    p->to = settings->to > 0.0 ? settings->to : ceil(last_end(p));
    if (!(p->to > p->from))
        return fail(err, "%s: nothing to draw after %g s", p->side[0]->name, p->from);
    p->row_seconds = settings->row_seconds > 0.0 ? settings->row_seconds
                                                 : choose_row(p->to - p->from);
    rows = ceil((p->to - p->from) / p->row_seconds - 1e-9);
    if (rows > MAX_ROWS)
        return fail(err, "%.0f rows of %g s: more than %d; make them longer", rows, p->row_seconds,
                    MAX_ROWS);
    p->n_rows = (int)rows;
    p->lanes_top[0] = y;
    y += LANE * p->n_lanes[0];
    if (p->side[1]) {
        p->strip_top = y += GAP;
        y += STRIP * N_ERRORS + GAP;
        p->lanes_top[1] = y;
        y += LANE * p->n_lanes[1];
    }
    p->axis_top = y + 2.0;
    p->row_height = p->axis_top + AXIS + ROW_GAP;
    return 0;
}

static double pixels_per_second(const struct picture *p)
{
    return (WIDTH - LEFT - RIGHT) / p->row_seconds;
}

static double row_y(const struct picture *p, int row)
{
    return p->rows_top + row * p->row_height;
}

/* A bar in as many rows as it reaches into. y: within a row. */
static void draw_bar(struct picture *p, int ink, double start, double end, double y, double height)
{
    int row;

    start = start < p->from ? p->from : start;
    end = end > p->to ? p->to : end;
    if (end <= start)
        return;
    row = (int)((start - p->from) / p->row_seconds);
    for (; row < p->n_rows && p->from + row * p->row_seconds < end; row++) {
        double row_start = p->from + row * p->row_seconds;
        double x0 = (start > row_start ? start : row_start) - row_start;
        double x1 = (end < row_start + p->row_seconds ? end : row_start + p->row_seconds) -
                    row_start;
        ink_bar(p->cr, ink, LEFT + x0 * pixels_per_second(p), row_y(p, row) + y,
                (x1 - x0) * pixels_per_second(p), height);
    }
}

static void draw_turns(struct picture *p)
{
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < p->n_turns[side]; i++) {
            const struct turn *t = &p->turns[side][i];
            draw_bar(p, p->ink[side][t->speaker], t->start, t->end,
                     p->lanes_top[side] + LANE * p->lane[side][t->speaker] + (LANE - BAR) / 2.0,
                     BAR);
        }
    }
}

static int joined(const struct picture *p)
{
    int n = 0;

    for (int i = 0; i < p->sweep.reference.n; i++) {
        int sys = p->map[p->sweep.reference.speaking[i]];
        n += sys >= 0 && p->sweep.system.depth[sys] > 0;
    }
    return n;
}

/* Stretches with the same kind of error are drawn as one bar. */
static void draw_errors(struct picture *p)
{
    double start[N_ERRORS], end[N_ERRORS];
    int open[N_ERRORS] = {0};

    sweep_start(&p->sweep);
    for (int more = 1; more;) {
        int now[N_ERRORS] = {0};
        more = sweep_next(&p->sweep);
        if (more) {
            int ref = p->sweep.reference.n, sys = p->sweep.system.n;
            int least = ref < sys ? ref : sys;
            now[0] = ref > sys;
            now[1] = sys > ref;
            now[2] = least > joined(p);
        }
        for (int k = 0; k < N_ERRORS; k++) {
            if (open[k] && !now[k])
                draw_bar(p, errors[k].ink, start[k], end[k],
                         p->strip_top + STRIP * k + (STRIP - STRIP_BAR) / 2.0, STRIP_BAR);
            if (now[k] && !open[k])
                start[k] = (double)p->sweep.begin * 1e-9;
            if (now[k])
                end[k] = (double)p->sweep.end * 1e-9;
            open[k] = now[k];
        }
    }
}

static double choose_tick(double pixels)
{
    static const double round[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600};
    size_t i = 0, n = sizeof(round) / sizeof(*round);

    while (i + 1 < n && round[i] * pixels < 55.0)
        i++;
    return round[i];
}

static void put_time(char *text, size_t size, double seconds, double tick)
{
    long whole = (long)floor(seconds + 1e-6);

    if (tick < 1.0)
        snprintf(text, size, "%ld:%04.1f", whole / 60, seconds - 60.0 * (double)(whole / 60));
    else if (whole >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text, size, "%ld:%02ld", whole / 60, whole % 60);
}

static void draw_axis(struct picture *p, int row)
{
    double pixels = pixels_per_second(p), tick = choose_tick(pixels);
    double begin = p->from + row * p->row_seconds, end = begin + p->row_seconds;
    double y = row_y(p, row), bottom = y + p->axis_top;
    char text[40];

    end = end > p->to ? p->to : end;
    for (double k = ceil(begin / tick - 1e-9); k * tick <= end + 1e-9; k++) {
        double x = LEFT + (k * tick - begin) * pixels;
        ink_line(p->cr, x, y - 2.0, x, bottom + 3.0, 0.86);
        put_time(text, sizeof(text), k * tick, tick);
        ink_text(p->cr, text, x - ink_text_width(p->cr, text, SMALL) / 2.0, bottom + 13.0, SMALL,
                 0.25);
    }
    ink_line(p->cr, LEFT, bottom, LEFT + (end - begin) * pixels, bottom, 0.4);
}

static void draw_label(struct picture *p, const char *text, double y, double grey)
{
    double width = ink_text_width(p->cr, text, SMALL), room = LEFT - MARGIN - 8.0;

    cairo_save(p->cr);
    cairo_rectangle(p->cr, MARGIN, y - 2.0 * SMALL, room, 3.0 * SMALL);
    cairo_clip(p->cr); // a long name loses its end
    ink_text(p->cr, text, width < room ? MARGIN + room - width : MARGIN, y, SMALL, grey);
    cairo_restore(p->cr);
}

static void draw_labels(struct picture *p, int row)
{
    double y = row_y(p, row);

    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < n_speakers(p, side); i++) {
            if (p->lane[side][i] >= 0)
                draw_label(p, p->side[side]->speakers[i],
                           y + p->lanes_top[side] + LANE * p->lane[side][i] + 10.0, 0.1);
        }
    }
    for (int k = 0; p->side[1] && k < N_ERRORS; k++)
        draw_label(p, errors[k].name, y + p->strip_top + STRIP * k + 8.0, 0.4);
}

/* One entry of the legend; the pen moves on, and to the next line at the edge. */
static void draw_entry(struct picture *p, int ink, const char *text, double *x, double *y)
{
    double width = 18.0 + ink_text_width(p->cr, text, 11.0) + 20.0;

    if (*x + width > WIDTH - RIGHT && *x > MARGIN) {
        *x = MARGIN;
        *y += 18.0;
    }
    ink_bar(p->cr, ink, *x, *y - BAR + 1.0, 12.0, BAR);
    ink_text(p->cr, text, *x + 18.0, *y, 11.0, 0.1);
    *x += width;
}

/* Returns the y below the legend. */
static double draw_legend(struct picture *p, double y)
{
    double x = MARGIN;
    int nobody = 0;
    char text[2200];

    for (int i = 0; i < n_speakers(p, 0); i++) {
        int mate = p->map[i];
        if (p->lane[0][i] < 0)
            continue;
        snprintf(text, sizeof(text), "%s%s%s", p->side[0]->speakers[i], mate >= 0 ? " = " : "",
                 mate >= 0 ? p->side[1]->speakers[mate] : "");
        draw_entry(p, p->ink[0][i], text, &x, &y);
    }
    for (int i = 0; i < n_speakers(p, 1); i++)
        nobody |= p->lane[1][i] >= 0 && p->ink[1][i] == INK_NOBODY;
    if (nobody)
        draw_entry(p, INK_NOBODY, "no counterpart in the reference", &x, &y);
    for (int k = 0; p->side[1] && k < N_ERRORS; k++)
        draw_entry(p, errors[k].ink, errors[k].name, &x, &y);
    return y + 14.0;
}

/* Title, what is above and below, the score, the legend: returns the y below. */
static double draw_head(struct picture *p, const struct plot_settings *settings)
{
    const struct score *s = &p->score;
    double y = 30.0, percent = s->scored > 0.0 ? 100.0 / s->scored : 0.0;
    char text[2400];

    ink_text(p->cr, p->side[0]->name, MARGIN, y, 17.0, 0.0);
    if (p->side[1]) {
        snprintf(text, sizeof(text), "above: %.1000s      below: %.1000s", settings->names[0],
                 settings->names[1]);
        ink_text(p->cr, text, MARGIN, y += 19.0, 11.0, 0.25);
        snprintf(text, sizeof(text), "DER %.2f %% = missed %.2f + false alarm %.2f + confused "
                 "%.2f, of %.2f s of speech%s; no collar, overlap scored", s->der,
                 s->missed * percent,
                 s->false_alarm * percent, s->confusion * percent, s->scored,
                 settings->from > 0.0 || settings->to > 0.0 ? " in the whole recording" : "");
        ink_text(p->cr, text, MARGIN, y += 16.0, 11.0, 0.25);
    }
    return draw_legend(p, y + 22.0) + 6.0;
}

/* What plot_svg is given. */
struct drawing {
    struct picture *picture;
    const struct plot_settings *settings;
};

/* Where the rows begin hangs on how the legend breaks: a first drawing finds out. */
static void measure(cairo_t *cr, const void *what)
{
    const struct drawing *d = what;
    struct picture *p = d->picture;

    p->cr = cr;
    p->rows_top = draw_head(p, d->settings);
    p->height = p->rows_top + p->n_rows * p->row_height;
}

static void draw(cairo_t *cr, const void *what)
{
    struct picture *p = ((const struct drawing *)what)->picture;

    measure(cr, what);
    for (int row = 0; row < p->n_rows; row++) {
        draw_axis(p, row);
        draw_labels(p, row);
    }
    draw_turns(p);
    if (p->side[1])
        draw_errors(p);
}

static int picture_open(struct picture *p, const struct recording *reference,
                        const struct recording *system, const struct plot_settings *settings,
                        struct error *err)
{
    const struct score_settings plain = {0};

    *p = (struct picture){.side = {reference, system}};
    for (int side = 0; side < 2; side++) {
        size_t n = (size_t)n_speakers(p, side) + 1;
        p->turns[side] = recording_merged(p->side[side], &p->n_turns[side], err);
        p->ink[side] = calloc(n, sizeof(int));
        p->lane[side] = calloc(n, sizeof(int));
        if (!p->turns[side] || !p->ink[side] || !p->lane[side])
            return fail(err, "out of memory");
    }
    p->map = calloc((size_t)n_speakers(p, 0) + 1, sizeof(int));
    if (!p->map)
        return fail(err, "out of memory");
    if (score_recording(&p->score, p->map, reference, system, NULL, &plain, err) ||
        score_sweep(&p->sweep, reference, system, NULL, 0.0, err))
        return -1;
    assign_lanes(p);
    return lay_out(p, settings, err);
}

static void picture_close(struct picture *p)
{
    for (int side = 0; side < 2; side++) {
        free(p->turns[side]);
        free(p->ink[side]);
        free(p->lane[side]);
    }
    free(p->map);
    sweep_close(&p->sweep);
}

int plot_turns(const char *path, const struct recording *reference,
               const struct recording *system, const struct plot_settings *settings,
               struct error *err)
{
    struct picture p;
    const struct drawing drawing = {&p, settings};
    struct error why = {""};
    int status = picture_open(&p, reference, system, settings, &why);

    if (status == 0)
        status = plot_svg_try(WIDTH, measure, &drawing, &why);
    if (status == 0)
        status = plot_svg(path, WIDTH, p.height, draw, &drawing, &why);
    picture_close(&p);
    return status ? fail(err, "%s", why.text) : 0;
}

void plot_forget_fonts(void)
{
    cairo_debug_reset_static_data();
    FcFini();
}
