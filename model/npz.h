// SPDX-License-Identifier: MIT
/* npz.h - numpy's archives of arrays: a zip of .npy files.
 *
 * Arrays of little-endian float32 or float64, C or Fortran order, stored or
 * deflated, of the header's versions 1 to 3; anything else is refused by name,
 * pickled objects with it. Nothing in a file is a size before it was checked.
 * Thread: any, one at a time. */
#ifndef NPZ_H
#define NPZ_H

#include "model/error.h"

#include <stddef.h>
#include <stdint.h>

enum { NPY_MAX_AXES = 4 };

struct npy {
    int n_axes;
    int64_t size[NPY_MAX_AXES];
    int fortran;               // the first axis is the one that runs fastest
    int bytes;                 // of an element: 4 or 8
    const unsigned char *data; // in the caller's bytes, not aligned
};

/* Reads the header of a .npy in memory; data points into the bytes. */
int npy_parse(struct npy *a, const unsigned char *bytes, size_t n_bytes, struct error *err);

/* All elements, row major: n of them, as many as the sizes say. */
void npy_to_doubles(double *dst, const struct npy *a);

struct npz {
    struct zip *zip;
    const char *path; // the caller's, for errors
};

int npz_open(struct npz *z, const char *path, struct error *err);

/* The array of that name, which must have exactly n_axes axes; size [n_axes] may
 * be given (then it must agree) or 0 (then it is filled in: 1 to 65536). Row major, the
 * caller's to free. NULL with err filled. */
double *npz_doubles(struct npz *z, const char *name, int64_t *size, int n_axes,
                    struct error *err);

/* A zeroed archive may be closed. */
void npz_close(struct npz *z);

#endif
