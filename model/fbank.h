// SPDX-License-Identifier: MIT
/* fbank.h - log mel filter banks of one frame, as Kaldi computes them.
 *
 *   x = samples * scale, less their mean; x[i] -= preemphasis x[i-1] (x[-1] = x[0])
 *   bin = ln(max(floor, sum_k mel[bin,k] |FFT(window x)|^2[k])),  k < fft / 2
 *
 * Mel scale 1127 ln(1 + f / 700), triangles of equal width on it. An fbank is
 * constant after opening; frames may be computed by several threads. FFTW's
 * plans are estimated, not measured, so the bits do not hang on the clock. */
#ifndef FBANK_H
#define FBANK_H

#include "model/error.h"

#include <stddef.h>

enum fbank_window { FBANK_HAMMING, FBANK_HANN };

struct fbank_shape {
    int window, fft; // samples; fft a power of two >= window
    int bins;
    double low_hz, high_hz, preemphasis;
    enum fbank_window kind;
    double scale;    // of samples: Kaldi's are 16-bit numbers, 32768
    int remove_dc;
    float floor;     // of the energies
};

struct fbank;

/* 16 kHz. NULL with err filled: no such shape, or no memory. */
struct fbank *fbank_open(const struct fbank_shape *shape, struct error *err);
void fbank_close(struct fbank *f); // NULL allowed

/* bins [bins] of samples [window]. scratch: fbank_scratch_floats of the caller,
 * 64-byte aligned. No allocation. */
void fbank_frame(float *bins, const struct fbank *f, float *scratch, const float *samples);
size_t fbank_scratch_floats(const struct fbank_shape *shape);

/* The matrix [bins, fft / 2] and the window [window], for tests. */
void fbank_tables(const struct fbank *f, float *mel, float *window);

#endif
