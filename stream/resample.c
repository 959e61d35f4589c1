// SPDX-License-Identifier: MIT
#include "stream/resample.h"

#include "stream/frame.h"

#include <assert.h>
#include <samplerate.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUANTA_PER_SECOND = 100,
    // Measured from 48 kHz: MEDIUM keeps up to 7.0 kHz within 0.3 dB and holds aliases below
    // -118 dB, for 6 ms of one core a second of audio. FASTEST (2.5 ms, -97 dB) loses 14 dB at
    // 7 kHz, which the model hears; BEST takes 19 ms and adds 9 ms of delay.
    CONVERTER = SRC_SINC_MEDIUM_QUALITY,
    // Samples that may wait for ticks after them: zero crossings on one side of the filter,
    // measured 46, with a margin.
    HALF_FILTER = 64,
};

int resampler_open(struct resampler *r, int rate_hz, int channels, int channel, struct error *err)
{
    int code = 0;

    *r = (struct resampler){0};
    if (rate_hz < RESAMPLE_MIN_HZ || rate_hz > RESAMPLE_MAX_HZ)
        return fail(err, "a sample rate of %d Hz; %d to %d Hz was expected", rate_hz,
                    RESAMPLE_MIN_HZ, RESAMPLE_MAX_HZ);
    if (channels < 1 || channels > RESAMPLE_MAX_CHANNELS)
        return fail(err, "%d channels; 1 to %d were expected", channels, RESAMPLE_MAX_CHANNELS);
    if (channel < 0 || channel > channels)
        return fail(err, "there is no channel %d; choose 1 to %d, or 0 to mix them all", channel,
                    channels);

    r->rate_hz = rate_hz;
    r->channels = channels;
    r->channel = channel;
    if (rate_hz == FRAME_HZ)
        return 0;
    r->quantum = (size_t)rate_hz / QUANTA_PER_SECOND;
    r->pending = calloc(r->quantum, sizeof(float));
    r->state = src_new(CONVERTER, 1, &code);
    if (r->pending && r->state)
        return 0;
    resampler_close(r);
    return fail(err, "cannot resample from %d Hz: %s", rate_hz,
                code ? src_strerror(code) : "out of memory");
}

void resampler_close(struct resampler *r)
{
    if (r->state)
        src_delete(r->state);
    free(r->pending);
    *r = (struct resampler){0};
}

void resampler_reset(struct resampler *r)
{
    if (r->state)
        src_reset(r->state);
    r->n_pending = 0;
    r->n_in = r->n_out = 0;
}

size_t resampler_room(const struct resampler *r, size_t n_ticks)
{
    if (!r->state)
        return n_ticks;

    // The filter is as long as HALF_FILTER periods of the lower of the two rates.
    size_t rate = (size_t)r->rate_hz;
    size_t waiting = HALF_FILTER * (rate < FRAME_HZ ? FRAME_HZ / rate + 1 : 1);
    return (n_ticks + r->quantum) * FRAME_HZ / rate + waiting + 2;
}

/* dst[t] = ticks[t, channel], or mean over c of ticks[t, c] */
static void mix_down(const struct resampler *r, float *dst, const float *ticks, size_t n)
{
    size_t C = (size_t)r->channels;

    if (r->channel > 0 || C == 1) {
        size_t c = r->channel > 0 ? (size_t)r->channel - 1 : 0;
        for (size_t t = 0; t < n; t++)
            dst[t] = ticks[t * C + c];
        return;
    }
    for (size_t t = 0; t < n; t++) {
        float sum = 0.0f;
        for (size_t c = 0; c < C; c++)
            sum += ticks[t * C + c];
        dst[t] = sum / (float)C;
    }
}

/* Gives libsamplerate what is pending; it takes all of it, as there is room
 * for all it can make of it. */
static size_t convert(struct resampler *r, float *samples, size_t room, int end_of_input)
{
    SRC_DATA data = {
        .data_in = r->pending,
        .input_frames = (long)r->n_pending,
        .data_out = samples,
        .output_frames = (long)room,
        .src_ratio = (double)FRAME_HZ / r->rate_hz,
        .end_of_input = end_of_input,
    };
    int code = src_process(r->state, &data);

    assert(code == 0);
    assert(end_of_input || data.input_frames_used == data.input_frames);
    (void)code;
    r->n_pending = 0;
    r->n_out += (uint64_t)data.output_frames_gen;
    return (size_t)data.output_frames_gen;
}

size_t resampler_process(struct resampler *r, float *samples, const float *ticks, size_t n_ticks)
{
    size_t room = resampler_room(r, n_ticks), made = 0;

    r->n_in += n_ticks;
    if (!r->state) {
        mix_down(r, samples, ticks, n_ticks);
        r->n_out += n_ticks;
        return n_ticks;
    }
    while (n_ticks > 0) {
        size_t n = r->quantum - r->n_pending;
        n = n < n_ticks ? n : n_ticks;
        mix_down(r, r->pending + r->n_pending, ticks, n);
        r->n_pending += n;
        ticks += n * (size_t)r->channels;
        n_ticks -= n;
        if (r->n_pending == r->quantum)
            made += convert(r, samples + made, room - made, 0);
    }
    return made;
}

size_t resampler_finish(struct resampler *r, float *samples)
{
    if (!r->state)
        return 0;

    uint64_t rate = (uint64_t)r->rate_hz;
    uint64_t whole = r->n_in / rate * FRAME_HZ; // in two steps: days of 768 kHz must not overflow
    uint64_t total = whole + (r->n_in % rate * FRAME_HZ + rate / 2) / rate;
    if (total <= r->n_out)
        return 0;

    size_t wanted = (size_t)(total - r->n_out);
    assert(wanted <= resampler_room(r, 0));
    size_t made = convert(r, samples, wanted, 1);
    // libsamplerate may stop one sample short; beyond the last tick there is silence anyway.
    memset(samples + made, 0, (wanted - made) * sizeof(float));
    r->n_out = total;
    return wanted;
}
