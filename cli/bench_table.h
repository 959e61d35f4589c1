// SPDX-License-Identifier: MIT
/* bench_table.h - `bench --table`: the published table of pruned models, with what
 * pruning is worth on this machine. */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include "model/error.h"

/* Measures all rows in one run and prints Markdown. */
int bench_table(struct error *err);

#endif
