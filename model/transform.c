// SPDX-License-Identifier: MIT
#include "model/transform.h"

#include <fftw3.h>
#include <pthread.h>

/* FFTW's planner is one for the whole program. */
static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

int transform_open(struct transform *t, int n, struct error *err)
{
    float *signal = fftwf_malloc((size_t)n * sizeof(float));
    float *spectrum = fftwf_malloc(((size_t)n + 2) * sizeof(float));

    *t = (struct transform){.n = n};
    if (signal && spectrum) { // ESTIMATE: the plan must not depend on a clock
        pthread_mutex_lock(&planner);
        t->forward = fftwf_plan_dft_r2c_1d(n, signal, (fftwf_complex *)spectrum,
                                           FFTW_ESTIMATE | FFTW_DESTROY_INPUT);
        t->backward = fftwf_plan_dft_c2r_1d(n, (fftwf_complex *)spectrum, signal, FFTW_ESTIMATE);
        pthread_mutex_unlock(&planner);
    }
    fftwf_free(signal);
    fftwf_free(spectrum);
    if (t->forward && t->backward)
        return 0;
    transform_close(t);
    return fail(err, "out of memory for a transform of %d samples", n);
}

void transform_close(struct transform *t)
{
    pthread_mutex_lock(&planner);
    if (t->forward)
        fftwf_destroy_plan(t->forward);
    if (t->backward)
        fftwf_destroy_plan(t->backward);
    pthread_mutex_unlock(&planner);
    *t = (struct transform){0};
}

void transform_forward(const struct transform *t, float *spectrum, float *signal)
{
    fftwf_execute_dft_r2c(t->forward, signal, (fftwf_complex *)spectrum);
}

void transform_backward(const struct transform *t, float *signal, float *spectrum)
{
    fftwf_execute_dft_c2r(t->backward, (fftwf_complex *)spectrum, signal);
}
