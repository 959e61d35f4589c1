// SPDX-License-Identifier: MIT
#include "prune/biquad.h"

#include "prune/draw.h"

#include <math.h>

#define HZ 16000.0f
#define PI 3.14159265f

static struct biquad scaled(float b0, float b1, float b2, float a0, float a1, float a2)
{
    return (struct biquad){b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0, 0.0f, 0.0f};
}

struct biquad biquad_low_pass(float hz, float q)
{
    float w = 2.0f * PI * hz / HZ, c = cosf(w), alpha = sinf(w) / (2.0f * q);

    return scaled(0.5f * (1.0f - c), 1.0f - c, 0.5f * (1.0f - c), 1.0f + alpha, -2.0f * c,
                  1.0f - alpha);
}

struct biquad biquad_high_pass(float hz, float q)
{
    float w = 2.0f * PI * hz / HZ, c = cosf(w), alpha = sinf(w) / (2.0f * q);

    return scaled(0.5f * (1.0f + c), -1.0f - c, 0.5f * (1.0f + c), 1.0f + alpha, -2.0f * c,
                  1.0f - alpha);
}

struct biquad biquad_peak(float hz, float q, float db)
{
    float w = 2.0f * PI * hz / HZ, c = cosf(w), alpha = sinf(w) / (2.0f * q);
    float a = powf(10.0f, db / 40.0f);

    return scaled(1.0f + alpha * a, -2.0f * c, 1.0f - alpha * a, 1.0f + alpha / a, -2.0f * c,
                  1.0f - alpha / a);
}

void biquad_run(struct biquad *f, float *samples, int64_t n)
{
    enum { BLOCK = 1024 };
    float z1 = f->z1, z2 = f->z2;

    for (int64_t at = 0; at < n; at += BLOCK) {
        int64_t end = at + BLOCK < n ? at + BLOCK : n;
        for (int64_t i = at; i < end; i++) {
            float x = samples[i], y = f->b0 * x + z1;
            z1 = f->b1 * x - f->a1 * y + z2;
            z2 = f->b2 * x - f->a2 * y;
            samples[i] = y;
        }
        if (fabsf(z1) + fabsf(z2) < 1e-20f) // else silence costs a hundred times as much
            z1 = z2 = 0.0f;
    }
    f->z1 = z1;
    f->z2 = z2;
}

struct biquad_colour biquad_draw_colour(float db, struct random *rng)
{
    static const float low[BIQUAD_BANDS] = {90.0f, 350.0f, 1200.0f, 3400.0f};
    static const float high[BIQUAD_BANDS] = {300.0f, 1000.0f, 3000.0f, 7000.0f};
    struct biquad_colour c;

    for (int i = 0; i < BIQUAD_BANDS; i++)
        c.band[i] = biquad_peak(draw_between(rng, low[i], high[i]), draw_between(rng, 0.4f, 1.2f),
                                db * draw_normal(rng));
    return c;
}

void biquad_run_colour(struct biquad_colour *c, float *samples, int64_t n)
{
    for (int i = 0; i < BIQUAD_BANDS; i++)
        biquad_run(&c->band[i], samples, n);
}
