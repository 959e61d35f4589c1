// SPDX-License-Identifier: MIT
#include "prune/voice_loss.h"

#include "model/op.h"
#include "prune/unit.h"

#include <math.h>
#include <string.h>

/* One speaker's vector in one clip. */
struct seen {
    int clip, column, class, frames;
    float share;  // 1 / vectors of its clip
    float length; // before it was made unit
};

struct parts {
    float *unit;      // [most, E] vectors made unit, and then the slopes by them
    float *by_unit;   // [most, E]
    float *cosines;   // [most, classes], and then the slopes by them
    float *classes;   // [classes, E] made unit
    float *by_class;  // [classes, E]
    float *lengths;   // [classes]
    struct seen *seen; // [most]
    int n;
};

static size_t most_vectors(int n_clips)
{
    return (size_t)n_clips * CLIP_MAX_SPEAKERS;
}

static size_t seen_floats(int n_clips)
{
    return (most_vectors(n_clips) * sizeof(struct seen) + sizeof(float) - 1) / sizeof(float);
}

size_t voice_loss_scratch_floats(const struct voice_loss *l, int n_clips)
{
    size_t most = most_vectors(n_clips), E = (size_t)l->width, K = (size_t)l->n_classes;

    return 2 * most * E + most * K + 2 * K * E + K + seen_floats(n_clips);
}

static struct parts split(const struct voice_loss *l, float *scratch, int n_clips)
{
    size_t most = most_vectors(n_clips), E = (size_t)l->width, K = (size_t)l->n_classes;
    struct parts p = {.seen = (struct seen *)(void *)scratch};

    p.unit = scratch + seen_floats(n_clips);
    p.by_unit = p.unit + most * E;
    p.cosines = p.by_unit + most * E;
    p.classes = p.cosines + most * K;
    p.by_class = p.classes + K * E;
    p.lengths = p.by_class + K * E;
    return p;
}

/* Sums of the vectors of clip c's speakers over the frames of each alone. */
static void gather(struct parts *p, const struct voice_loss *l, const float *vectors,
                   const struct clip *clip, int c)
{
    int at[CLIP_MAX_SPEAKERS], frames[CLIP_MAX_SPEAKERS] = {0}, first = p->n, E = l->width;

    for (int t = 0; t < clip->n_frames; t++) {
        int who = clip_alone(clip, t);
        if (who >= 0)
            frames[who]++;
    }
    for (int s = 0; s < CLIP_MAX_SPEAKERS; s++) {
        int class = s < clip->n_speakers ? clip->speaker[s] : -1;
        at[s] = -1;
        if (frames[s] < l->least_frames || frames[s] < 1 || class < 0 || class >= l->n_classes)
            continue;
        p->seen[p->n] = (struct seen){.clip = c, .column = s, .class = class, .frames = frames[s]};
        memset(p->unit + (size_t)p->n * (size_t)E, 0, (size_t)E * sizeof(float));
        at[s] = p->n++;
    }
    for (int k = first; k < p->n; k++)
        p->seen[k].share = 1.0f / (float)(p->n - first);
    for (int t = 0; t < clip->n_frames; t++) {
        int who = clip_alone(clip, t);
        if (who < 0 || at[who] < 0)
            continue;
        float *sum = p->unit + (size_t)at[who] * (size_t)E;
        for (int e = 0; e < E; e++)
            sum[e] += vectors[(size_t)t * (size_t)E + (size_t)e];
    }
}

/* One row of cosines [classes] becomes weight times the loss's slopes by them. */
static void judge(const struct voice_loss *l, struct objective_sums *sums, float *cosines,
                  const struct seen *s, float weight)
{
    float c = fmaxf(-1.0f, fminf(1.0f, cosines[s->class]));
    float sine = sqrtf(fmaxf(1.0f - c * c, 1e-6f));
    float turned = c * cosf(l->margin) - sine * sinf(l->margin);
    float by_cosine = cosf(l->margin) + c / sine * sinf(l->margin), most;
    double total = 0.0;
    int best = 0;

    if (c <= -cosf(l->margin)) {
        turned = c - l->margin * sinf(l->margin);
        by_cosine = 1.0f;
    }
    for (int k = 0; k < l->n_classes; k++)
        best = cosines[k] > cosines[best] ? k : best;
    sums->vectors += 1.0;
    sums->vectors_right += best == s->class;
    cosines[s->class] = turned;
    most = turned;
    for (int k = 0; k < l->n_classes; k++)
        most = fmaxf(most, cosines[k]);
    for (int k = 0; k < l->n_classes; k++)
        total += exp((double)l->scale * (cosines[k] - most));
    sums->vector += s->share * (log(total) - (double)l->scale * (turned - most));
    for (int k = 0; k < l->n_classes; k++) {
        double p = exp((double)l->scale * (cosines[k] - most)) / total;
        cosines[k] = (float)(weight * s->share * l->scale * (p - (k == s->class)));
    }
    cosines[s->class] *= by_cosine;
}

static void spread(const struct parts *p, const struct voice_loss *l, float *slopes,
                   const struct clip *clips)
{
    int E = l->width;

    for (int k = 0; k < p->n; k++) {
        const struct seen *s = &p->seen[k];
        const struct clip *clip = &clips[s->clip];
        const float *by = p->by_unit + (size_t)k * (size_t)E;
        const float *unit = p->unit + (size_t)k * (size_t)E;
        float *first = slopes + (size_t)s->clip * (size_t)clip->n_frames * (size_t)E;
        for (int t = 0; t < clip->n_frames; t++) {
            if (clip_alone(clip, t) == s->column)
                unit_back(first + (size_t)t * (size_t)E, by, unit, s->length, E);
        }
    }
}

void voice_loss(const struct voice_loss *l, struct objective_sums *sums, float *slopes,
                float *class_slopes, const float *vectors, const float *classes,
                const struct clip *clips, int n_clips, float weight, float *scratch)
{
    struct parts p = split(l, scratch, n_clips);
    int E = l->width, K = l->n_classes;

    for (int c = 0; c < n_clips; c++) {
        int before = p.n;
        gather(&p, l, vectors + (size_t)c * (size_t)clips[c].n_frames * (size_t)E, &clips[c], c);
        sums->vector_clips += p.n > before;
    }
    if (p.n == 0)
        return;
    /* The mean's length is the sum's over the frames: so are slopes by a frame. */
    for (int k = 0; k < p.n; k++)
        p.seen[k].length = unit_make(p.unit + (size_t)k * (size_t)E, p.unit + (size_t)k * (size_t)E, E);
    for (int k = 0; k < K; k++)
        p.lengths[k] = unit_make(p.classes + (size_t)k * (size_t)E, classes + (size_t)k * (size_t)E, E);
    gemm_nt(p.cosines, K, p.unit, E, p.classes, E, p.n, K, E, 1.0f, 0.0f);
    for (int k = 0; k < p.n; k++)
        judge(l, sums, p.cosines + (size_t)k * (size_t)K, &p.seen[k], weight);
    gemm_nn(p.by_unit, E, p.cosines, K, p.classes, E, p.n, E, K, 1.0f, 0.0f);
    gemm_tn(p.by_class, E, p.cosines, K, p.unit, E, K, E, p.n, 1.0f, 0.0f);
    for (int k = 0; k < K; k++)
        unit_back(class_slopes + (size_t)k * (size_t)E, p.by_class + (size_t)k * (size_t)E,
                     p.classes + (size_t)k * (size_t)E, p.lengths[k], E);
    spread(&p, l, slopes, clips);
}
