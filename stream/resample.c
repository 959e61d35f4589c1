// SPDX-License-Identifier: MIT
#include "stream/resample.h"

#include "stream/frame.h"

#include <stdlib.h>

int resampler_open(struct resampler *r, int rate_hz, int channels, int channel, struct error *err)
{
    int status;

    *r = (struct resampler){.rate_hz = rate_hz, .channels = channels, .channel = channel};
    if (channel < 0 || channel > channels)
        return fail(err, "--channel %d: the source has %d", channel, channels);
    r->quantum = (size_t)rate_hz / 100;
    if (rate_hz == FRAME_HZ)
        return 0;
    r->portion = malloc(r->quantum * sizeof(float));
    r->state = src_new(SRC_SINC_MEDIUM_QUALITY, 1, &status);
    if (r->portion && r->state && src_is_valid_ratio((double)FRAME_HZ / rate_hz))
        return 0;
    resampler_close(r);
    return fail(err, "cannot resample %d Hz to %d", rate_hz, FRAME_HZ);
}

void resampler_close(struct resampler *r)
{
    if (r->state)
        src_delete(r->state);
    free(r->portion);
    *r = (struct resampler){0};
}

size_t resampler_room(const struct resampler *r, size_t n)
{
    /* The portion in hand, and libsamplerate's own delay of some ms. */
    size_t ticks = n + r->quantum + (size_t)r->rate_hz / 10;

    return r->state ? (size_t)((double)ticks * FRAME_HZ / r->rate_hz) + 16 : n;
}

static float mix(const struct resampler *r, const float *tick)
{
    float sum = 0.0f;

    if (r->channel)
        return tick[r->channel - 1];
    for (int c = 0; c < r->channels; c++)
        sum += tick[c];
    return sum / (float)r->channels;
}

/* What is in the portion through libsamplerate. */
static size_t convert(struct resampler *r, float *dst, size_t room, int ended)
{
    SRC_DATA data = {
        .data_in = r->portion,
        .data_out = dst,
        .input_frames = (long)r->fill,
        .output_frames = (long)room,
        .end_of_input = ended,
        .src_ratio = (double)FRAME_HZ / r->rate_hz,
    };

    r->fill = 0;
    return src_process(r->state, &data) ? 0 : (size_t)data.output_frames_gen;
}

size_t resampler_process(struct resampler *r, float *dst, const float *ticks, size_t n)
{
    size_t made = 0, room = resampler_room(r, n);

    for (size_t i = 0; i < n; i++) {
        float sample = mix(r, ticks + i * (size_t)r->channels);
        if (!r->state) {
            dst[made++] = sample;
            continue;
        }
        r->portion[r->fill++] = sample;
        if (r->fill == r->quantum)
            made += convert(r, dst + made, room - made, 0);
    }
    return made;
}

size_t resampler_finish(struct resampler *r, float *dst)
{
    return r->state ? convert(r, dst, resampler_room(r, 0), 1) : 0;
}
