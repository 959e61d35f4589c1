// SPDX-License-Identifier: MIT
/* plot_model.h - what is left of a model as a picture. */
#ifndef PLOT_MODEL_H
#define PLOT_MODEL_H

#include "model/error.h"

/* 1 if the name is a model's file or an architecture's. */
int plot_model_is(const char *path);

/* dense: the model it was pruned from, or NULL. */
int plot_model(const char *output, const char *path, const char *dense, struct error *err);

#endif
