// SPDX-License-Identifier: MIT
/* command.h - the subcommands, and what each is given.
 *
 * One file a command, one row in the table of main.c. A command returns its
 * exit status: 0 done, 1 failed, 2 misused; for 1 and 2 it fills err, and main
 * prints that in one place. Results go to stdout, talk to stderr. */
#ifndef COMMAND_H
#define COMMAND_H

#include "model/error.h"

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_MISUSED = 2 };

struct command {
    const char *name;
    const char *summary; // one line for the list
    /* argv[0] is the name. NULL: the row is a heading in the list, no command. */
    int (*run)(int argc, const char **argv, struct error *err);
};

/* Ended by a row without a name. */
extern const struct command commands[];

int cmd_bench(int argc, const char **argv, struct error *err);
int cmd_calibrate(int argc, const char **argv, struct error *err);
int cmd_convert(int argc, const char **argv, struct error *err);
int cmd_devices(int argc, const char **argv, struct error *err);
int cmd_diarize(int argc, const char **argv, struct error *err);
int cmd_enroll(int argc, const char **argv, struct error *err);
int cmd_evaluate(int argc, const char **argv, struct error *err);
int cmd_features(int argc, const char **argv, struct error *err);
int cmd_finetune(int argc, const char **argv, struct error *err);
int cmd_grow(int argc, const char **argv, struct error *err);
int cmd_info(int argc, const char **argv, struct error *err);
int cmd_plot(int argc, const char **argv, struct error *err);
int cmd_prune(int argc, const char **argv, struct error *err);
int cmd_score(int argc, const char **argv, struct error *err);
int cmd_simulate(int argc, const char **argv, struct error *err);
int cmd_stream(int argc, const char **argv, struct error *err);

#endif
