// SPDX-License-Identifier: MIT
/* resnet_speed.c [SECONDS] - not a test: what the speaker network of the real size
 * costs a thread, stage by stage, beside this machine's matrix products in the same run. */
#include "model/op.h"
#include "model/random.h"
#include "model/resnet_params.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* The time of this thread alone: others may be busy. */
static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

enum { ROUNDS = 9, STEPS = RESNET_STAGES + 3, SPEAKERS = 4 };

static const char *const names[STEPS] = {"filter banks", "first convolution", "stage 1", "stage 2",
                                         "stage 3", "stage 4", "pooling of 4"};

static void run(double seconds[STEPS], double flops[STEPS], struct resnet_acts *a,
                const struct resnet *r, const float *x, size_t n, const float *weights)
{
    float vector[256];

    for (int i = 0; i < STEPS; i++) {
        double begin = now(), done = op_flops();
        if (i == 0)
            resnet_features(a, r, x, n);
        else if (i == 1)
            resnet_stem(a, r, resnet_frames(n));
        else if (i < STEPS - 1)
            resnet_stage(a, r, i - 2);
        else
            for (int s = 0; s < SPEAKERS; s++)
                resnet_pool(vector, a, r, weights, 800);
        double took = now() - begin;
        flops[i] = op_flops() - done;
        if (took < seconds[i])
            seconds[i] = took;
    }
}

enum { PRODUCT = 1024 };

static double best_product(float *memory)
{
    double begin = now();

    gemm_nt(memory + 2 * PRODUCT * PRODUCT, PRODUCT, memory, PRODUCT, memory + PRODUCT * PRODUCT,
            PRODUCT, PRODUCT, PRODUCT, PRODUCT, 1.0f, 0.0f);
    return 2.0 * PRODUCT * PRODUCT * PRODUCT / (now() - begin);
}

int main(int argc, char **argv)
{
    struct resnet_shape real = {32, 80, 256};
    double length = argc > 1 ? atof(argv[1]) : 16.0, seconds[STEPS], flops[STEPS], peak = 0.0;
    double total = 0.0, made = 0.0, direct;
    size_t n = (size_t)(length * 16000.0);
    float *x = malloc(n * sizeof(float)), weights[800];
    float *memory = calloc(3 * PRODUCT * PRODUCT, sizeof(float));
    struct resnet_cost cost;
    struct random rng;
    struct resnet r;
    struct resnet_acts a;
    struct error err;

    op_set_threads(1);
    if (!x || !memory || resnet_open_random(&r, &real, 1, &err) || resnet_acts_open(&a, &r, n, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    random_init(&rng, 1);
    for (size_t i = 0; i < n; i++)
        x[i] = 0.2f * random_uniform(&rng) - 0.1f;
    for (int i = 0; i < 800; i++)
        weights[i] = (float)(i % 2);
    for (int i = 0; i < STEPS; i++)
        seconds[i] = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double rate = best_product(memory);
        peak = rate > peak ? rate : peak;
        run(seconds, flops, &a, &r, x, n, weights);
    }
    resnet_count(&cost, &real);
    printf("%s, peak %.0f GFLOP/s, %.1f s of sound, best of %d\n", op_blas_kernels(), peak / 1e9,
           length, ROUNDS);
    for (int i = 0; i < STEPS; i++) {
        direct = i > 0 && i <= RESNET_STAGES + 1 ? 2.0 * cost.stage_macs[i - 1] * length : flops[i];
        printf("%-18s %7.1f ms  %6.2f GFLOP made, %6.2f direct: %4.0f and %4.0f GFLOP/s\n",
               names[i], 1e3 * seconds[i], flops[i] / 1e9, direct / 1e9,
               flops[i] / seconds[i] / 1e9, direct / seconds[i] / 1e9);
        total += seconds[i];
        made += flops[i];
    }
    printf("%-18s %7.1f ms  %6.2f GFLOP made: %.0f GFLOP/s, %.0f %% of the peak; memory %zu MB\n",
           "all", 1e3 * total, made / 1e9, made / total / 1e9, 100.0 * made / total / peak,
           (r.arena.size + a.arena.size) >> 20);
    resnet_acts_close(&a);
    resnet_close(&r);
    free(x);
    free(memory);
    return 0;
}
