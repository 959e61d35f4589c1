// SPDX-License-Identifier: MIT
/* stepper.h - audio to who speaks in its next frames, step after step.
 *
 * There are two ways, and the model's reach says which. What comes out is the
 * same, and so is everything behind it.
 *
 * block-causal  a step is a block of B frames; the model goes on from its cached
 *               states. Each frame is computed once.
 * window        a step is B frames as well, but all of the newest window_frames
 *               frames are encoded anew as one block on a fresh state, exactly as
 *               offline, and the newest of the answer are the step's; those
 *               before them tell how the local speakers are numbered (places.h).
 *               It costs window / step times the arithmetic. At the start of the
 *               stream the window grows.
 *
 * With look-ahead R the step is the B frames in front of the R newest. The answers of a step,
 * or of a window, are smoothed (smooth.h) before they become activities.
 *
 * Thread: worker; no allocation after opening. */
#ifndef STEPPER_H
#define STEPPER_H

#include "model/model.h"
#include "stream/chunk.h"
#include "stream/places.h"
#include "stream/smooth.h"

struct stepper {
    const struct model *model;
    struct powerset powerset;
    struct chunk chunk;
    struct model_state state;
    struct model_acts acts;
    struct smoother smoother;
    float *smoothed;      // [B + R or window_frames,n_classes]
    struct places places; // of window mode
    float *prob; // [B + R,n_speakers] of a block
    struct arena arena;
};

/* Rows in `prob` and `traits` are the step's new frames; `context` rows more stand in
 * front of them, of the frames before, as far as this call computed them too. */
struct step {
    struct block block;   // the new frames and samples, in the stream's numbers
    const float *samples; // [block.own_samples]
    int context;
    const float *prob;    // [block.own,n_speakers] of local speakers
    const float *traits;  // [block.own,TRAITS] what speaker vectors are made of (readout.h)
};

/* The model outlives the stepper; without a readout (to be timed) steps have blocks
 * and samples only. steady_seconds: of the smoother, 0: none. max_put: the most samples
 * that are put between two looks for steps. */
int stepper_open(struct stepper *s, const struct model *m, double steady_seconds, size_t max_put,
                 struct error *err);

/* As just opened. */
void stepper_reset(struct stepper *s);
void stepper_close(struct stepper *s);

/* Frames over which a local speaker keeps its number: what a new frame sees. */
int stepper_memory_frames(const struct stepper *s);

/* Samples go in by the chunk's tail (chunk.h). If those of the next step are
 * there: its block and samples; then run fills the rest, valid until done. */
int stepper_next(struct stepper *s, struct step *step, int ended);
void stepper_run(struct stepper *s, struct step *step);
void stepper_done(struct stepper *s, const struct step *step);

#endif
