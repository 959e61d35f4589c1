// SPDX-License-Identifier: MIT
#include "prune/body.h"

#include "prune/biquad.h"
#include "prune/decibels.h"
#include "prune/draw.h"

#include <stdlib.h>
#include <string.h>

enum { HZ = 16000, APART = 1600 /* samples between two sounds of a speaker */ };

static int add(struct body_plan *p, struct body_sound s, struct error *err)
{
    if (p->n == p->room) {
        int room = p->room ? 2 * p->room : 64;
        struct body_sound *sounds = realloc(p->sounds, (size_t)room * sizeof(*sounds));
        if (!sounds)
            return fail(err, "out of memory for %d sounds of people", room);
        p->sounds = sounds;
        p->room = room;
    }
    p->sounds[p->n++] = s;
    return 0;
}

static int samples_between(struct random *rng, float low, float high)
{
    return (int)(HZ * draw_between(rng, low, high));
}

/* Time to the next event of a Poisson process, s. */
static double draw_wait(struct random *rng, float a_minute)
{
    return a_minute > 0.0f ? -60.0 / a_minute * log(1.0 - random_uniform(rng)) : 1e9;
}

/* One speaker's breaths: most before he begins to speak, some while he listens. */
static int breathe(struct body_plan *p, const struct body_settings *s, int speaker,
                   const struct stretch *x, int n_stretches, int64_t n, struct random *rng,
                   struct error *err)
{
    float level = draw_between(rng, s->breath_low, s->breath_high);
    int status = 0;

    for (int i = 0; i < n_stretches && status == 0; i++) {
        struct body_sound sound = {.n = samples_between(rng, 0.2f, 0.6f), .speaker = speaker,
                                   .gain = decibels(level + 3.0f * draw_normal(rng)),
                                   .seed = random_bits(rng)};
        sound.start = x[i].start - samples_between(rng, 0.02f, 0.15f) - sound.n;
        if (draw_chance(rng, s->p_breath))
            status = add(p, sound, err);
    }
    for (double at = draw_wait(rng, s->breaths) - 1.0; at * HZ < (double)n && status == 0;
         at += draw_wait(rng, s->breaths))
        status = add(p, (struct body_sound){.start = llrint(at * HZ),
                                            .n = samples_between(rng, 0.25f, 0.9f),
                                            .speaker = speaker,
                                            .gain = decibels(level + 3.0f * draw_normal(rng)),
                                            .seed = random_bits(rng)}, err);
    return status;
}

/* What one speaker does while he listens, at random: stirs (his chair, cup, papers and throat), or
 * blows (his breath, or his hand, upon the microphone). */
static int fidget(struct body_plan *p, int speaker, enum body_kind kind, float a_minute, float low,
                  float high, int64_t n, struct random *rng, struct error *err)
{
    int status = 0;

    for (double at = draw_wait(rng, a_minute) - 1.0; at * HZ < (double)n && status == 0;
         at += draw_wait(rng, a_minute))
        status = add(p, (struct body_sound){.start = llrint(at * HZ),
                                            .n = samples_between(rng, 0.15f, 2.0f),
                                            .speaker = speaker, .kind = kind,
                                            .gain = decibels(draw_between(rng, low, high)),
                                            .seed = random_bits(rng)}, err);
    return status;
}

/* Laughs of the whole meeting: one laughs, others may join. */
static int laugh(struct body_plan *p, const struct body_settings *s, int n_speakers, int64_t n,
                 struct random *rng, struct error *err)
{
    for (double at = draw_wait(rng, s->laughs) - 3.0; at * HZ < (double)n;
         at += draw_wait(rng, s->laughs)) {
        int first = draw_below(rng, n_speakers);
        for (int i = 0; i < n_speakers; i++) {
            struct body_sound sound = {
                .start = llrint(at * HZ) + (i == first ? 0 : samples_between(rng, 0.1f, 1.0f)),
                .n = samples_between(rng, 0.4f, 3.0f), .speaker = i,
                .kind = BODY_LAUGH,
                .gain = decibels(draw_between(rng, s->laugh_low, s->laugh_high)),
                .seed = random_bits(rng),
            };
            if ((i == first || draw_chance(rng, s->p_join)) && add(p, sound, err))
                return -1;
        }
    }
    return 0;
}

