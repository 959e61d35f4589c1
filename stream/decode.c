// SPDX-License-Identifier: MIT
#include "stream/decode.h"

#include "stream/frame.h"

#include <math.h>

struct decode_settings decode_defaults(void)
{
    return (struct decode_settings){.onset = 0.5f, .offset = 0.5f};
}

void decoder_init(struct decoder *d, const struct decode_settings *settings, int n_speakers)
{
    *d = (struct decoder){
        .onset = settings->onset,
        .offset = settings->offset,
        .min_on = (int64_t)ceil(settings->min_on_seconds / FRAME_SECONDS - 1e-6),
        .min_off = (int64_t)ceil(settings->min_off_seconds / FRAME_SECONDS - 1e-6),
        .n_speakers = n_speakers,
    };
}

void decoder_reset(struct decoder *d)
{
    for (int s = 0; s < d->n_speakers; s++)
        d->speaker[s].phase = PHASE_SILENT;
}

int decoder_speaking(const struct decoder *d, int speaker)
{
    return d->speaker[speaker].phase >= PHASE_SPEAKING;
}

/* One speaker, one frame; returns 1 if there is something to tell. */
static int step(struct decoder *d, struct decode_event *event, int s, float prob, int64_t frame)
{
    int64_t *start = &d->speaker[s].start, *end = &d->speaker[s].end;
    enum decode_phase *phase = &d->speaker[s].phase;
    int active = *phase == PHASE_SILENT ? prob > d->onset : prob >= d->offset;

    if (*phase == PHASE_SILENT && active) {
        *start = frame;
        *phase = PHASE_STARTING;
    } else if (*phase == PHASE_STARTING && !active) {
        *phase = PHASE_SILENT;
    } else if (*phase == PHASE_SPEAKING && !active) {
        *end = frame;
        *phase = PHASE_ENDING;
    } else if (*phase == PHASE_ENDING && active) {
        *phase = PHASE_SPEAKING;
    }

    if (*phase == PHASE_STARTING && frame - *start + 1 >= d->min_on) {
        *phase = PHASE_SPEAKING;
        *event = (struct decode_event){s, 1, *start, 0};
        return 1;
    }
    if (*phase == PHASE_ENDING && frame - *end + 1 >= d->min_off) {
        *phase = PHASE_SILENT;
        *event = (struct decode_event){s, 0, *start, *end};
        return 1;
    }
    return 0;
}

int decoder_frame(struct decoder *d, struct decode_event *events, const float *prob,
                  int64_t frame)
{
    int n = 0;

    for (int s = 0; s < d->n_speakers; s++)
        n += step(d, &events[n], s, prob[s], frame);
    return n;
}

int decoder_finish(struct decoder *d, struct decode_event *events, int64_t end)
{
    int n = 0;

    for (int s = 0; s < d->n_speakers; s++) {
        if (decoder_speaking(d, s))
            events[n++] = (struct decode_event){
                s, 0, d->speaker[s].start,
                d->speaker[s].phase == PHASE_ENDING ? d->speaker[s].end : end};
        d->speaker[s].phase = PHASE_SILENT;
    }
    return n;
}
