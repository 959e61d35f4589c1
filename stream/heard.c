// SPDX-License-Identifier: MIT
#include "stream/heard.h"

#include <math.h>
#include <string.h>

enum { LEAST_ALONE = 2 }; // as few frames make no vector: upstream's

/* The index that mirroring at both edges, as often as it takes, leads to. */
static int mirrored(int i, int n)
{
    while (i < 0 || i >= n)
        i = i < 0 ? -1 - i : 2 * n - 1 - i;
    return i;
}

void heard_median(uint8_t *dst, const uint8_t *src, int n_frames)
{
    enum { HALF = HEARD_MEDIAN_FRAMES / 2 };

    for (int t = 0; t < n_frames; t++) {
        int votes[POWERSET_MAX_SPEAKERS] = {0};
        for (int k = -HALF; k <= HALF; k++) {
            unsigned set = src[mirrored(t + k, n_frames)];
            for (int s = 0; s < POWERSET_MAX_SPEAKERS; s++)
                votes[s] += set >> s & 1;
        }
        unsigned set = 0;
        for (int s = 0; s < POWERSET_MAX_SPEAKERS; s++)
            set |= (unsigned)(votes[s] > HALF) << s;
        dst[t] = (uint8_t)set;
    }
}

void heard_frames(int *n_active, int *n_alone, const uint8_t *sets, int n_frames, int slot)
{
    *n_active = *n_alone = 0;
    for (int t = 0; t < n_frames; t++) {
        *n_active += sets[t] >> slot & 1;
        *n_alone += sets[t] == 1u << slot;
    }
}

int heard_mean(float *mean, const float *rows, int width, const uint8_t *sets, int n_frames,
               int slot)
{
    int active, alone, n = 0;

    heard_frames(&active, &alone, sets, n_frames, slot);
    memset(mean, 0, (size_t)width * sizeof(*mean));
    for (int t = 0; t < n_frames; t++) {
        const float *row = rows + (size_t)t * (size_t)width;
        if (alone > LEAST_ALONE ? sets[t] != 1u << slot : !(sets[t] >> slot & 1))
            continue;
        n++;
        for (int k = 0; k < width; k++)
            mean[k] += row[k];
    }
    for (int k = 0; k < width && n; k++)
        mean[k] /= (float)n;
    return n;
}

int heard_is_vector(const float *vector, int width)
{
    for (int i = 0; i < width; i++) {
        if (!isfinite(vector[i]))
            return 0;
    }
    return 1;
}
