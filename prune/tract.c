// SPDX-License-Identifier: MIT
#include "prune/tract.h"

#include <math.h>
#include <string.h>

enum { STEP = TRACT_FRAME / 2, BINS = TRACT_FRAME / 2 + 1, LIFTER = 40, ALIGN = 64 };

int tract_open(struct tract *t, struct error *err)
{
    for (int i = 0; i < TRACT_FRAME; i++)
        t->window[i] = (float)sin(3.141592653589793 * (i + 0.5) / TRACT_FRAME);
    return transform_open(&t->transform, TRACT_FRAME, err);
}

void tract_close(struct tract *t)
{
    transform_close(&t->transform);
}

/* curve [BINS] without what changes faster along frequency than LIFTER samples of cepstrum. */
static void smooth(const struct tract *t, float *curve)
{
    _Alignas(ALIGN) float cepstrum[TRACT_FRAME], spectrum[2 * BINS];

    for (int k = 0; k < BINS; k++) {
        spectrum[2 * k] = curve[k] / TRACT_FRAME;
        spectrum[2 * k + 1] = 0.0f;
    }
    transform_backward(&t->transform, cepstrum, spectrum);
    memset(cepstrum + LIFTER, 0, (TRACT_FRAME - 2 * LIFTER + 1) * sizeof(float));
    transform_forward(&t->transform, spectrum, cepstrum);
    for (int k = 0; k < BINS; k++)
        curve[k] = spectrum[2 * k];
}

/* curve [BINS] at bin `at`, between two of them. */
static float between(const float *curve, float at)
{
    int k = at < BINS - 2 ? (int)at : BINS - 2;
    float part = at < BINS - 1 ? at - (float)k : 1.0f;

    return curve[k] + part * (curve[k + 1] - curve[k]);
}

/* spectrum [BINS] complex, of a frame. */
static void move(const struct tract *t, float *spectrum, float ratio)
{
    const float most = 2.302585f; // 20 dB
    float power[BINS], curve[BINS], before = 0.0f, after = 0.0f, keep;

    for (int k = 0; k < BINS; k++) {
        float re = spectrum[2 * k], im = spectrum[2 * k + 1];
        power[k] = re * re + im * im;
        before += power[k];
    }
    for (int k = 0; k < BINS; k++) // 60 dB below the mean nothing counts
        curve[k] = 0.5f * logf(power[k] + 1e-6f * before / BINS + 1e-20f);
    smooth(t, curve);
    for (int k = 0; k < BINS; k++) {
        float gain = between(curve, (float)k / ratio) - curve[k];
        gain = expf(gain < -most ? -most : gain > most ? most : gain);
        spectrum[2 * k] *= gain;
        spectrum[2 * k + 1] *= gain;
        after += power[k] * gain * gain;
    }
    keep = after > 0.0f ? sqrtf(before / after) : 0.0f;
    for (int k = 0; k < 2 * BINS; k++)
        spectrum[k] *= keep;
}

void tract_change(const struct tract *t, float *dst, const float *x, int n, float ratio)
{
    _Alignas(ALIGN) float frame[TRACT_FRAME], spectrum[2 * BINS];

    memset(dst, 0, (size_t)n * sizeof(float));
    for (int at = -STEP; at < n; at += STEP) {
        int first = at < 0 ? -at : 0, last = n - at < TRACT_FRAME ? n - at : TRACT_FRAME;

        memset(frame, 0, sizeof(frame));
        for (int i = first; i < last; i++)
            frame[i] = t->window[i] * x[at + i];
        transform_forward(&t->transform, spectrum, frame);
        move(t, spectrum, ratio);
        transform_backward(&t->transform, frame, spectrum);
        for (int i = first; i < last; i++)
            dst[at + i] += t->window[i] * frame[i] / TRACT_FRAME;
    }
}
