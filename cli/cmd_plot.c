// SPDX-License-Identifier: MIT
/* cmd_plot.c - `plot`: one or two files of turns as a picture. */
#include "cli/command.h"
#include "cli/options.h"
#include "cli/plot_log.h"
#include "cli/plot_model.h"
#include "stream/plot.h"

#include <stdio.h>
#include <string.h>

static const struct usage usage = {
    "IN [IN]",
    "Draws who speaks when as an SVG timeline. With two files the first is the reference,\n"
    "above; the second is below, in the colours of those it was mapped to, and between them is\n"
    "where they differ. IN is RTTM, Audacity labels (.txt), WebVTT (.vtt) or TextGrid.\n"
    "Of a training run's log it draws loss, DER, learning rate and speed over the steps; of a\n"
    "model what pruning left of each layer, a second one being what it was pruned from.\n\n"
    "  antiphon plot evening.rttm -o evening.svg\n"
    "  antiphon plot reference.rttm antiphon.rttm -o errors.svg\n"
    "  antiphon plot all.rttm sys.rttm --recording EN2002a --from 600 --to 720 -o a.svg\n"
    "  antiphon plot model.safetensors.run/log.jsonl -o run.svg\n"
    "  antiphon plot pruned.safetensors dense.safetensors -o map.svg",
};

struct arguments {
    const char *output, *recording;
    struct plot_settings plot;
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The recording that was asked for; else the only one, or the only one that
 * both files have. */
static const char *choose(const struct turns sides[2], int n, const char *asked, struct error *err)
{
    const char *only = NULL;
    int shared = 0;

    if (asked && !turns_find(&sides[0], asked)) {
        fail(err, "recording %.100s is not in the first file, which has %s%s%s", asked,
             sides[0].n ? sides[0].list[0].name : "none", sides[0].n > 1 ? ", " : "",
             sides[0].n > 1 ? sides[0].list[1].name : "");
        return NULL;
    }
    if (asked || sides[0].n == 1)
        return asked ? asked : sides[0].list[0].name;
    for (int i = 0; i < sides[0].n; i++) {
        if (n == 2 && !turns_find(&sides[1], sides[0].list[i].name))
            continue;
        only = sides[0].list[i].name;
        shared++;
    }
    if (shared == 1)
        return only;
    if (sides[0].n == 0)
        fail(err, "no turn in the first file");
    else
        fail(err, "%d recordings could be drawn (%s ...); say which with --recording NAME",
             shared ? shared : sides[0].n, sides[0].list[0].name);
    return NULL;
}

/* Two files of one recording each are versions of the same, whatever they call
 * it. */
static const struct recording *counterpart(const struct turns *other, const char *name,
                                           int alone, struct error *err)
{
    static const struct recording silent = {0};
    const struct recording *r = turns_find(other, name);

    if (!r && alone && other->n == 1) {
        r = &other->list[0];
        fprintf(stderr, "antiphon plot: warning: the second file calls the recording %s\n",
                r->name);
    }
    if (!r && other->n == 0)
        return &silent;
    if (!r)
        fail(err, "recording %s is not in the second file, which has %s%s", name,
             other->list[0].name, other->n > 1 ? " ..." : "");
    return r;
}

static int plot(struct arguments *a, const char *const *paths, int n, struct error *err)
{
    struct turns sides[2] = {{0}, {0}};
    const struct recording *below = NULL;
    const char *name = NULL;
    int status = 0;

    if (n == 1 && plot_log_is(paths[0])) {
        status = plot_log(a->output, paths[0], err);
        plot_forget_fonts();
        return status ? STATUS_FAILED : STATUS_DONE;
    }
    if (plot_model_is(paths[0])) {
        status = plot_model(a->output, paths[0], n == 2 ? paths[1] : NULL, err);
        plot_forget_fonts();
        return status ? STATUS_FAILED : STATUS_DONE;
    }
    for (int i = 0; status == 0 && i < n; i++) {
        status = turns_read(&sides[i], paths[i], err);
        a->plot.names[i] = base_name(paths[i]);
    }
    if (status == 0)
        name = choose(sides, n, a->recording, err);
    if (name && n == 2)
        below = counterpart(&sides[1], name, sides[0].n == 1, err);
    status = name && (n == 1 || below)
                 ? plot_turns(a->output, turns_find(&sides[0], name), below, &a->plot, err) : -1;
    plot_forget_fonts();
    turns_release(&sides[0]);
    turns_release(&sides[1]);
    return status ? STATUS_FAILED : STATUS_DONE;
}

static int check_arguments(const struct arguments *a, struct error *err)
{
    const struct plot_settings *p = &a->plot;

    if (!a->output)
        return fail(err, "wants -o FILE.svg; - is stdout");
    if (!(p->row_seconds >= 0.0 && p->row_seconds <= TURNS_MAX_SECONDS))
        return fail(err, "--row %g: should be seconds, more than 0", p->row_seconds);
    if (!(p->from >= 0.0 && p->from <= TURNS_MAX_SECONDS && p->to >= 0.0 &&
          p->to <= TURNS_MAX_SECONDS))
        return fail(err, "--from %g --to %g: should be stream seconds", p->from, p->to);
    if (p->to > 0.0 && p->to <= p->from)
        return fail(err, "--to %g: should be after --from %g", p->to, p->from);
    return 0;
}

int cmd_plot(int argc, const char **argv, struct error *err)
{
    struct arguments a = {.plot = plot_defaults()};
    const struct poptOption table[] = {
        {"output", 'o', POPT_ARG_STRING, &a.output, 0, "write the SVG here; -: stdout", "FILE"},
        {"recording", 0, POPT_ARG_STRING, &a.recording, 0, "which, if the files have several",
         "NAME"},
        {"from", 0, POPT_ARG_DOUBLE, &a.plot.from, 0, "begin there [0]", "SEC"},
        {"to", 0, POPT_ARG_DOUBLE, &a.plot.to, 0, "end there [after the last turn]", "SEC"},
        {"row", 0, POPT_ARG_DOUBLE, &a.plot.row_seconds, 0,
         "length of a row [at most 20 rows]", "SEC"},
        POPT_TABLEEND,
    };
    struct options o;
    int status = STATUS_MISUSED;

    if (options_open(&o, argc, argv, table, &usage, err) == 0) {
        if (o.helped)
            status = STATUS_DONE;
        else if (options_expect(&o, 1, 2, &usage, err) == 0 && check_arguments(&a, err) == 0)
            status = plot(&a, o.arguments, o.n_arguments, err);
    }
    options_close(&o);
    return status;
}
