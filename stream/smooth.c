// SPDX-License-Identifier: MIT
#include "stream/smooth.h"

#include "stream/frame.h"

#include <math.h>
#include <string.h>

#define LEAST 1e-4f
#define NONE 1e-30f // of a belief

void smoother_init(struct smoother *s, int n_classes, double seconds)
{
    double frames = fmax(seconds / FRAME_SECONDS, 2.0);

    s->n_classes = n_classes;
    s->stay = seconds > 0.0 && n_classes > 1 ? (float)(1.0 - 1.0 / frames) : 0.0f;
    smoother_reset(s);
}

void smoother_reset(struct smoother *s)
{
    for (int k = 0; k < s->n_classes; k++)
        s->belief[k] = 1.0f / (float)s->n_classes;
}

static float likelihood(float logp)
{
    float p = expf(logp);

    return p > LEAST ? fminf(p, 1.0f) : LEAST; // NaN is not
}

/* x [n] to what follows it: each class stays, or becomes any other. The matrix is its own
 * transpose, so the same step goes back in time. */
static void move(float *x, int n, float stay)
{
    float leave = (1.0f - stay) / (float)(n - 1), sum = 0.0f;

    for (int k = 0; k < n; k++)
        sum += x[k];
    for (int k = 0; k < n; k++)
        x[k] = (stay - leave) * x[k] + leave * sum;
}

static void scale_to_one(float *x, int n)
{
    float sum = 0.0f;

    for (int k = 0; k < n; k++)
        sum += x[k];
    for (int k = 0; k < n; k++)
        x[k] /= sum;
}

static void forward(struct smoother *s, float *out, const float *logp, int T)
{
    int n = s->n_classes;

    for (int t = 0; t < T; t++) {
        move(s->belief, n, s->stay);
        for (int k = 0; k < n; k++)
            s->belief[k] *= likelihood(logp[t * n + k]);
        scale_to_one(s->belief, n);
        memcpy(out + t * n, s->belief, (size_t)n * sizeof(float));
    }
}

/* out: from the beliefs of the way forward to the log-probabilities of both. */
static void backward(const struct smoother *s, float *out, const float *logp, int T)
{
    int n = s->n_classes;
    float behind[POWERSET_MAX_CLASSES]; // how likely all that follows is from each class

    for (int k = 0; k < n; k++)
        behind[k] = 1.0f;
    for (int t = T - 1; t >= 0; t--) {
        float *row = out + t * n;
        for (int k = 0; k < n; k++)
            row[k] *= behind[k];
        scale_to_one(row, n);
        for (int k = 0; k < n; k++) {
            row[k] = logf(fmaxf(row[k], NONE));
            behind[k] *= likelihood(logp[t * n + k]);
        }
        move(behind, n, s->stay);
        scale_to_one(behind, n);
    }
}

void smoother_run(struct smoother *s, float *out, const float *logp, int T)
{
    if (s->stay == 0.0f) {
        memcpy(out, logp, (size_t)(T * s->n_classes) * sizeof(float));
        return;
    }
    forward(s, out, logp, T);
    backward(s, out, logp, T);
}
