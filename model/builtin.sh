#!/bin/sh
# SPDX-License-Identifier: MIT
# builtin.sh MODEL OUTPUT - assembly that makes the model file part of the program.
set -eu
cat > "$2" <<END
#ifdef __APPLE__
#define NAME(x) _##x
    .const
#else
#define NAME(x) x
    .section .rodata
    .section .note.GNU-stack,"",%progbits
    .section .rodata
#endif
    .balign 64
    .globl NAME(builtin_model)
NAME(builtin_model):
    .incbin "$1"
    .globl NAME(builtin_model_end)
NAME(builtin_model_end):
    .byte 0
END
