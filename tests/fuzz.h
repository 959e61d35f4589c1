// SPDX-License-Identifier: MIT
/* fuzz.h - what libFuzzer calls; fuzz_main.c calls it for the kept seeds. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
