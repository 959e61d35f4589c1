// SPDX-License-Identifier: MIT
#include "model/positions.h"

#include <math.h>
#include <stdlib.h>

int position_bucket(long d, int n_buckets, int max_distance)
{
    int half = n_buckets / 2, exact = half / 2;
    long distance = labs(d);
    int bucket = (int)distance;

    if (distance >= exact) {
        double far = log((double)distance / exact) / log((double)max_distance / exact);
        double offset = far * (half - exact);
        bucket = offset < half - exact ? exact + (int)offset : half - 1;
        if (bucket > half - 1)
            bucket = half - 1;
    }
    return (d > 0 ? half : 0) + bucket;
}
