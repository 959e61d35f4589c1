// SPDX-License-Identifier: MIT
/* prune_report.h - what a pruning did, as a picture: sparsity against its target,
 * losses, and what is left of every layer. */
#ifndef PRUNE_REPORT_H
#define PRUNE_REPORT_H

#include "model/error.h"

/* folder: the run's; dense and pruned: model files. Prints parameters, MACs and
 * live speed before and after on stdout. */
int prune_report(const char *output, const char *folder, const char *dense, const char *pruned,
                 struct error *err);

#endif
