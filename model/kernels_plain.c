// SPDX-License-Identifier: MIT
/* kernels_plain.c - the loops of kernels_body.h, built for any machine. */
#include "model/kernels_body.h"
#include "model/kernels_builds.h"

const struct kernels kernels_plain = KERNELS_TABLE("plain");
