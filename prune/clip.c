// SPDX-License-Identifier: MIT
#include "prune/clip.h"

#include "model/blocks.h"

#include <stdlib.h>

int clip_init(struct clip *clip, int64_t n_samples, struct error *err)
{
    int64_t frames = blocks_frames(n_samples);

    *clip = (struct clip){.n_samples = n_samples, .n_frames = (int)frames};
    if (frames < 1 || frames > 1 << 24)
        return fail(err, "a clip of %lld samples: must hold between 1 and 2^24 frames",
                    (long long)n_samples);
    clip->samples = calloc((size_t)n_samples, sizeof(float));
    clip->labels = calloc((size_t)frames, CLIP_MAX_SPEAKERS);
    if (clip->samples && clip->labels)
        return 0;
    clip_release(clip);
    return fail(err, "out of memory for a clip of %lld samples", (long long)n_samples);
}

void clip_release(struct clip *clip)
{
    free(clip->samples);
    free(clip->labels);
    *clip = (struct clip){0};
}

int clip_alone(const struct clip *clip, int t)
{
    const uint8_t *labels = clip->labels + (size_t)t * CLIP_MAX_SPEAKERS;
    int who = -1;

    for (int s = 0; s < CLIP_MAX_SPEAKERS; s++) {
        if (labels[s] && who >= 0)
            return -1;
        if (labels[s])
            who = s;
    }
    return who;
}
