#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""expected.py - makes jer.tsv: Jaccard error rates on frames of 10 ms (numpy, scipy)."""
import os
from collections import defaultdict

import numpy as np
from scipy.optimize import linear_sum_assignment

STEP = 0.01


def load(name):
    turns = defaultdict(lambda: defaultdict(list))
    for line in open(name):
        f = line.split()
        turns[f[1]][f[7]].append((float(f[3]), float(f[3]) + float(f[4])))
    return turns


def frames(speakers, begin, end):
    """[frames, speakers] of 0 and 1, for who speaks between begin and end."""
    times = STEP * np.arange(int(end / STEP))
    columns = []
    for spans in speakers.values():
        column = np.zeros(len(times))
        for a, b in spans:
            column[np.searchsorted(times, a):np.searchsorted(times, b)] = 1
        if any(min(b, end) > max(a, begin) for a, b in spans):
            columns.append(column)
    kept = slice(np.searchsorted(times, begin), np.searchsorted(times, end))
    return np.array(columns).T.reshape(len(times), -1)[kept]


def errors(ref, sys):
    """One error rate for each speaker of the reference, in percent."""
    shared = ref.T @ sys
    united = ref.sum(0)[:, None] + sys.sum(0)[None, :] - shared
    error = 1 - shared / united
    rows, columns = linear_sum_assignment(error)
    out = np.full(ref.shape[1], 100.0)
    out[rows] = 100 * error[rows, columns]
    return out


os.chdir(os.path.dirname(os.path.abspath(__file__)))
ref, sys = load("ami_test.rttm"), load("diart_5.0s.rttm")
everybody = []
with open("jer.tsv", "w") as out:
    print("recording\tjer", file=out)
    for line in sorted(open("ami_test.uem")):
        name, _, begin, end = line.split()
        e = errors(*(frames(side[name], float(begin), float(end)) for side in (ref, sys)))
        everybody.extend(e)
        print(f"{name}\t{e.mean():.4f}", file=out)
    print(f"ALL\t{np.mean(everybody):.4f}", file=out)
