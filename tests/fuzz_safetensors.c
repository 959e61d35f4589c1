// SPDX-License-Identifier: MIT
/* fuzz_safetensors.c - any bytes as a safetensors file. */
#include "fuzz.h"
#include "fuzz_checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct checkpoint c;
    struct error err = {{0}};
    int result = checkpoint_open_memory(&c, data, size, "fuzz", &err);

    use_checkpoint(&c, result, &err);
    return 0;
}
