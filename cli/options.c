// SPDX-License-Identifier: MIT
#include "cli/options.h"

#include "cli/nearest.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HELP = 1 << 20 };

static const struct poptOption help_table[] = {
    {"help", 'h', POPT_ARG_NONE, NULL, HELP, "show this help", NULL},
    POPT_TABLEEND,
};

/* popt takes tables by non-const pointers, and does not write to them. */
static struct poptOption include_table(const struct poptOption *table, const char *title)
{
    return (struct poptOption){NULL, 0, POPT_ARG_INCLUDE_TABLE, (void *)(uintptr_t)table, 0, title,
                               NULL};
}

static int is_text(const struct poptOption *option)
{
    return option->argInfo == POPT_ARG_STRING || option->argInfo == POPT_ARG_ARGV;
}

/* popt hands out copies; of a list, an array of copies. */
static void free_texts(struct options *o)
{
    for (int i = 0; o->table && o->table[i].longName; i++) {
        char **text = o->table[i].arg;
        if (!is_text(&o->table[i]) || *text == o->before[i])
            continue;
        if (o->table[i].argInfo == POPT_ARG_ARGV) {
            for (char **item = *(char ***)text; *item; item++)
                free(*item);
        }
        free(*text);
        *text = NULL;
    }
}

static void print_help(poptContext context, const char *name, const struct usage *usage)
{
    printf("usage: antiphon %s [OPTION...]%s%s\n\n%s\n\n", name, *usage->arguments ? " " : "",
           usage->arguments, usage->text);
    fflush(stdout);
    poptPrintHelp(context, stdout, 0);
}

/* popt's reason, and of an unknown option what was probably meant. */
static void fail_option(const struct options *o, int status, const char *command,
                        struct error *err)
{
    const char *bad = poptBadOption(o->context, POPT_BADOPTION_NOALIAS), *nearest = NULL;
    char typed[40];
    int distance = NEAREST_FAR;

    snprintf(typed, sizeof(typed), "%s", bad);
    typed[strcspn(typed, "=")] = 0;
    for (int i = 0; o->table[i].longName; i++) {
        if (!strncmp(typed, "--", 2))
            nearest_try(&nearest, &distance, typed + 2, o->table[i].longName);
    }
    if (status == POPT_ERROR_BADOPT && distance < NEAREST_FAR)
        fail(err, "%.100s: unknown option; did you mean --%s?", bad, nearest);
    else
        fail(err, "%.100s: %s; see `antiphon help %s`", bad, poptStrerror(status), command);
}

int options_open(struct options *o, int argc, const char **argv, const struct poptOption *table,
                 const struct usage *usage, struct error *err)
{
    int status;

    *o = (struct options){.table = table};
    for (int i = 0; table[i].longName; i++) {
        assert(i < OPTIONS_MAX);
        o->before[i] = is_text(&table[i]) ? *(void **)table[i].arg : NULL;
    }
    o->all[0] = include_table(table, "Options:");
    o->all[1] = include_table(help_table, "Help:");
    o->context = poptGetContext("antiphon", argc, argv, o->all, 0);
    poptSetOtherOptionHelp(o->context, usage->arguments);
    while ((status = poptGetNextOpt(o->context)) > 0) {
        if (status == HELP) {
            print_help(o->context, argv[0], usage);
            o->helped = 1;
            return 0;
        }
    }
    if (status < -1) {
        fail_option(o, status, argv[0], err);
        return -1;
    }
    o->arguments = poptGetArgs(o->context);
    while (o->arguments && o->arguments[o->n_arguments])
        o->n_arguments++;
    return 0;
}

void options_close(struct options *o)
{
    free_texts(o);
    if (o->context)
        poptFreeContext(o->context);
    *o = (struct options){0};
}

int options_processors(int most)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > most ? most : (int)n;
}

int options_in_range(const struct option_range *list, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        double x = list[i].value;
        if (!(x >= list[i].low && x <= list[i].high))
            return fail(err, "--%s %g: expected %g to %g", list[i].option, x, list[i].low,
                        list[i].high);
    }
    return 0;
}

int options_expect(const struct options *o, int min, int max, const struct usage *usage,
                   struct error *err)
{
    if (o->n_arguments >= min && o->n_arguments <= max)
        return 0;
    if (o->n_arguments > max)
        return fail(err, "unexpected argument \"%.100s\"", o->arguments[max]);
    return fail(err, "wants %s", usage->arguments);
}