static int by_speaker(const void *a, const void *b)
{
    const struct body_sound *x = a, *y = b;

    if (x->speaker != y->speaker)
        return x->speaker - y->speaker;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return (x->seed > y->seed) - (x->seed < y->seed);
}

/* The first stretch, from number k on, that has not ended when a sound begins. */
static int skip_ended(const struct stretch *x, int k, int n_stretches, const struct body_sound *s)
{
    while (k < n_stretches && (x[k].speaker < s->speaker ||
                               (x[k].speaker == s->speaker && x[k].start + x[k].n <= s->start)))
        k++;
    return k;
}

/* Those that fall into the meeting, into a pause of their speaker and not upon each other. */
static void keep_free(struct body_plan *p, const struct stretch *x, int n_stretches, int64_t n)
{
    int kept = 0, k = 0;

    for (int i = 0; i < p->n; i++) {
        struct body_sound s = p->sounds[i];
        const struct body_sound *last = kept ? &p->sounds[kept - 1] : NULL;
        int upon = last && last->speaker == s.speaker && s.start < last->start + last->n + APART;
        k = skip_ended(x, k, n_stretches, &s);
        int speaks = k < n_stretches && x[k].speaker == s.speaker && x[k].start < s.start + s.n;
        if (!upon && !speaks && s.start < n && s.start + s.n > 0)
            p->sounds[kept++] = s;
    }
    p->n = kept;
}

int body_plan_draw(struct body_plan *p, const struct body_settings *s, const struct stretch *x,
                   int n_stretches, int n_speakers, int64_t n, struct random *rng,
                   struct error *err)
{
    p->n = 0;
    for (int i = 0, at = 0; i < n_speakers; i++) {
        int first = at;
        while (at < n_stretches && x[at].speaker == i)
            at++;
        if (breathe(p, s, i, x + first, at - first, n, rng, err) ||
            fidget(p, i, BODY_STIR, s->stirs, s->stir_low, s->stir_high, n, rng, err) ||
            fidget(p, i, BODY_BLOW, s->blows, s->blow_low, s->blow_high, n, rng, err))
            return -1;
    }
    if (n_speakers > 0 && laugh(p, s, n_speakers, n, rng, err))
        return -1;
    if (p->n)
        qsort(p->sounds, (size_t)p->n, sizeof(*p->sounds), by_speaker);
    keep_free(p, x, n_stretches, n);
    return 0;
}

void body_plan_release(struct body_plan *p)
{
    free(p->sounds);
    *p = (struct body_plan){0};
}

static void resonances(float *x, int n, const float *hz, const float *q, const float *db,
                       int n_peaks)
{
    for (int i = 0; i < n_peaks; i++) {
        struct biquad f = biquad_peak(hz[i], q[i], db[i]);
        biquad_run(&f, x, n);
    }
}

/* In or out: it swells slowly and ends soon, or the other way round. */
static void render_breath(float *x, int n, struct random *rng)
{
    float hz[] = {draw_between(rng, 300.0f, 1200.0f), draw_between(rng, 1400.0f, 4500.0f)};
    float q[] = {draw_between(rng, 0.5f, 3.0f), draw_between(rng, 0.5f, 3.0f)};
    float db[] = {draw_between(rng, 3.0f, 18.0f), draw_between(rng, 3.0f, 18.0f)};
    float peak = draw_chance(rng, 0.5f) ? draw_between(rng, 0.5f, 0.9f)
                                        : draw_between(rng, 0.1f, 0.5f);
    struct biquad low = biquad_low_pass(draw_between(rng, 2500.0f, 7500.0f), 0.7071f);
    struct biquad high = biquad_high_pass(draw_between(rng, 60.0f, 400.0f), 0.7071f);

    for (int i = 0; i < n; i++) {
        float t = ((float)i + 0.5f) / (float)n;
        float up = t < peak ? t / peak : (1.0f - t) / (1.0f - peak);
        x[i] = up * up * (3.0f - 2.0f * up) * draw_noise(rng);
    }
    resonances(x, n, hz, q, db, 2);
    biquad_run(&low, x, n);
    biquad_run(&high, x, n);
}

