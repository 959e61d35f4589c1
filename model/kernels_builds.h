// SPDX-License-Identifier: MIT
/* kernels_builds.h - the builds of the loops that this program was compiled with. */
#ifndef KERNELS_BUILDS_H
#define KERNELS_BUILDS_H

#include "model/kernels.h"

extern const struct kernels kernels_plain;
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;

#endif
