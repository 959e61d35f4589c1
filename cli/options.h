// SPDX-License-Identifier: MIT
/* options.h - a command's options, by popt: one table gives parsing and help. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "model/error.h"

#include <popt.h>
#include <stddef.h>

enum { OPTIONS_MAX = 96 };

struct options {
    poptContext context;
    struct poptOption all[3]; // the command's table and --help
    const struct poptOption *table;
    void *before[OPTIONS_MAX]; // the texts' defaults: what differs is popt's copy, to be freed
    const char **arguments; // what is left, ended by NULL; lives until options_close
    int n_arguments;
    int helped;             // --help was asked for and printed
};

/* What `antiphon help CMD` says around the table of options. */
struct usage {
    const char *arguments; // "MODEL AUDIO", or "" for none
    const char *text;      // what it does, and an example
};

/* Parses argv by the table. --help prints help on stdout and sets helped: the
 * command then returns STATUS_DONE. Returns -1 with err filled on misuse. */
int options_open(struct options *o, int argc, const char **argv, const struct poptOption *table,
                 const struct usage *usage, struct error *err);

/* Frees the texts that options were set to: use them before. */
void options_close(struct options *o);

/* Processors of this machine, at least 1, at most `most`: --threads unless it says so. */
int options_processors(int most);

/* A number an option was set to (or its default), and what it may be. */
struct option_range {
    const char *option; // without the dashes
    double value, low, high;
};

/* Names the first number that is outside, or none at all (NaN): -1 with err filled. */
int options_in_range(const struct option_range *list, size_t n, struct error *err);

/* Checks the number of arguments: -1 with the usage line in err. */
int options_expect(const struct options *o, int min, int max, const struct usage *usage,
                   struct error *err);

#endif
