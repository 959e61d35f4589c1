// SPDX-License-Identifier: MIT
#include "prune/voice.h"

#include "prune/activity.h"

#include <math.h>
#include <string.h>

/* Samples of the piece to ten of the meeting. */
static const int per_ten[VOICE_SPEEDS] = {10, 9, 11};

enum { FADE = 80 };

void voice_filters_make(struct voice_filters *f)
{
    const double pi = 3.141592653589793;

    for (int k = 0; k < 2; k++) {
        double cut = k == 0 ? 0.95 : 0.95 / 1.1; // of half the rate; faster folds over
        for (int p = 0; p < VOICE_PHASES; p++) {
            double sum = 0.0;
            for (int i = 0; i < VOICE_TAPS; i++) {
                double x = i - (VOICE_TAPS / 2 - 1) - p / 10.0;
                double sinc = fabs(x) < 1e-9 ? cut : sin(pi * cut * x) / (pi * x);
                double tap = sinc * (0.5 + 0.5 * cos(2.0 * pi * x / (VOICE_TAPS + 1)));
                f->taps[k][p][i] = (float)tap;
                sum += tap;
            }
            for (int i = 0; i < VOICE_TAPS; i++)
                f->taps[k][p][i] = (float)(f->taps[k][p][i] / sum);
        }
    }
}

int voice_length(int n_steps, int speed)
{
    return (int)((int64_t)n_steps * ACTIVITY_STEP * 10 / per_ten[speed]);
}

static float fade(const struct stretch *s, int at)
{
    int edge = at < s->n - 1 - at ? at : s->n - 1 - at;

    return edge < FADE ? (float)edge / FADE : 1.0f;
}

/* Sample `at` of the stretch, from ten times that many ninths or elevenths. */
static float between(const struct stretch *s, int at, const struct voice_filters *f)
{
    int64_t tenths = (int64_t)at * per_ten[s->speed];
    const float *taps = f->taps[s->speed - 1][tenths % 10];
    int64_t first = s->from * ACTIVITY_STEP + tenths / 10 - (VOICE_TAPS / 2 - 1);
    int64_t n = (int64_t)s->piece->n_steps * ACTIVITY_STEP;
    float sum[4] = {0.0f};

    if (first >= 0 && first + VOICE_TAPS <= n) {
        const int16_t *pcm = s->piece->pcm + first;
        for (int i = 0; i < VOICE_TAPS; i += 4) {
            for (int k = 0; k < 4; k++)
                sum[k] += taps[i + k] * pcm[i + k];
        }
        return (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
    for (int i = 0; i < VOICE_TAPS; i++) {
        if (first + i >= 0 && first + i < n)
            sum[0] += taps[i] * s->piece->pcm[first + i];
    }
    return sum[0];
}

void voice_add(float *dst, int64_t from, int n, const struct stretch *s,
               const struct voice_filters *f)
{
    float gain = s->gain * s->piece->scale;
    int64_t begin = s->start > from ? s->start : from;
    int64_t end = s->start + s->n < from + n ? s->start + s->n : from + n;
    const int16_t *pcm = s->piece->pcm + (size_t)s->from * ACTIVITY_STEP;

    for (int64_t t = begin; t < end; t++) {
        int at = (int)(t - s->start);
        float x = s->speed ? between(s, at, f) : (float)pcm[at];
        dst[t - from] += gain * fade(s, at) * x;
    }
}

void voice_resample(float *dst, int64_t n, const float *src, int64_t n_src, int speed,
                    const struct voice_filters *f)
{
    for (int64_t t = 0; t < n; t++) {
        int64_t tenths = t * per_ten[speed], at = tenths / 10 - (VOICE_TAPS / 2 - 1);
        float sum = 0.0f;
        if (speed == 0) {
            dst[t] = t < n_src ? src[t] : 0.0f;
            continue;
        }
        for (int i = 0; i < VOICE_TAPS; i++) {
            if (at + i >= 0 && at + i < n_src)
                sum += f->taps[speed - 1][tenths % 10][i] * src[at + i];
        }
        dst[t] = sum;
    }
}

int voice_speaks(const struct stretch *s, int64_t at)
{
    int64_t step;

    if (at < s->start || at >= s->start + s->n)
        return 0;
    step = s->from + (at - s->start) * per_ten[s->speed] / 10 / ACTIVITY_STEP;
    return step < s->to && s->piece->activity[step] != 0;
}
