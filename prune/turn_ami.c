// SPDX-License-Identifier: MIT
/* turn_ami.c - what `antiphon simulate --like ami_test.rttm --uem ami_test.uem --fit` prints,
 * for the 16 meetings of AMI's test set (9 h; reference of words only, CC BY 4.0). */
#include "prune/turn_taking.h"

const struct turn_model turn_model_ami = {
    .turn = {{0.18f, 0.29f, 0.40f, 0.77f, 1.77f, 3.11f, 5.53f, 9.89f, 15.63f, 21.94f, 36.66f}},
    .change = {{-5.37f, -2.45f, -1.60f, -0.79f, -0.21f, 0.15f, 0.46f, 0.99f, 1.72f, 2.76f,
                8.73f}},
    .same = {{0.41f, 0.84f, 1.03f, 1.19f, 1.37f, 1.65f, 2.12f, 3.09f, 4.96f, 7.92f, 19.34f}},
    .aside = {{0.12f, 0.19f, 0.23f, 0.29f, 0.36f, 0.46f, 0.71f, 1.27f, 2.10f, 3.05f, 5.79f}},
    .p_same = 0.237f, .p_return = 0.508f, .asides_per_s = 0.1037f, .talk_sd = 0.545f,
};

const struct turn_stats turn_stats_ami = {
    .n_recordings = 16, .n_turns = 7493, .seconds = 32623.9, .speech = 26244.9,
    .overlap = 3827.1, .speakers = 3.94, .turn = {0.430, 1.380, 4.750},
    .gap = {-0.570, 0.150, 0.770}, .turns_per_minute = 13.78,
};
