// SPDX-License-Identifier: MIT
/* latency.h - what layers of some shapes take on this machine, and between them.
 *
 * A table of layer shapes against milliseconds of a live block, measured with the
 * runtime's own loops: convolutions by their channels in and out, the projection
 * by its features, attention by its heads, feed-forwards by their inner units;
 * what pruning cannot change is one number. Between the shapes it is linear (of
 * convolutions bilinear), so that it has slopes; more never takes less. */
#ifndef LATENCY_H
#define LATENCY_H

#include "model/config.h"
#include "model/model.h"

enum { LATENCY_POINTS = 18, LATENCY_GRID = 8 };

struct latency_curve {
    int n;
    double x[LATENCY_POINTS], ms[LATENCY_POINTS]; // x ascending, the first 0
};

struct latency_grid {
    int n_in, n_out;
    double in[LATENCY_GRID], out[LATENCY_GRID]; // ascending
    double ms[LATENCY_GRID][LATENCY_GRID];      // [in][out]
};

struct latency {
    int block_frames, left_frames, threads;
    struct latency_grid conv[MAX_CONVS];
    struct latency_curve projection, attention, feed_forward;
    double fixed_ms; // norms and positional convolution
};

/* Measures shapes up to those of c. Told how far it is, 0 .. 1 (NULL: nobody). */
int latency_measure(struct latency *l, const struct model_config *c, const struct reach *reach,
                    int threads, void (*tell)(void *user, double share), void *user,
                    struct error *err);

/* ms at x, and the slope there. Beyond the last point as before it. */
double latency_curve_at(const struct latency_curve *c, double x, double *slope);
double latency_grid_at(const struct latency_grid *g, double in, double out, double *by_in,
                       double *by_out);

/* ms of a block of a model of that shape. */
double latency_of(const struct latency *l, const struct model_config *c);

/* As JSON; and back, for models of c's shape. */
int latency_write(const struct latency *l, const char *path, struct error *err);
int latency_read(struct latency *l, const char *path, const struct model_config *c,
                 struct error *err);

#endif
