// SPDX-License-Identifier: MIT
#include "prune/activity.h"

#include <math.h>
#include <string.h>

/* In half decibels; what they mean is at their use. */
enum {
    ABOVE_FLOOR = 18,  // 9 dB
    BELOW_PEAK = 24,   // 12 dB
    MOST_BELOW = 80,   // 40 dB
    HYSTERESIS = 8,    // 4 dB
    QUIETEST = 100,    // -77.5 dB of full scale: no speech in the file at all
};

/* In steps. */
enum {
    FILL = 10,    // a closure of a consonant, not a pause
    SHORTEST = 5, // a click, not speech
    HANG = 2,     // around a stretch: weak onsets and endings
};

size_t activity_steps(size_t n_samples)
{
    return (n_samples + ACTIVITY_STEP - 1) / ACTIVITY_STEP;
}

/* Levels of the steps in half decibels. What is below the voice (rumble, an
 * offset) is taken out by a one-pole high-pass at 100 Hz. */
static void levels(uint8_t *level, const float *x, size_t n)
{
    const float pole = 1.0f - 2.0f * 3.14159265f * 100.0f / 16000.0f;
    float last = n ? x[0] : 0.0f, y = 0.0f;

    for (size_t s = 0; s < activity_steps(n); s++) {
        size_t end = (s + 1) * ACTIVITY_STEP < n ? (s + 1) * ACTIVITY_STEP : n;
        double sum = 0.0;
        for (size_t i = s * ACTIVITY_STEP; i < end; i++) {
            y = pole * y + x[i] - last;
            last = x[i];
            sum += (double)y * y;
        }
        double half_db = 20.0 * log10(sum / ACTIVITY_STEP + 1e-20) + 255.0;
        level[s] = half_db < 0.0 ? 0 : half_db > 255.0 ? 255 : (uint8_t)half_db;
    }
}

/* The level below which a share of the steps lies. */
static int percentile(const uint8_t *level, size_t n, double share)
{
    size_t count[256] = {0}, below = 0;

    for (size_t i = 0; i < n; i++)
        count[level[i]]++;
    for (int l = 0; l < 256; l++) {
        below += count[l];
        if ((double)below > share * (double)n)
            return l;
    }
    return 255;
}

/* Stretches of `value` shorter than `least` become the other; those at the
 * edges stay if they are pauses. */
static void absorb(uint8_t *mark, size_t n, uint8_t value, size_t least)
{
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && mark[end] == mark[i]; end++) {}
        int at_edge = i == 0 || end == n;
        if (mark[i] == value && end - i < least && !(at_edge && value == 0))
            memset(mark + i, !value, end - i);
    }
}

/* mark: 2 certainly speech, 1 speech if it touches that, 0 pause. */
static void grow(uint8_t *mark, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (mark[i] == 1 && mark[i - 1] == 2)
            mark[i] = 2;
    }
    for (size_t i = n; i-- > 1;) {
        if (mark[i - 1] == 1 && mark[i] == 2)
            mark[i - 1] = 2;
    }
    for (size_t i = 0; i < n; i++)
        mark[i] = mark[i] == 2;
}

static void hang(uint8_t *mark, size_t n)
{
    size_t since = HANG;

    for (size_t i = 0; i < n; i++) {
        since = mark[i] ? 0 : since + 1;
        if (since && since <= HANG && i >= since && mark[i - since])
            mark[i] = 2;
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = 1; mark[i] == 1 && k <= HANG && k <= i; k++)
            mark[i - k] |= !mark[i - k] ? 2 : 0;
    }
    for (size_t i = 0; i < n; i++)
        mark[i] = mark[i] != 0;
}

/* The threshold lies 9 dB over the floor, but 12 dB under the peak at least
 * (a recording without a pause has no floor) and 40 dB at most (a recording
 * whose pauses are digital silence has none either). */
void activity_find(uint8_t *activity, const float *samples, size_t n)
{
    size_t steps = activity_steps(n);
    int floor_level, peak, threshold;

    levels(activity, samples, n);
    floor_level = percentile(activity, steps, 0.05);
    peak = percentile(activity, steps, 0.95);
    threshold = floor_level + ABOVE_FLOOR;
    if (threshold > peak - BELOW_PEAK)
        threshold = peak - BELOW_PEAK;
    if (threshold < peak - MOST_BELOW)
        threshold = peak - MOST_BELOW;
    if (peak < QUIETEST) {
        memset(activity, 0, steps);
        return;
    }

    /* Two passes over windows keep the marks apart from the levels. */
    enum { WINDOW = 1 << 16 };
    static _Thread_local uint8_t mark[WINDOW];
    for (size_t at = 0; at < steps; at += WINDOW) {
        size_t m = steps - at < WINDOW ? steps - at : WINDOW;
        for (size_t i = 0; i < m; i++)
            mark[i] = (uint8_t)((activity[at + i] >= threshold) +
                                (activity[at + i] >= threshold - HYSTERESIS));
        grow(mark, m);
        absorb(mark, m, 0, FILL);
        absorb(mark, m, 1, SHORTEST);
        hang(mark, m);
        for (size_t i = 0; i < m; i++) {
            if (!mark[i])
                activity[at + i] = 0;
            else if (activity[at + i] == 0)
                activity[at + i] = 1;
        }
    }
}

double activity_power(const uint8_t *activity, const float *samples, size_t n)
{
    double sum = 0.0;
    size_t count = 0;

    for (size_t s = 0; s < activity_steps(n); s++) {
        size_t end = (s + 1) * ACTIVITY_STEP < n ? (s + 1) * ACTIVITY_STEP : n;
        for (size_t i = s * ACTIVITY_STEP; activity[s] && i < end; i++) {
            sum += (double)samples[i] * samples[i];
            count++;
        }
    }
    return count ? sum / (double)count : 0.0;
}
