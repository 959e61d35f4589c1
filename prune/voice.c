// SPDX-License-Identifier: MIT
#include "prune/voice.h"

#include "prune/activity.h"
#include "prune/biquad.h"
#include "prune/decibels.h"

#include <math.h>
#include <string.h>

enum { FADE = 80 };

/* Of what effort does to a voice: louder at 1 to 7 kHz. */
#define TILT_HZ 3000.0f
#define TILT_Q 0.4f

/* Percent of the speed, evenly spaced on a logarithmic scale but for rounding. */
static const struct {
    int n, percent[VOICE_MOST];
} sets[] = {
    {1, {100}},
    {3, {100, 90, 110}},
    {5, {100, 90, 110, 80, 122}},
    {7, {100, 93, 107, 87, 115, 80, 125}},
};

static const int resonances[VOICE_TRACTS] = {100, 91, 110};

/* Rows of a Hann-windowed sinc, cut at 0.95 of half the slower rate: what is
 * played faster would fold over. */
static void make_taps(float taps[VOICE_PHASES][VOICE_TAPS], int percent)
{
    const double pi = 3.141592653589793;
    double cut = 95.0 / percent;

    for (int p = 0; p < VOICE_PHASES; p++) {
        double sum = 0.0;
        for (int i = 0; i < VOICE_TAPS; i++) {
            double x = i - (VOICE_TAPS / 2 - 1) - (double)p / VOICE_PHASES;
            double sinc = fabs(x) < 1e-9 ? cut : sin(pi * cut * x) / (pi * x);
            double tap = sinc * (0.5 + 0.5 * cos(2.0 * pi * x / (VOICE_TAPS + 1)));
            taps[p][i] = (float)tap;
            sum += tap;
        }
        for (int i = 0; i < VOICE_TAPS; i++)
            taps[p][i] = (float)(taps[p][i] / sum);
    }
}

static int make_speeds(struct voice_filters *f, int n, struct error *err)
{
    for (size_t k = 0; k < sizeof(sets) / sizeof(*sets); k++) {
        if (sets[k].n != n)
            continue;
        f->n = n;
        memcpy(f->percent, sets[k].percent, sizeof(f->percent));
        for (int i = 0; i < VOICE_BANDS; i++)
            make_taps(f->taps[i], 100 + VOICE_BAND * i);
        return 0;
    }
    return fail(err, "%d voices of a speaker: expected 1, 3, 5 or 7", n);
}

int voice_filters_open(struct voice_filters *f, int n, int n_tracts, struct error *err)
{
    f->tract = (struct tract){0};
    if (make_speeds(f, n, err))
        return -1;
    if (n_tracts != 1 && n_tracts != VOICE_TRACTS)
        return fail(err, "%d vocal tracts of a speaker: expected 1 or %d", n_tracts, VOICE_TRACTS);
    f->n_tracts = n_tracts;
    memcpy(f->resonance, resonances, sizeof(resonances));
    return tract_open(&f->tract, err);
}

void voice_filters_close(struct voice_filters *f)
{
    tract_close(&f->tract);
}

int voice_speaker(const struct voice_filters *f, int voice)
{
    return voice / (f->n * f->n_tracts);
}

int voice_tract(const struct voice_filters *f, int voice)
{
    return voice / f->n % f->n_tracts;
}

int voice_speed(const struct voice_filters *f, int voice)
{
    return voice % f->n;
}

int voice_length(int n_steps, int percent)
{
    return (int)((int64_t)n_steps * ACTIVITY_STEP * 100 / percent);
}

/* The filter for a speed, at so many hundredths of a sample behind one. */
static const float *taps_at(const struct voice_filters *f, int percent, int64_t hundredths)
{
    int band = percent <= 100 ? 0 : (percent - 100 + VOICE_BAND - 1) / VOICE_BAND;

    return f->taps[band][hundredths % 100];
}

static float fade(const struct stretch *s, int at)
{
    int edge = at < s->n - 1 - at ? at : s->n - 1 - at;

    return edge < FADE ? (float)edge / FADE : 1.0f;
}

/* Sample `at` of the stretch, at its speed. */
static float between(const struct stretch *s, int at, const struct voice_filters *f)
{
    int64_t hundredths = (int64_t)at * s->percent;
    const float *taps = taps_at(f, s->percent, hundredths);
    int64_t first = s->from * ACTIVITY_STEP + hundredths / 100 - (VOICE_TAPS / 2 - 1);
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

void voice_render(float *dst, float *raw, const struct stretch *s, const struct voice_filters *f)
{
    const int16_t *pcm = s->piece->pcm + (size_t)s->from * ACTIVITY_STEP;
    float gain = s->gain * s->piece->scale;
    float *x = s->resonance != 1.0f ? raw : dst;

    for (int at = 0; at < s->n; at++)
        x[at] = s->percent != 100 ? between(s, at, f) : (float)pcm[at];
    if (x == raw)
        tract_change(&f->tract, dst, x, s->n, s->resonance);
    if (s->tilt != 0.0f) {
        struct biquad tilt = biquad_peak(TILT_HZ, TILT_Q, s->tilt);
        biquad_run(&tilt, dst, s->n);
    }
    if (s->colour > 0.0f) {
        struct random rng;
        random_init(&rng, s->colour_seed);
        struct biquad_colour colour = biquad_draw_colour(s->colour, &rng);
        biquad_run_colour(&colour, dst, s->n);
    }
    for (int at = 0; at < s->n; at++)
        dst[at] *= gain * fade(s, at);
}

void voice_resample(float *dst, int64_t n, const float *src, int64_t n_src, int percent,
                    const struct voice_filters *f)
{
    for (int64_t t = 0; t < n; t++) {
        int64_t hundredths = t * percent;
        int64_t at = hundredths / 100 - (VOICE_TAPS / 2 - 1);
        const float *taps = taps_at(f, percent, hundredths);
        float sum = 0.0f;
        if (percent == 100) {
            dst[t] = t < n_src ? src[t] : 0.0f;
            continue;
        }
        for (int i = 0; i < VOICE_TAPS; i++) {
            if (at + i >= 0 && at + i < n_src)
                sum += taps[i] * src[at + i];
        }
        dst[t] = sum;
    }
}

int voice_speaks(const struct stretch *s, int64_t at)
{
    int64_t step;

    if (at < s->start || at >= s->start + s->n)
        return 0;
    step = s->from + (at - s->start) * s->percent / 100 / ACTIVITY_STEP;
    return step < s->to && s->piece->activity[step] != 0;
}
