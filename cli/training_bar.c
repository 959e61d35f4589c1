// SPDX-License-Identifier: MIT
#include "cli/training_bar.h"

#include "model/gemm_bf16.h"

#include <stdio.h>

void training_bar_begin(struct training_bar *b, const char *what,
                        const struct trainer_settings *s, int shown)
{
    *b = (struct training_bar){.shown = shown};
    snprintf(b->what, sizeof(b->what), "%s", what);
    if (!shown)
        return;
    if (s->bf16 && !gemm_bf16_is_fast())
        fprintf(stderr, "this processor has no instructions for bfloat16: --bf16 makes it slower\n");
    progress_begin(&b->progress, b->what, "steps", (double)s->steps);
}

void training_bar_end(struct training_bar *b)
{
    if (b->shown)
        progress_end(&b->progress);
}

static double mix(double mean, double keep, double now)
{
    return mean != 0.0 ? keep * mean + (1.0 - keep) * now : now;
}

void training_bar_tell(void *bar, const struct step_report *r, double score)
{
    struct training_bar *b = bar;
    size_t room = sizeof(b->what);

    if (!b->shown)
        return;
    if (!r) {
        b->dev = score;
        return;
    }
    double keep = r->step > 20 ? 0.95 : 0.7;
    b->loss = mix(b->loss, keep, r->loss);
    b->der = mix(b->der, keep, r->der);
    b->rate = mix(b->rate, keep, r->audio_seconds / r->seconds);
    size_t n = (size_t)snprintf(b->what, room, "loss %.3f", b->loss);
    if (b->der > 0.0)
        n += (size_t)snprintf(b->what + n, room - n, " DER %.1f", b->der);
    n += (size_t)snprintf(b->what + n, room - n, " %.0f s/s", b->rate);
    if (r->target > 0.0 || r->sparsity > 0.0)
        n += (size_t)snprintf(b->what + n, room - n, " sparsity %.1f of %.1f %%",
                              100.0 * r->sparsity, 100.0 * r->target);
    if (b->dev != 0.0)
        snprintf(b->what + n, room - n, b->der > 0.0 ? " dev %.1f" : " dev %.3f", b->dev);
    progress_at(&b->progress, (double)r->step);
}
