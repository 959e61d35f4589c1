// SPDX-License-Identifier: MIT
/* transform.h - Fourier transforms of real signals, by FFTW; plans are made once and shared.
 *
 * FFTW picks its code by the processor, never by a clock: the same bits on machines of
 * one kind. Thread: any, after open. */
#ifndef TRANSFORM_H
#define TRANSFORM_H

#include "model/error.h"

struct transform {
    int n; // samples
    struct fftwf_plan_s *forward, *backward;
};

/* Signals and spectra are aligned as fftwf_malloc does it: 64 bytes do. */
int transform_open(struct transform *t, int n, struct error *err);

/* A zeroed transform may be closed. */
void transform_close(struct transform *t);

/* spectrum [n/2 + 1] complex, of signal [n], which is spoiled. */
void transform_forward(const struct transform *t, float *spectrum, float *signal);

/* signal [n], n times what forward took; spectrum is spoiled. */
void transform_backward(const struct transform *t, float *signal, float *spectrum);

#endif
