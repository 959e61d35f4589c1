#!/bin/sh
# SPDX-License-Identifier: MIT
# bench_formats.sh ANTIPHON FOLDER [ARCH...] - by hand: what each layout of a model costs to keep
# and to open, and what the model then costs to run. Writes the architectures with random weights
# into FOLDER, in every layout, one at a time (Large takes 1.3 GB of disk, and of memory), and
# prints a line of README's table for each: of a layout bytes on disk, processor seconds to open
# it (best of three) and most memory while it runs a second of audio; of the model, whose weights
# are the same floats whatever the layout, processor seconds a second of audio, block by block
# and in windows of 8 s every 500 ms. A busy machine makes the clock on the wall tell nothing.
set -eu
antiphon=$1 folder=$2
shift 2
[ $# -gt 0 ] || set -- base base-s80 large large-s80
mkdir -p "$folder"
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE # they replace OpenBLAS's own choice
model=$folder/model

# User and system seconds of a command that ran alone in this shell.
seconds() {
    (
        "$@" >/dev/null 2>&1 || exit 1
        times
    ) | tail -n 1 | sed 's/[ms]/ /g' | awk '{printf "%.2f\n", 60 * $1 + $2 + 60 * $3 + $4}'
}

# Processor seconds a second of audio.
runs_in() {
    "$antiphon" bench --model "$model" "$@" 2>/dev/null |
        awk '/^  processor time/ {printf "%.*f", $3 < 0.1 ? 3 : 2, $3}'
}

# What a layout costs, or nothing if it has no place for the model.
layout() {
    rm -rf "$model"
    as=$model
    [ "$1" = antiphon ] || as=$model/
    "$antiphon" convert "$arch" --to "$1" --dtype "$2" -o "$as" 2>/dev/null || return 0
    best=$(for _ in 1 2 3; do seconds "$antiphon" info "$model"; done | sort -n | head -n 1)
    memory=$("$antiphon" bench --model "$model" --block 320 --left 0 --seconds 1 2>/dev/null |
             awk '/^  memory/ {print $2}')
    printf '%.0f MB, %s s, %.0f MiB' "$(du -sk "$model" | awk '{print $1 * 1024 / 1e6}')" \
        "$best" "$memory"
}

echo '| | antiphon | antiphon, bf16 | torch | Hugging Face | live | in windows |'
echo '|---|---|---|---|---|---|---|'
for arch; do
    bf16=$(layout antiphon bf16) torch=$(layout torch f32) hf=$(layout hf f32)
    own=$(layout antiphon f32)
    printf '| `%s` | %s | %s | %s | %s | %s | %s |\n' "$arch" "$own" "$bf16" "$torch" "$hf" \
        "$(runs_in --block 320 --left 8000 --seconds 4)" \
        "$(runs_in --window 8 --step 500 --seconds 2)"
done
rm -rf "$model"
