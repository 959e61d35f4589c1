// SPDX-License-Identifier: MIT
/* call.h - how large a call of the forward pass may be, and what it keeps. */
#ifndef CALL_H
#define CALL_H

#include <stdint.h>

enum keep {
    KEEP_NOTHING, // acts are scratch: live, offline
    KEEP_ALL,     // every intermediate has its own place: the tape
    KEEP_INPUTS,  // encoder layers keep their inputs; the reverse computes the rest again
};

struct call_size {
    int n_blocks, n_rows; // of a call
    int max_rows;         // of a block
    int left;             // L
    int max_keys;         // that a query sees
    int64_t n_samples;    // that the blocks are given, the kept ones counted again
    enum keep keep;
};

#endif
