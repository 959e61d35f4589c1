// SPDX-License-Identifier: MIT
#include "prune/room.h"

#include "prune/draw.h"

#include <math.h>
#include <string.h>

#define HZ 16000.0f
#define SOUND 343.0f // m/s
#define PI 3.14159265f

enum { IMAGES = 600, TAPS = 16, PHASES = 64, LEAD = 16 };

void room_draw(struct room *room, float rt60_low, float rt60_high, struct random *rng)
{
    room->size[0] = draw_between(rng, 2.5f, 10.0f);
    room->size[1] = draw_between(rng, 2.2f, 7.0f);
    room->size[2] = draw_between(rng, 2.3f, 3.6f);
    room->rt60 = draw_between(rng, rt60_low, rt60_high);
    room->high_rt60 = draw_between(rng, 0.55f, 1.0f);
    for (int i = 0; i < 2; i++)
        room->mic[i] = room->size[i] * draw_between(rng, 0.2f, 0.8f);
    room->mic[2] = draw_between(rng, 0.6f, 1.6f);
}

float room_place(float place[3], const struct room *room, float distance, struct random *rng)
{
    float angle = draw_between(rng, 0.0f, 2.0f * PI), sum = 0.0f;

    place[0] = room->mic[0] + distance * cosf(angle);
    place[1] = room->mic[1] + distance * sinf(angle);
    place[2] = draw_between(rng, 1.0f, 1.8f);
    for (int i = 0; i < 3; i++) {
        float margin = 0.3f < 0.2f * room->size[i] ? 0.3f : 0.2f * room->size[i];
        place[i] = place[i] < margin ? margin : place[i];
        place[i] = place[i] > room->size[i] - margin ? room->size[i] - margin : place[i];
        sum += (place[i] - room->mic[i]) * (place[i] - room->mic[i]);
    }
    return sqrtf(sum);
}

/* Adds a pulse between two samples: a sinc under a Hann window. */
static void add_pulse(struct response *r, float at, float amplitude)
{
    int whole = (int)floorf(at);
    float part = at - (float)whole, s = sinf(PI * part);

    for (int i = 1 - TAPS / 2; i <= TAPS / 2; i++) {
        float x = (float)i - part;
        int tap = whole + i;
        float sinc = fabsf(x) < 1e-4f ? 1.0f : (i & 1 ? s : -s) / (PI * x);
        if (tap >= 0 && tap < r->n)
            r->taps[tap] += amplitude * sinc * (0.5f + 0.5f * cosf(2.0f * PI * x / (TAPS + 1)));
    }
}

/* What a wall leaves of an amplitude, by Eyring: mean free path 4 V / S, 60 dB
 * in rt60. */
static float wall(const struct room *room)
{
    const float *l = room->size;
    float volume = l[0] * l[1] * l[2];
    float surface = 2.0f * (l[0] * l[1] + l[1] * l[2] + l[0] * l[2]);

    return expf(-6.9078f * 4.0f * volume / (SOUND * room->rt60 * surface));
}

/* The place of image m along an axis: mirrored once for every wall passed. */
static float image(int m, float length, float x)
{
    return (float)m * length + (m & 1 ? length - x : x);
}

/* Images nearer than `reach`; time zero is the direct sound's arrival. */
static void add_images(struct response *r, const struct room *room, const float place[3],
                       float direct, float reach, struct random *rng)
{
    float left = wall(room);
    int most[3];

    for (int i = 0; i < 3; i++)
        most[i] = (int)(reach / room->size[i]) + 1;
    for (int a = -most[0]; a <= most[0]; a++) {
        float x = image(a, room->size[0], place[0]) - room->mic[0];
        for (int b = -most[1]; b <= most[1]; b++) {
            float y = image(b, room->size[1], place[1]) - room->mic[1];
            if (x * x + y * y > reach * reach)
                continue;
            for (int c = -most[2]; c <= most[2]; c++) {
                float z = image(c, room->size[2], place[2]) - room->mic[2];
                float distance = sqrtf(x * x + y * y + z * z);
                int order = (a < 0 ? -a : a) + (b < 0 ? -b : b) + (c < 0 ? -c : c);
                if (distance > reach)
                    continue;
                if (order > 0)
                    distance += draw_between(rng, -0.08f, 0.08f);
                add_pulse(r, (float)r->delay + (distance - direct) * HZ / SOUND,
                          powf(left, (float)order) / (distance > 0.1f ? distance : 0.1f));
            }
        }
    }
}

/* Noise in two bands, split by a one-pole low-pass at 2 kHz. */
static void add_tail(struct response *r, const struct room *room, int from, float direct,
                     struct random *rng)
{
    const float *l = room->size;
    const float pole = expf(-2.0f * PI * 2000.0f / HZ);
    float sigma = sqrtf(4.0f * PI * SOUND / (l[0] * l[1] * l[2]) / HZ);
    float since = direct * HZ / SOUND - (float)r->delay; // samples from emission to tap 0
    float low_step = powf(10.0f, -3.0f / (room->rt60 * HZ));
    float high_step = powf(10.0f, -3.0f / (room->rt60 * room->high_rt60 * HZ));
    float low_level = sigma * powf(low_step, since + (float)from);
    float high_level = sigma * powf(high_step, since + (float)from), low = 0.0f;

    for (int i = from; i < r->n; i++) {
        float x = draw_noise(rng);
        low = x + pole * (low - x);
        r->taps[i] += low_level * low + high_level * (x - low);
        low_level *= low_step;
        high_level *= high_step;
    }
}

void room_response(struct response *r, const struct room *room, const float place[3],
                   struct random *rng)
{
    const float *l = room->size;
    float reach = cbrtf(IMAGES * 3.0f * l[0] * l[1] * l[2] / (4.0f * PI)), sum = 0.0f;
    float direct = 0.0f;
    double energy = 0.0;
    int n = (int)(room->rt60 * HZ) + LEAD, from;

    for (int i = 0; i < 3; i++)
        sum += (place[i] - room->mic[i]) * (place[i] - room->mic[i]);
    direct = sqrtf(sum);
    r->n = n < CONVOLVE_MAX_TAPS - 256 ? n : CONVOLVE_MAX_TAPS - 256;
    r->delay = LEAD;
    memset(r->taps, 0, (size_t)r->n * sizeof(float));
    add_images(r, room, place, direct, reach, rng);
    from = LEAD + (int)((reach - direct) * HZ / SOUND);
    if (from < r->n)
        add_tail(r, room, from, direct, rng);
    for (int i = 0; i < r->n; i++)
        energy += (double)r->taps[i] * r->taps[i];
    for (int i = 0; i < r->n; i++)
        r->taps[i] = (float)(r->taps[i] / sqrt(energy));
}
