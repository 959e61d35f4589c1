// SPDX-License-Identifier: MIT
/* training_bar.h - the progress bar of a training run: steps, running means of
 * loss and rate, and what else the run knows. */
#ifndef TRAINING_BAR_H
#define TRAINING_BAR_H

#include "cli/progress.h"
#include "prune/trainer.h"

struct training_bar {
    struct progress progress;
    char what[160];
    double loss, der, rate, dev;
    int shown; // 0: another rank shows it
};

void training_bar_begin(struct training_bar *b, const char *what,
                        const struct trainer_settings *s, int shown);
void training_bar_end(struct training_bar *b);

/* For run_settings.tell. */
void training_bar_tell(void *bar, const struct step_report *r, double score);

#endif