/* Ha, ha, ha: the later, the softer and lower. */
static void render_laugh(float *x, int n, struct random *rng)
{
    float hz[] = {draw_between(rng, 450.0f, 950.0f), draw_between(rng, 1100.0f, 1900.0f),
                  draw_between(rng, 2300.0f, 3200.0f)};
    float q[] = {4.0f, 5.0f, 5.0f}, db[] = {18.0f, 15.0f, 12.0f};
    float rate = draw_between(rng, 3.5f, 6.5f), open = draw_between(rng, 0.35f, 0.75f);
    float pitch = draw_between(rng, 120.0f, 450.0f), fall = draw_between(rng, 0.0f, 0.15f);
    float voiced = draw_chance(rng, 0.4f) ? 0.0f : draw_between(rng, 0.3f, 1.0f);
    float soften = decibels(-draw_between(rng, 0.0f, 2.5f)), level = 1.0f, cycle = 0.0f;
    float phase = 0.0f, aspiration = draw_between(rng, 0.05f, 0.3f);
    struct biquad glottis = biquad_low_pass(draw_between(rng, 600.0f, 1800.0f), 0.7071f);

    for (int i = 0; i < n; i++) {
        float burst = cycle < open ? 0.5f - 0.5f * cosf(6.2831853f * cycle / open) : 0.0f;
        float hz_now = pitch * (1.0f + 0.15f * burst);
        x[i] = 0.0f;
        phase += hz_now / HZ;
        if (phase >= 1.0f) {
            phase -= 1.0f;
            x[i] = voiced * sqrtf(HZ / hz_now);
        }
        x[i] = level * burst * (x[i] + (1.0f - voiced + aspiration) * draw_noise(rng));
        cycle += rate / HZ;
        if (cycle >= 1.0f) {
            cycle -= 1.0f;
            level *= soften * decibels(1.5f * draw_normal(rng));
            pitch *= 1.0f - fall * random_uniform(rng);
            rate *= 1.0f + 0.1f * draw_normal(rng) / 2.0f;
        }
    }
    biquad_run(&glottis, x, n);
    resonances(x, n, hz, q, db, 3);
}

/* Blows on a table or a cup: four modes that die away, and the click of the touch. */
static void render_knock(float *x, int n, struct random *rng)
{
    float hz[4], decay[4], level[4];

    for (int k = 0; k < 4; k++) {
        hz[k] = 80.0f * powf(40.0f, random_uniform(rng));
        decay[k] = draw_between(rng, 0.005f, 0.06f) * HZ;
        level[k] = draw_between(rng, 0.1f, 1.0f);
    }
    memset(x, 0, (size_t)n * sizeof(*x));
    for (int at = 0; at < n; at += samples_between(rng, 0.08f, 0.6f)) {
        float blow = decibels(-draw_between(rng, 0.0f, 12.0f));
        int end = n - at < HZ / 4 ? n : at + HZ / 4;
        for (int i = at; i < end; i++) {
            float t = (float)(i - at);
            x[i] += t < 32.0f ? blow * draw_noise(rng) * (0.5f - 0.5f * cosf(0.19635f * t)) : 0.0f;
            for (int k = 0; k < 4; k++)
                x[i] += blow * level[k] * expf(-t / decay[k]) *
                        sinf(6.2831853f * hz[k] * t / HZ);
        }
    }
}

