// SPDX-License-Identifier: MIT
/* bench_latency.h - `bench --latency`: layer shapes against milliseconds, for prune. */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include "model/model.h"

/* Measures shapes up to the model's, writes the table and prints it in short. */
int bench_latency(const char *path, const struct model *m, const char *name, int threads,
                  struct error *err);

#endif
