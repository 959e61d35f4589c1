// SPDX-License-Identifier: MIT
/* main.c - which command it is, and the one place that prints errors. */
#include "cli/command.h"
#include "cli/nearest.h"
#include "model/kernels.h"
#include "model/op.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct command commands[] = {
    {"Live", NULL, NULL},
    {"stream", "say who is speaking, live: microphone, file or stdin", cmd_stream},
    {"enroll", "teach it a person's voice and name", cmd_enroll},
    {"devices", "list the capture devices", cmd_devices},
    {"Recordings", NULL, NULL},
    {"diarize", "say who spoke when in whole recordings", cmd_diarize},
    {"Results", NULL, NULL},
    {"score", "compare turns with a reference: DER and JER", cmd_score},
    {"plot", "draw turns, or a training run, as an SVG", cmd_plot},
    {"Models", NULL, NULL},
    {"info", "architecture, parameters and cost of a model", cmd_info},
    {"calibrate", "make a model's speaker vectors comparable", cmd_calibrate},
    {"convert", "turn an upstream checkpoint into an antiphon model", cmd_convert},
    {"features", "write a model's representations and scores of a recording", cmd_features},
    {"finetune", "train a model for diarization", cmd_finetune},
    {"grow", "give a pruned model room to learn more", cmd_grow},
    {"prune", "make a smaller model that does the same", cmd_prune},
    {"simulate", "make meetings from recordings of one person each", cmd_simulate},
    {"evaluate", "frame errors of a model on meetings with a reference", cmd_evaluate},
    {"bench", "measure speed, latency and memory on this machine", cmd_bench},
    {NULL, NULL, NULL},
};

static const struct command *find_command(const char *name)
{
    for (const struct command *c = commands; c->name; c++) {
        if (c->run && !strcmp(c->name, name))
            return c;
    }
    return NULL;
}

static void print_commands(FILE *out)
{
    fputs("usage: antiphon COMMAND [OPTION...]\n\n"
          "antiphon listens and says who is speaking, as it happens.\n\n", out);
    for (const struct command *c = commands; c->name; c++) {
        if (c->run)
            fprintf(out, "  %-10s %s\n", c->name, c->summary);
        else
            fprintf(out, "%s%s\n", c == commands ? "" : "\n", c->name);
    }
    fputs("\n`antiphon help COMMAND` tells more of one; `antiphon stream` is where to start.\n",
          out);
}

static int unknown_command(const char *name)
{
    const char *nearest = NULL;
    int distance = NEAREST_FAR;

    for (const struct command *c = commands; c->name; c++) {
        if (c->run)
            nearest_try(&nearest, &distance, name, c->name);
    }
    fprintf(stderr, "antiphon: unknown command \"%.60s\"", name);
    if (nearest)
        fprintf(stderr, "; did you mean %s?\n", nearest);
    else
        fputs("; `antiphon help` lists them\n", stderr);
    return STATUS_MISUSED;
}

static int run(const struct command *c, int argc, const char **argv)
{
    struct error err = {""};
    int status = c->run(argc, argv, &err);

    if (status != STATUS_DONE && err.text[0]) // else the command has said it
        fprintf(stderr, "antiphon %s: %s\n", c->name, err.text);
    /* A full disk behind stdout shows only when it is flushed. */
    if ((fflush(stdout) || ferror(stdout)) && status == STATUS_DONE) {
        fprintf(stderr, "antiphon %s: writing to stdout: %s\n", c->name, strerror(errno));
        status = STATUS_FAILED;
    }
    return status;
}

static int help(int argc, const char **argv)
{
    const struct command *c;
    const char *help_argv[] = {NULL, "--help", NULL};

    if (argc < 2) {
        print_commands(stdout);
        return STATUS_DONE;
    }
    c = find_command(argv[1]);
    if (!c)
        return unknown_command(argv[1]);
    help_argv[0] = c->name;
    return run(c, 2, help_argv);
}

/* OpenBLAS picks its kernels before main, by a table of processors; for one younger than the table it takes those of
 * 2004, a fifth as fast. It reads the variable that says better only then: so the program begins anew with it. */
static void begin_with_better_kernels(char **argv)
{
    const char *better = op_better_kernels(op_blas_kernels(), kernels_get()->name);

    if (better && !getenv("OPENBLAS_CORETYPE") && setenv("OPENBLAS_CORETYPE", better, 0) == 0)
        execv("/proc/self/exe", argv); // where that fails: slower, and no less right
}

int main(int argc, char **argv)
{
    const char **args = (const char **)argv + 1;
    const struct command *c;

    begin_with_better_kernels(argv);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file that may not grow is an error like a full disk
    if (argc < 2) {
        print_commands(stderr);
        return STATUS_MISUSED;
    }
    if (!strcmp(args[0], "--version") || !strcmp(args[0], "version")) {
        puts("antiphon " ANTIPHON_VERSION);
        return STATUS_DONE;
    }
    if (!strcmp(args[0], "help") || !strcmp(args[0], "--help") || !strcmp(args[0], "-h"))
        return help(argc - 1, args);
    c = find_command(args[0]);
    return c ? run(c, argc - 1, args) : unknown_command(args[0]);
}