/* Paper, cloth: noise whose level is another every few milliseconds. */
static void render_rustle(float *x, int n, struct random *rng)
{
    struct biquad high = biquad_high_pass(draw_between(rng, 300.0f, 2500.0f), 0.7071f);
    struct biquad low = biquad_low_pass(draw_between(rng, 3000.0f, 7800.0f), 0.7071f);
    float longest = draw_between(rng, 0.01f, 0.08f), level = 0.0f;

    for (int at = 0; at < n;) {
        float next = random_uniform(rng);
        int grain = samples_between(rng, 0.003f, longest);
        next *= next * next;
        for (int i = 0; i < grain && at + i < n; i++)
            x[at + i] = (level + (next - level) * (float)i / (float)grain) * draw_noise(rng);
        level = next;
        at += grain;
    }
    biquad_run(&high, x, n);
    biquad_run(&low, x, n);
}

/* A sudden burst that dies away, perhaps another behind it. */
static void render_cough(float *x, int n, struct random *rng)
{
    float hz[] = {draw_between(rng, 350.0f, 1000.0f), draw_between(rng, 1200.0f, 2600.0f)};
    float q[] = {2.0f, 3.0f}, db[] = {15.0f, 12.0f};
    struct biquad low = biquad_low_pass(draw_between(rng, 2500.0f, 6500.0f), 0.7071f);

    memset(x, 0, (size_t)n * sizeof(*x));
    for (int at = 0, bursts = 1 + draw_below(rng, 3); bursts > 0 && at < n; bursts--) {
        float fall = draw_between(rng, 0.03f, 0.12f) * HZ, blow = decibels(3.0f * draw_normal(rng));
        for (int i = at; i < n && (float)(i - at) < 8.0f * fall; i++) {
            float t = (float)(i - at);
            x[i] += blow * (1.0f - expf(-t / 80.0f)) * expf(-t / fall) * draw_noise(rng);
        }
        at += samples_between(rng, 0.2f, 0.5f);
    }
    resonances(x, n, hz, q, db, 2);
    biquad_run(&low, x, n);
}

/* Turbulence at a microphone, a cable or a table that is pushed: low noise that swells and ebbs. */
static void render_blow(float *x, int n, struct random *rng)
{
    float corner = 30.0f * powf(10.0f, random_uniform(rng)), swells = draw_between(rng, 0.5f, 4.0f);
    float phase = random_uniform(rng), sharp = draw_between(rng, 1.0f, 4.0f);
    struct biquad low[2] = {biquad_low_pass(corner, draw_between(rng, 0.5f, 1.5f)),
                            biquad_low_pass(corner * draw_between(rng, 1.0f, 3.0f), 0.7071f)};

    for (int i = 0; i < n; i++)
        x[i] = draw_noise(rng);
    for (int k = 0, steep = draw_chance(rng, 0.5f); k <= steep; k++)
        biquad_run(&low[k], x, n);
    for (int i = 0; i < n; i++) {
        float t = ((float)i + 0.5f) / (float)n;
        float swell = 0.5f - 0.5f * cosf(6.2831853f * (swells * t + phase));
        x[i] *= powf(swell, sharp) * sinf(3.14159265f * t);
    }
}

static void render_stir(float *x, int n, struct random *rng)
{
    static void (*const kinds[])(float *, int, struct random *) = {render_knock, render_rustle,
                                                                   render_cough};
    kinds[draw_below(rng, 3)](x, n, rng);
    for (int i = 0; i < HZ / 100 && i < n; i++)
        x[n - 1 - i] *= (float)i / (HZ / 100);
}

void body_render(float *dst, const struct body_sound *s)
{
    static void (*const render[])(float *, int, struct random *) = {
        [BODY_BREATH] = render_breath, [BODY_LAUGH] = render_laugh, [BODY_STIR] = render_stir,
        [BODY_BLOW] = render_blow,
    };
    struct random rng;
    double sum = 1e-12;

    random_init(&rng, s->seed);
    render[s->kind](dst, s->n, &rng);
    for (int i = 0; i < s->n; i++)
        sum += (double)dst[i] * dst[i];
    float scale = s->gain * (float)sqrt(s->n / sum);
    for (int i = 0; i < s->n; i++)
        dst[i] *= scale;
}
