// SPDX-License-Identifier: MIT
/* kernels.c - which build of the loops this machine gets. */
#include "model/kernels.h"

#include "model/kernels_builds.h"

#ifdef KERNELS_X86

static const struct kernels *const up_to_avx512[] = {&kernels_plain, &kernels_avx2,
                                                     &kernels_avx512, NULL};
static const struct kernels *const up_to_avx2[] = {&kernels_plain, &kernels_avx2, NULL};
static const struct kernels *const only_plain[] = {&kernels_plain, NULL};

const struct kernels *const *kernels_all(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2"))
        return only_plain;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512bw"))
        return up_to_avx2;
    return up_to_avx512;
}

#else

static const struct kernels *const only_plain[] = {&kernels_plain, NULL};

const struct kernels *const *kernels_all(void)
{
    return only_plain;
}

#endif

const struct kernels *kernels_get(void)
{
    const struct kernels *const *best = kernels_all();

    while (best[1])
        best++;
    return *best;
}
