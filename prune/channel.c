// SPDX-License-Identifier: MIT
#include "prune/channel.h"

#include "prune/biquad.h"
#include "prune/decibels.h"
#include "prune/draw.h"
#include "prune/room.h"

#include <math.h>
#include <string.h>

enum { FADE = 800 };

void channel_colour(struct response *r, float eq_db, struct random *rng)
{
    enum { RING = 256 };
    struct biquad_colour colour = biquad_draw_colour(eq_db, rng);
    int n = r->n + RING < CONVOLVE_MAX_TAPS ? r->n + RING : CONVOLVE_MAX_TAPS;

    memset(r->taps + r->n, 0, (size_t)(n - r->n) * sizeof(float));
    r->n = n;
    biquad_run_colour(&colour, r->taps, r->n);
}

/* One noise after another from the bank, each with its own level and a fade. */
struct noise_track {
    const struct sound_bank *bank;
    struct random rng;
    const struct sound *sound;
    int at, left;
    float gain;
};

static void next_noise(struct noise_track *t)
{
    t->sound = &t->bank->sounds[draw_below(&t->rng, t->bank->n)];
    t->at = draw_below(&t->rng, t->sound->n);
    t->left = t->sound->n - t->at;
    t->gain = decibels(3.0f * draw_normal(&t->rng));
}

/* Asked for one stretch after another, from 0. */
static int pull_noise(void *context, float *dst, int64_t from, int n)
{
    struct noise_track *t = context;

    for (int i = 0; i < n; i++) {
        if (t->left == 0)
            next_noise(t);
        float fade = t->left < FADE ? (float)t->left / FADE : 1.0f;
        dst[i] = fade * t->gain * t->sound->samples[t->at++];
        t->left--;
    }
    return 1;
}

static void plain(struct response *r)
{
    r->taps[0] = 1.0f;
    r->n = 1;
    r->delay = 0;
}

static void add_noise(float *x, int64_t n, double power, const struct channel_settings *s,
                      const struct sound_bank *bank, const struct convolver *c,
                      struct convolve_space *space, struct response *scratch, struct random *rng)
{
    struct noise_track track = {.bank = bank};
    float snr = draw_between(rng, s->snr_low, s->snr_high);

    random_init(&track.rng, random_bits(rng)); // so that later draws do not depend on the length
    if (draw_chance(rng, s->p_noise_room)) {
        struct room room;
        float place[3];
        room_draw(&room, 0.15f, 0.6f, rng);
        room_place(place, &room, draw_between(rng, 0.5f, 4.0f), rng);
        room_response(scratch, &room, place, rng);
    } else {
        plain(scratch);
    }
    convolve_add(c, space, x, n, scratch, (float)sqrt(power) * decibels(-snr), pull_noise,
                 &track);
}

/* White noise, made darker by up to two poles: about 0 to 12 dB an octave. */
static void add_hiss(float *x, int64_t n, double power, const struct channel_settings *s,
                     struct random *rng)
{
    float snr = draw_between(rng, s->snr_low, s->snr_high);
    float p1 = draw_between(rng, 0.0f, 0.98f), p2 = draw_chance(rng, 0.5f) ? p1 * 0.9f : 0.0f;
    float level = (float)sqrt(power) * decibels(-snr), a = 0.0f, b = 0.0f;
    double sum = (1.0 + (double)p1 * p2) /
                 ((1.0 - (double)p1 * p2) * (1.0 - (double)p1 * p1) * (1.0 - (double)p2 * p2));
    struct random noise; // sum: variance of white noise after two poles

    random_init(&noise, random_bits(rng));
    level /= (float)sqrt(sum);
    for (int64_t i = 0; i < n; i++) {
        a = draw_noise(&noise) + p1 * a;
        b = a + p2 * b;
        x[i] += level * b;
    }
}

/* Butterworth of order 8: four sections of these Q. */
static void low_pass(float *x, int64_t n, float hz)
{
    static const float q[] = {0.5098f, 0.6013f, 0.9000f, 2.5629f};

    for (int i = 0; i < 4; i++) {
        struct biquad f = biquad_low_pass(hz, q[i]);
        biquad_run(&f, x, n);
    }
}

static void high_pass(float *x, int64_t n, float hz)
{
    static const float q[] = {0.5412f, 1.3066f}; // order 4

    for (int i = 0; i < 2; i++) {
        struct biquad f = biquad_high_pass(hz, q[i]);
        biquad_run(&f, x, n);
    }
}

/* ITU-T G.711's law with 8 bits, as a formula. Full scale is 1. */
static void mu_law(float *x, int64_t n)
{
    const float mu = 255.0f, top = logf(1.0f + mu);

    for (int64_t i = 0; i < n; i++) {
        float a = fabsf(x[i]) < 1.0f ? fabsf(x[i]) : 1.0f;
        float step = rintf(127.0f * logf(1.0f + mu * a) / top) / 127.0f;
        x[i] = copysignf((expf(step * top) - 1.0f) / mu, x[i]);
    }
}

static void set_level(float *x, int64_t n, float gain)
{
    for (int64_t i = 0; i < n; i++) {
        float y = gain * x[i];
        x[i] = y > 1.0f ? 1.0f : y < -1.0f ? -1.0f : y;
    }
}

static void colour_all(float *x, int64_t n, float eq_db, struct random *rng)
{
    struct biquad_colour colour = biquad_draw_colour(eq_db, rng);

    if (eq_db > 0.0f)
        biquad_run_colour(&colour, x, n);
}

void channel_apply(float *x, int64_t n, double speech_power, const struct channel_settings *s,
                   const struct sound_bank *noise, const struct convolver *c,
                   struct convolve_space *space, struct response *scratch, struct random *rng)
{
    double power = speech_power > 1e-12 ? speech_power : 1e-3;
    float level = draw_between(rng, s->level_low, s->level_high), line = random_uniform(rng);
    float dither = draw_between(rng, DITHER_LOW, DITHER_HIGH);
    int telephone = line < s->p_telephone, steps = draw_chance(rng, 0.5f);

    if (draw_chance(rng, s->p_clip))
        level = draw_between(rng, -10.0f, 0.0f);
    if (draw_chance(rng, s->p_noise) && noise && noise->n > 0)
        add_noise(x, n, power, s, noise, c, space, scratch, rng);
    if (draw_chance(rng, s->p_hiss))
        add_hiss(x, n, power, s, rng);
    colour_all(x, n, s->eq_db, rng);
    if (telephone) {
        high_pass(x, n, draw_between(rng, 200.0f, 350.0f));
        low_pass(x, n, draw_between(rng, 3200.0f, 3700.0f));
    } else if (line < s->p_telephone + s->p_lowpass) {
        low_pass(x, n, draw_between(rng, 2500.0f, 7000.0f));
    }
    set_level(x, n, (float)(decibels(level) / sqrt(power)));
    if (telephone && steps)
        mu_law(x, n);
    for (int64_t i = 0; i < n; i++)
        x[i] += dither * draw_noise(rng);
}
