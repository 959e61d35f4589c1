// SPDX-License-Identifier: MIT
/* regroup.h - who said which pieces, of all that are known at once.
 *
 * Average linkage of the pieces' vectors by cosine, cut where groups are small and
 * pure; then variational Bayes with a hidden Markov model, as in VBx (F. Landini et
 * al., Bayesian HMM clustering of x-vector sequences, 2022; stream/vbx.h has the
 * formulas), in which groups that nobody needs die out. Unlike there a piece counts by
 * its length,
 *
 *   w = (CHANNEL + FRAME / 100) / (CHANNEL + FRAME / n)     n clean frames, 1 for 100
 *
 * as what a room and a mood do to a voice does not get less with more frames, and a
 * chain is pieces that follow each other: a piece is by who said the one before it with
 * probability `stay`, else by anybody. Pieces said side by side are hardly by one person.
 * What a group has to be worth (Fb) grows with what each has said in the mean: a voice is
 * no Gaussian, and the more of it there is, the more its moods look like people. Beyond 200 s
 * it grows in proportion, so that how far apart moods are makes them people, not how often
 * they were heard. Vectors
 * have a variance of one within a speaker (prune/calibrate.h), and of PHI between
 * speakers in each direction.
 *
 * Thread: any; no allocation after regroup_place. */
#ifndef REGROUP_H
#define REGROUP_H

#include "model/arena.h"

struct regroup_piece {
    float n;     // clean frames
    int before;  // a piece of smaller number, the one before in its chain; -1: none
    float stay;  // probability that it goes on; without `before` no matter
    int fixed;   // a group it is known to be of, or -1
    int moment;  // neighbours of the same were said side by side, by different people; -1: none
};

struct regroup {
    int room, width, most;     // pieces, EMBEDDING, groups
    int late;  // so many of the last numbers are left out where less than half a minute was said: what they tell
               // comes with time (config.h); 0 after regroup_place
    int used;  // width, or what is left of it in this call
    float *distance;           // [room,room]
    float *weight;             // [room] of a piece
    float *bias;               // [most] of a group's likelihood
    float *rho, *weighted;     // [room,used], [room,most]
    float *alpha, *inverse;    // [most,used], [most]
    float *gamma, *forward, *backward; // [room,most]
    float *pi;                 // [most]
    float *height;             // [room] of merges, for the cut
    int *parent, *size, *chain;// [room]
};

/* For at most `room` pieces and `most` groups, no more than pieces. */
void regroup_place(struct regroup *r, int room, int width, int most, struct arena *arena);

/* worth: Fb where each person has said 200 s.
 * label [n] of points x [n,width], 1 <= n <= room; groups 0 .. n_fixed-1 are the fixed ones, whether
 * anybody is in them or not, the others have at least one piece each. At most `most` groups,
 * n_fixed or more. Returns their number. */
int regroup(struct regroup *r, int *label, const float *x, const struct regroup_piece *pieces,
            int n, int n_fixed, int most, float worth);

#endif
