// SPDX-License-Identifier: MIT
/* plot_log.h - a training run's log as a picture. */
#ifndef PLOT_LOG_H
#define PLOT_LOG_H

#include "model/error.h"

/* 1 if the file's first line is one of a run's log. */
int plot_log_is(const char *path);

/* Draws loss, DER, learning rate, gradient and speed. Errors name the line. */
int plot_log(const char *output, const char *path, struct error *err);

#endif
