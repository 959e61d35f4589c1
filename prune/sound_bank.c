// SPDX-License-Identifier: MIT
#include "prune/sound_bank.h"

#include "prune/audio_folder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double energy(const float *x, size_t n)
{
    double sum = 0.0;

    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

static void scale(float *x, int n, double factor)
{
    for (int i = 0; i < n; i++)
        x[i] = (float)(x[i] * factor);
}

static int check_length(float *samples, size_t n, struct error *err)
{
    if (n <= (size_t)1 << 30)
        return 0;
    free(samples);
    return fail(err, "a sound of %.0f hours; split it", (double)n / 16000.0 / 3600.0);
}

static int take_noise(void *context, int i, float *samples, size_t n, struct error *err)
{
    struct sound *s = &((struct sound_bank *)context)->sounds[i];
    double power;

    if (check_length(samples, n, err))
        return -1;
    power = energy(samples, n) / (double)(n ? n : 1);
    if (power < 1e-12) {
        free(samples);
        return 0;
    }
    *s = (struct sound){samples, (int)n};
    scale(samples, s->n, 1.0 / sqrt(power));
    return 0;
}

static int take_response(void *context, int i, float *samples, size_t n, struct error *err)
{
    struct sound *s = &((struct sound_bank *)context)->sounds[i];
    size_t peak = 0, from, end;
    double rest = 0.0, all;

    if (check_length(samples, n, err))
        return -1;
    for (size_t k = 1; k < n; k++)
        peak = fabsf(samples[k]) > fabsf(samples[peak]) ? k : peak;
    if (n == 0 || fabsf(samples[peak]) < 1e-9f) {
        free(samples);
        return fail(err, "a room response without a sound in it");
    }

    /* The lead is there even if the file begins with the direct sound. */
    s->samples = calloc(RESPONSE_MAX, sizeof(float));
    if (!s->samples) {
        free(samples);
        return fail(err, "out of memory for a room response");
    }
    from = peak >= RESPONSE_LEAD ? peak - RESPONSE_LEAD : 0;
    end = n - from < RESPONSE_MAX - RESPONSE_LEAD ? n : from + RESPONSE_MAX - RESPONSE_LEAD;
    memcpy(s->samples + RESPONSE_LEAD - (peak - from), samples + from,
           (end - from) * sizeof(float));
    free(samples);
    all = energy(s->samples, RESPONSE_MAX);
    for (s->n = RESPONSE_MAX; s->n > RESPONSE_LEAD + 1; s->n--) {
        rest += (double)s->samples[s->n - 1] * s->samples[s->n - 1];
        if (rest > 1e-6 * all)
            break;
    }
    scale(s->samples, s->n, 1.0 / sqrt(all));
    return 0;
}

static int open_bank(struct sound_bank *b, const char *folder, int n_threads,
                     audio_folder_take *take, struct error *err)
{
    struct audio_folder f;
    int status, n = 0;

    *b = (struct sound_bank){0};
    if (audio_folder_list(&f, folder, err))
        return -1;
    b->sounds = calloc((size_t)f.n, sizeof(*b->sounds));
    b->n = b->sounds ? f.n : 0;
    status = b->sounds ? audio_folder_read(&f, n_threads, take, b, err)
                       : fail(err, "out of memory for %d sounds", f.n);
    audio_folder_release(&f);
    for (int i = 0; i < b->n; i++) {
        if (b->sounds[i].samples)
            b->sounds[n++] = b->sounds[i];
    }
    b->n = n;
    if (status == 0 && n == 0)
        status = fail(err, "%s: its audio files are silent", folder);
    if (status)
        sound_bank_close(b);
    return status;
}

int sound_bank_open_noise(struct sound_bank *b, const char *folder, int n_threads,
                          struct error *err)
{
    return open_bank(b, folder, n_threads, take_noise, err);
}

int sound_bank_open_responses(struct sound_bank *b, const char *folder, int n_threads,
                              struct error *err)
{
    return open_bank(b, folder, n_threads, take_response, err);
}

void sound_bank_close(struct sound_bank *b)
{
    for (int i = 0; i < b->n; i++)
        free(b->sounds[i].samples);
    free(b->sounds);
    *b = (struct sound_bank){0};
}
