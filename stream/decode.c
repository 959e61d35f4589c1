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
        .distance = settings->onset - settings->offset,
        .min_on = (int64_t)ceil(settings->min_on_seconds / FRAME_SECONDS - 1e-6),
        .min_off = (int64_t)ceil(settings->min_off_seconds / FRAME_SECONDS - 1e-6),
        .n_speakers = n_speakers,
    };
}

void decoder_reset(struct decoder *d)
{
    for (int s = 0; s < d->n_speakers; s++)
        d->speaker[s] = (struct decode_turn){.phase = PHASE_SILENT};
}

void decoder_set_onset(struct decoder *d, float onset)
{
    const float least = 0.01f;

    d->onset = onset;
    d->offset = fmaxf(onset - d->distance, fminf(onset, least));
}

int decoder_speaking(const struct decoder *d, int speaker)
{
    return d->speaker[speaker].phase == PHASE_SPEAKING;
}

/* One speaker, one frame; returns 1 if there is something to tell. */
static int step(struct decoder *d, struct decode_event *event, int s, float prob, int64_t frame)
{
    struct decode_turn *turn = &d->speaker[s];

    turn->active = turn->active ? prob >= d->offset : prob > d->onset;
    if (turn->active) {
        if (turn->phase == PHASE_SILENT) {
            turn->phase = PHASE_STARTING;
            turn->start = frame;
        }
        turn->end = frame + 1;
        if (turn->phase == PHASE_STARTING && turn->end - turn->start >= d->min_on) {
            turn->phase = PHASE_SPEAKING;
            *event = (struct decode_event){s, 1, turn->start, 0};
            return 1;
        }
    } else if (turn->phase != PHASE_SILENT && frame + 1 - turn->end >= d->min_off) {
        int told = turn->phase == PHASE_SPEAKING;
        turn->phase = PHASE_SILENT;
        *event = (struct decode_event){s, 0, turn->start, turn->end};
        return told;
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

int decoder_finish(struct decoder *d, struct decode_event *events)
{
    int n = 0;

    for (int s = 0; s < d->n_speakers; s++) {
        if (decoder_speaking(d, s))
            events[n++] = (struct decode_event){s, 0, d->speaker[s].start, d->speaker[s].end};
    }
    decoder_reset(d);
    return n;
}
