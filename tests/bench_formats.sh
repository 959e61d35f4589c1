#!/bin/sh
# SPDX-License-Identifier: MIT
# bench_formats.sh ANTIPHON FOLDER [ARCH...] - by hand: what each layout of a model costs to keep
# and to open. Writes the architectures with random weights into FOLDER, in every layout, one at
# a time (Large takes 1.3 GB of disk, and of memory), and prints a line of a table for each:
# bytes on disk, processor seconds to open it (best of three; a busy machine makes the clock on the
# wall tell nothing), most memory while it runs a second of audio.
set -eu
antiphon=$1 folder=$2
shift 2
[ $# -gt 0 ] || set -- base base-s80 large large-s80
mkdir -p "$folder"

# User and system seconds of a command that ran alone in this shell.
seconds() {
    (
        "$@" >/dev/null 2>&1 || exit 1
        times
    ) | tail -n 1 | sed 's/[ms]/ /g' | awk '{printf "%.2f\n", 60 * $1 + $2 + 60 * $3 + $4}'
}

printf '| architecture | layout | MB on disk | opened in, s | most memory, MiB |\n|---|---|---|---|---|\n'
for arch; do
    for layout in 'antiphon f32' 'antiphon bf16' 'torch f32' 'hf f32'; do
        to=${layout% *} dtype=${layout#* }
        model=$folder/model
        rm -rf "$model"
        [ "$to" = antiphon ] || model=$model/
        "$antiphon" convert "$arch" --to "$to" --dtype "$dtype" -o "$model" 2>/dev/null || continue
        best=$(for _ in 1 2 3; do seconds "$antiphon" info "$model"; done | sort -n | head -n 1)
        memory=$("$antiphon" bench --model "$model" --left 0 --seconds 1 2>/dev/null |
                 awk '/^  memory/ {print $2}')
        printf '| `%s` | %s | %.0f | %s | %.0f |\n' "$arch" "$layout" \
            "$(du -sk "$model" | awk '{print $1 * 1024 / 1e6}')" "$best" "$memory"
    done
done
rm -rf "$folder/model"
