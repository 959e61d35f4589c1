// SPDX-License-Identifier: MIT
#include "model/powerset.h"

#include <math.h>

/* All sets of `left` speakers from `first` on, added to `mask`. */
static void add_sets(struct powerset *p, int first, int left, unsigned mask)
{
    if (left == 0) {
        p->mask[p->n_classes++] = (uint16_t)mask;
        return;
    }
    for (int s = first; s <= p->n_speakers - left; s++)
        add_sets(p, s + 1, left - 1, mask | 1u << s);
}

void powerset_init(struct powerset *p, int n_speakers, int at_once)
{
    *p = (struct powerset){.n_speakers = n_speakers, .at_once = at_once};
    for (int k = 0; k <= at_once; k++)
        add_sets(p, 0, k, 0);
}

void powerset_activity(float *prob, const float *logp, const struct powerset *p, int T)
{
    for (int t = 0; t < T; t++) {
        const float *row = logp + (int64_t)t * p->n_classes;
        float *out = prob + (int64_t)t * p->n_speakers;

        for (int s = 0; s < p->n_speakers; s++) {
            float with = -INFINITY, without = -INFINITY;
            for (int c = 0; c < p->n_classes; c++) {
                float *best = p->mask[c] >> s & 1 ? &with : &without;
                *best = row[c] > *best ? row[c] : *best;
            }
            out[s] = 1.0f / (1.0f + expf(without - with));
            out[s] = isnan(out[s]) ? 0.0f : out[s]; // scores that are no numbers
        }
    }
}

uint16_t powerset_argmax(const float *logp, const struct powerset *p)
{
    int best = 0;

    for (int c = 1; c < p->n_classes; c++) {
        if (logp[c] > logp[best])
            best = c;
    }
    return p->mask[best];
}
