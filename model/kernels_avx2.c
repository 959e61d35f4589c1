// SPDX-License-Identifier: MIT
/* kernels_avx2.c - the loops of kernels_body.h, built for avx2. */
#include "model/kernels_body.h"
#include "model/kernels_builds.h"

const struct kernels kernels_avx2 = KERNELS_TABLE("avx2");
