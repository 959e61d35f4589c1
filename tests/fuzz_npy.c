// SPDX-License-Identifier: MIT
/* fuzz_npy.c - any bytes as a .npy; what is accepted is read to its last element. */
#include "fuzz.h"

#include "model/npz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct npy a;
    size_t n = 1;

    if (npy_parse(&a, data, size, NULL))
        return 0;
    for (int k = 0; k < a.n_axes; k++)
        n *= (size_t)a.size[k];
    if (n * (size_t)a.bytes > size)
        abort();
    double *numbers = malloc(n * sizeof(double));
    if (numbers)
        npy_to_doubles(numbers, &a);
    free(numbers);
    return 0;
}
