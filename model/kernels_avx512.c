// SPDX-License-Identifier: MIT
/* kernels_avx512.c - the loops of kernels_body.h, built for avx512. */
#include "model/kernels_body.h"
#include "model/kernels_builds.h"

const struct kernels kernels_avx512 = KERNELS_TABLE("avx512");
