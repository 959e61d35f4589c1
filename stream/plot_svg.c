// SPDX-License-Identifier: MIT
#include "stream/plot_svg.h"

#include "model/outfile.h"

#include <cairo-svg.h>
#include <stdio.h>
#include <string.h>

struct output {
    struct outfile file;
    int to_stdout;
    struct error *err;
};

static cairo_status_t write_bytes(void *closure, const unsigned char *bytes, unsigned int n)
{
    struct output *out = closure;
    int status = out->to_stdout ? fwrite(bytes, 1, n, stdout) != n
                                : outfile_write(&out->file, bytes, n, out->err);

    return status == 0 ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

/* out NULL: it goes nowhere. */
static int paint(struct output *out, double width, double height,
                 void (*draw)(cairo_t *cr, const void *what), const void *what, struct error *err)
{
    cairo_surface_t *surface = cairo_svg_surface_create_for_stream(out ? write_bytes : NULL, out,
                                                                   width, height);
    cairo_t *cr = cairo_create(surface);
    cairo_status_t status;

    cairo_svg_surface_set_document_unit(surface, CAIRO_SVG_UNIT_PX);
    cairo_set_source_rgb(cr, 1.0, 1.0, 1.0);
    cairo_paint(cr);
    draw(cr, what);
    status = cairo_status(cr);
    cairo_destroy(cr);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    if (status == CAIRO_STATUS_WRITE_ERROR && *err->text)
        return -1;
    return status == CAIRO_STATUS_SUCCESS
               ? 0 : fail(err, "the SVG cannot be drawn: %s", cairo_status_to_string(status));
}

int plot_svg(const char *path, double width, double height,
             void (*draw)(cairo_t *cr, const void *what), const void *what, struct error *err)
{
    struct output out = {.to_stdout = !strcmp(path, "-"), .err = err};

    *err->text = 0;
    if (!out.to_stdout && outfile_open(&out.file, path, err))
        return -1;
    if (paint(&out, width, height, draw, what, err)) {
        if (!out.to_stdout)
            outfile_discard(&out.file);
        return -1;
    }
    return out.to_stdout ? 0 : outfile_commit(&out.file, err);
}

int plot_svg_try(double width, void (*draw)(cairo_t *cr, const void *what), const void *what,
                 struct error *err)
{
    return paint(NULL, width, 10.0, draw, what, err);
}
